"""The two colour ramps of all maps, and their colour bars.

Both are computed in Oklab (Björn Ottosson 2020), in which equal distances look equally large.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from auditor.results import Scale

STEPS = 253
"""The number of colours of a ramp: odd, so that zero has its own; a palette of 256 leaves two for the hatch."""

# Lightness, green-red and blue-yellow axes of the colours that a ramp passes through.
_HEAT = ((0.16, 0.02, -0.05), (0.33, 0.10, -0.11), (0.52, 0.19, -0.02), (0.70, 0.13, 0.12), (0.94, -0.03, 0.13))
_SIGNED = ((0.36, -0.02, -0.13), (0.64, -0.06, -0.13), (0.97, 0.0, 0.0), (0.64, 0.14, 0.08), (0.36, 0.13, 0.06))

_OKLAB_TO_LMS = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_LMS_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@cache
def heat_ramp() -> UInt8[NDArray[np.uint8], "steps 3"]:
    """Return the ramp from dark violet to pale yellow, with evenly rising lightness."""
    return _ramp(_HEAT)


@cache
def signed_ramp() -> UInt8[NDArray[np.uint8], "steps 3"]:
    """Return the ramp from blue over near white to red, equally dark at both ends."""
    return _ramp(_SIGNED)


def heat_scale(low: float, high: float, label: str = "") -> Scale:
    """Return the colour bar of `heat` and `overlay`."""
    return Scale(float(low), float(high), _stops(heat_ramp()), label)


def signed_scale(limit: float, label: str = "") -> Scale:
    """Return the colour bar of `signed`: from `-limit` to `limit`."""
    return Scale(-float(limit), float(limit), _stops(signed_ramp()), label)


def _stops(ramp: UInt8[NDArray[np.uint8], "steps 3"], count: int = 65) -> tuple[str, ...]:
    chosen = ramp[np.linspace(0, len(ramp) - 1, count).round().astype(int)]
    return tuple(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in chosen)


def _ramp(anchors: tuple[tuple[float, float, float], ...]) -> UInt8[NDArray[np.uint8], "steps 3"]:
    """Interpolate linearly between the anchors; the length of each part is its change of lightness."""
    points = np.array(anchors)
    lengths = np.abs(np.diff(points[:, 0]))
    places = np.concatenate([[0], np.cumsum(lengths)]) / lengths.sum()
    along = np.linspace(0, 1, STEPS)
    return _rgb(np.stack([np.interp(along, places, axis) for axis in points.T], axis=1))


def _rgb(oklab: Float[NDArray[np.float64], "steps 3"]) -> UInt8[NDArray[np.uint8], "steps 3"]:
    linear = np.clip((oklab @ _OKLAB_TO_LMS.T) ** 3 @ _LMS_TO_RGB.T, 0, 1)
    gamma = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray((gamma * 255).round(), dtype=np.uint8)

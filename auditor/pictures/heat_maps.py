"""Maps over the image: activations, attributions, gradients.

The limits of the colours are arguments, so that a row of maps can share them. A value outside of the
limits has the last colour; a value that is not finite is drawn as a grey hatch. A map without a finite
value, or equal limits, raise an error, because such a picture shows nothing. Small maps are enlarged
by a whole factor, so that each cell is visible.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from numpy.typing import NDArray
from PIL import Image

from auditor.pictures.colours import STEPS, heat_ramp, signed_ramp
from auditor.pictures.encoding import fitted, jpeg, palette, png, whole_factor

Map = Float[NDArray[np.floating[Any]], "rows cols"]
Pixels = UInt8[NDArray[np.uint8], "height width 3"]

_HATCH = np.array([[150, 150, 150], [205, 205, 205]], dtype=np.uint8)
_GREY = 0.5


def heat(values: Map, *, low: float, high: float, size: int | None = None) -> bytes:
    """Draw a map from `low` (dark) to `high` (bright) as PNG.

    Args:
        size: The largest length of the longer side, in pixels; a larger map keeps its size.

    Raises:
        ValueError: `low` is not below `high`, or no value is finite.
    """
    return png(_drawn(values, low, high, heat_ramp(), size))


def signed(values: Map, *, limit: float, size: int | None = None) -> bytes:
    """Draw a map around zero, from `-limit` (blue) over near white to `limit` (red), as PNG.

    Raises:
        ValueError: `limit` is not above zero, or no value is finite.
    """
    return png(_drawn(values, -limit, limit, signed_ramp(), size))


def overlay(pixels: Pixels, values: Map, *, low: float, high: float, size: int | None = None) -> bytes:
    """Draw a map over the photograph in grey as JPEG: the larger the value, the more opaque its colour.

    The map is resized once to the size of the photograph, bilinearly, with aligned corners.

    Raises:
        ValueError: `low` is not below `high`, or no value is finite.
    """
    shares = _shares(values, low, high)
    height, width = pixels.shape[:2]
    fine = _resized(np.where(np.isfinite(shares), shares, 0), (width, height))
    missing = _resized((~np.isfinite(shares)).astype(float), (width, height)) > 0.5
    colours = heat_ramp()[_indices(fine)].astype(np.float32)
    cover = (0.15 + 0.65 * fine)[..., None]  # [height, width, 1]
    mixed = (1 - cover) * _grey(pixels) + cover * colours
    mixed[missing] = _HATCH[_stripes(missing.shape)[missing]]
    return jpeg(fitted(Image.fromarray(mixed.round().astype(np.uint8)), size))


def colour(
    values: Float[NDArray[np.floating[Any]], "height width 3"], *, limit: float, size: int | None = None
) -> bytes:
    """Draw signed values of three colour channels as JPEG: zero is middle grey, `limit` is full intensity.

    Raises:
        ValueError: `limit` is not above zero, or no value is finite.
    """
    shares = _shares(values, -limit, limit)
    missing = ~np.isfinite(shares).all(axis=2)
    image = (np.where(np.isfinite(shares), shares, _GREY) * 255).round().astype(np.uint8)
    image[missing] = _HATCH[_stripes(missing.shape)[missing]]
    factor = whole_factor(image.shape, size)
    return jpeg(Image.fromarray(image.repeat(factor, axis=0).repeat(factor, axis=1)))


def _drawn(
    values: Map, low: float, high: float, ramp: UInt8[NDArray[np.uint8], "steps 3"], size: int | None
) -> Image.Image:
    shares = _shares(values, low, high)
    missing = ~np.isfinite(shares)
    indices = _indices(np.where(missing, 0, shares))
    factor = whole_factor(indices.shape, size)
    indices, missing = (a.repeat(factor, axis=0).repeat(factor, axis=1) for a in (indices, missing))
    indices = np.where(missing, STEPS + _stripes(indices.shape), indices).astype(np.uint8)
    return palette(indices, np.concatenate([ramp, _HATCH]))


def _shares(
    values: Float[NDArray[np.floating[Any]], "..."], low: float, high: float
) -> Float[NDArray[np.float64], "..."]:
    """Return each value as a share of the range from low (0) to high (1); NaN for values that are not finite."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"the limits of a map are {low:g} and {high:g}, but have to be finite and ascending")
    values = np.asarray(values, dtype=np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError("a map without a finite value can't be drawn")
    return np.where(finite, np.clip((np.where(finite, values, low) - low) / (high - low), 0, 1), np.nan)


def _indices(shares: Float[NDArray[np.floating[Any]], "rows cols"]) -> UInt8[NDArray[np.uint8], "rows cols"]:
    return np.asarray((shares * (STEPS - 1)).round(), dtype=np.uint8)


def _stripes(shape: tuple[int, ...]) -> Int[NDArray[np.int64], "rows cols"]:
    rows, cols = np.indices(shape[:2])
    return np.asarray((rows + cols) // 3 % 2, dtype=np.int64)


def _resized(values: Map, size: tuple[int, int]) -> Float[NDArray[np.float32], "height width"]:
    image = Image.fromarray(np.asarray(values, dtype=np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))


def _grey(pixels: Pixels) -> Float[NDArray[np.float32], "height width 1"]:
    return np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)[..., None]

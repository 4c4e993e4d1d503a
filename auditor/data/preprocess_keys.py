"""The keys of `[preprocess]`: what they may be, and what they are where they are left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from auditor import language
from auditor.data.decoding.stored import MAX_BANDS
from auditor.data.resizing import INTERPOLATIONS, UNFILTERED
from auditor.errors import UsageError, did_you_mean

KEYS: Final = (
    *("resize", "crop", "mean", "std", "scale", "color", "interpolation", "invert"),
    *("channels", "show", "range", "exif", "alpha", "antialias"),
)
COLORS: Final = ("rgb", "bgr", "gray")
BANDS: Final = "bands"
"""The `color` of a network that takes neither one channel nor three."""
ALPHAS: Final = ("white", "black", "drop")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LARGEST_SIDE: Final = 8192
LARGEST_INPUT: Final = 2**26  # bytes of one image in float32: 2,364 pixels square in three channels
_LARGEST_SCALE: Final = 1e6  # of mean and std, and the inverse of the smallest std

Limits = tuple[float, float]


def fields(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a preprocessing for these keys.

    Raises:
        UsageError: A key is unknown, or its value has the wrong type, length or size.
    """
    for key in mapping:
        if key not in KEYS:
            raise UsageError(f"preprocess has no key {key!r}; it has: {', '.join(KEYS)}{did_you_mean(key, KEYS)}")
    color, channels = _colour(mapping)
    limits = _limits(mapping.get("range"))
    scale = _scale(mapping.get("scale", 1), limits)
    resize, crop = _sizes(mapping)
    mean, std = _usual(color, scale, channels)
    _refuse_large(crop, channels)
    interpolation = one_of("interpolation", mapping.get("interpolation", "bilinear"), tuple(INTERPOLATIONS))
    return {
        "resize": resize,
        "crop": crop,
        "mean": _channels("mean", mapping.get("mean", mean), channels),
        "std": _positive("std", _channels("std", mapping.get("std", std), channels)),
        "scale": scale,
        "color": color,
        "interpolation": interpolation,
        "invert": _flag("invert", mapping.get("invert", False)),
        "show": _show(mapping.get("show"), channels),
        "limits": limits,
        "exif": _flag("exif", mapping.get("exif", True)),
        "alpha": one_of("alpha", mapping.get("alpha", "white"), ALPHAS),
        "antialias": _antialias(mapping.get("antialias", True), interpolation),
    }


def _colour(mapping: Mapping[str, Any]) -> tuple[str, int]:
    """Return the colours and the number of channels, either of which follows from the other."""
    channels = mapping.get("channels")
    if channels is None:
        color = one_of("color", mapping.get("color", "rgb"), COLORS)
        return color, 1 if color == "gray" else 3
    if isinstance(channels, bool) or not isinstance(channels, int) or not 1 <= channels <= MAX_BANDS:
        raise UsageError(f"preprocess.channels is {channels!r}, but has to be a whole number from 1 to {MAX_BANDS}")
    usual = {1: "gray", 3: "rgb"}.get(channels, BANDS)
    if "color" not in mapping:
        return usual, channels
    color = one_of("color", mapping["color"], COLORS)
    own = 1 if color == "gray" else 3
    if own != channels:
        raise UsageError(
            f"preprocess.channels is {channels}, but color {color!r} has {own}; leave out one of the two keys"
        )
    return color, channels


def _limits(value: Any) -> Limits | None:
    if value is None:
        return None
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if len(numbers) != 2 or not all(_is_finite(number) for number in numbers) or numbers[0] >= numbers[1]:
        raise UsageError(f"preprocess.range is {value!r}, but has to be [black, white]: two numbers, ascending")
    return float(numbers[0]), float(numbers[1])


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e12


def _scale(value: Any, limits: Limits | None) -> int:
    """Return what full intensity becomes: 1, 255, or the value that it has in the file."""
    if limits is not None and not isinstance(value, bool) and value == limits[1] and limits[1] == round(limits[1]) > 0:
        return round(limits[1])
    try:
        return int(one_of("scale", value, (1, 255)))
    except UsageError as error:
        more = f"; or the upper end of range, {limits[1]:g}" if limits else ""
        raise UsageError(f"{error}{more}") from None


def _show(value: Any, channels: int) -> tuple[int, ...]:
    if value is None:
        return ()
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    fit = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < channels for n in numbers)
    if len(numbers) not in (1, 3) or not fit:
        raise UsageError(
            f"preprocess.show is {value!r}, but has to be [red, green, blue] or one channel, "
            f"each from 0 to {channels - 1}"
        )
    return tuple(numbers)


def _antialias(value: Any, interpolation: str) -> bool:
    if _flag("antialias", value) or interpolation in UNFILTERED:
        return bool(value)
    raise UsageError(
        f"preprocess.antialias is false, but interpolation is {interpolation!r}; expected one of: "
        f"{', '.join(UNFILTERED)}"
    )


def _usual(color: str, scale: int, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return ImageNet's mean and std for this scale and order of channels; for other channels 0 and 1."""
    if color == BANDS:
        return (0.0,) * channels, (1.0,) * channels
    mean, std = np.array(MEAN) * scale, np.array(STD) * scale
    if color == "gray":
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    order = -1 if color == "bgr" else 1
    return tuple(mean[::order].tolist()), tuple(std[::order].tolist())


def _sizes(mapping: Mapping[str, Any]) -> tuple[int | tuple[int, int] | None, tuple[int, int]]:
    resize = _resize(mapping["resize"]) if "resize" in mapping else None
    crop = _crop(mapping["crop"]) if mapping.get("crop") is not None else None
    if crop is None:
        crop = (224, 224) if resize is None else _pair(resize)
    if "resize" not in mapping:
        resize = round(max(crop) / 0.875)
    if resize is not None and any(c > r for c, r in zip(crop, _pair(resize), strict=True)):
        raise UsageError(f"preprocess.crop {_shown(crop)} is larger than preprocess.resize {_shown(resize)}")
    return resize, crop


def _resize(value: Any) -> int | tuple[int, int] | None:
    if value is None or value is False or value == "none":
        return None
    return _side("resize", value) if isinstance(value, int) else _sides("resize", value)


def _crop(value: Any) -> tuple[int, int]:
    return _pair(_side("crop", value)) if isinstance(value, int) else _sides("crop", value)


def _sides(key: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) not in (1, 2):
        raise UsageError(f"preprocess.{key} is {value!r}, but has to be a number of pixels or [rows, columns]")
    return _side(key, value[0]), _side(key, value[-1])


def _side(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_SIDE:
        raise UsageError(f"preprocess.{key} is {value!r}, but has to be a whole number from 1 to {LARGEST_SIDE}")
    return value


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _refuse_large(crop: tuple[int, int], channels: int) -> None:
    size = crop[0] * crop[1] * channels * 4
    if size > LARGEST_INPUT:
        raise UsageError(
            f"preprocess.crop {_shown(crop)} takes {size:,} bytes for each image; expected at most {LARGEST_INPUT:,}"
        )


def _shown(size: int | tuple[int, int]) -> str:
    return " x ".join(map(str, _pair(size)))


def _channels(key: str, value: Any, channels: int) -> tuple[float, ...]:
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if len(numbers) not in (1, channels) or not all(_is_number(number) for number in numbers):
        wanted = "a number" if channels == 1 else f"{channels} numbers, one a channel, or one for all"
        several = f"; or set channels = {len(numbers)}" if len(numbers) > 1 else ""
        raise UsageError(f"preprocess.{key} is {language.short(repr(value), 80)}, but has to be {wanted}{several}")
    return tuple(float(number) for number in numbers) * (channels // len(numbers))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST_SCALE


def _positive(key: str, values: tuple[float, ...]) -> tuple[float, ...]:
    if min(values) < 1 / _LARGEST_SCALE:
        raise UsageError(f"preprocess.{key} is {list(values)}, but has to be over 0: every channel is divided by it")
    return values


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"preprocess.{key} is {value!r}, but has to be true or false")
    return value


def one_of(key: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """Return a value that is one of those that are allowed.

    Raises:
        UsageError: It is another one.
    """
    if value not in allowed or isinstance(value, bool):
        hint = did_you_mean(value, map(str, allowed)) if isinstance(value, str) else ""
        raise UsageError(f"preprocess.{key} is {value!r}, but has to be {' or '.join(map(repr, allowed))}{hint}")
    return value

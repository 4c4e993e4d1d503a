"""The preprocessing that an architecture's library declares, in the keys of `[preprocess]`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

KEYS = ("resize", "crop", "mean", "std", "scale", "color", "interpolation", "invert")
_INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")


def of_torchvision(transforms: Any) -> dict[str, Any]:
    """Return the preprocessing of torchvision's `weights.transforms()`."""
    return {
        "resize": _size(transforms.resize_size),
        "crop": _size(transforms.crop_size),
        "mean": list(transforms.mean),
        "std": list(transforms.std),
        "scale": 1,
        "color": "rgb",
        "interpolation": transforms.interpolation.value,
    }


def of_timm(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the preprocessing of a timm configuration (`pretrained_cfg`), None if the configuration is incomplete."""
    try:
        channels, rows, cols = (int(v) for v in config["input_size"])
        share = float(config.get("crop_pct") or 0.875)
        mean, std = ([float(v) for v in config[key]] for key in ("mean", "std"))
        resize = [math.floor(rows / share), math.floor(cols / share)]
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    shortest = rows == cols and config.get("crop_mode") != "squash"
    interpolation = config.get("interpolation")
    return {
        "resize": resize[0] if shortest else resize,
        "crop": rows if rows == cols else [rows, cols],
        "mean": mean,
        "std": std,
        "scale": 1,
        "color": "gray" if channels == 1 else "rgb",
        "interpolation": interpolation if interpolation in _INTERPOLATIONS else "bilinear",
    }


def at_size(described: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a library's preprocessing for the size and the channels with which a network was built.

    The image is resized in proportion. Of one channel, mean and std are the average of the library's.

    Args:
        arguments: Those of the builder; `img_size`, `image_size` and `in_chans` are heeded.
    """
    found = dict(described)
    size = arguments.get("img_size") or arguments.get("image_size")
    sides = [side for side in (size if isinstance(size, list | tuple) else (size, size)) if isinstance(side, int)]
    if len(sides) == 2 and min(sides) > 0:
        before = found["crop"] if isinstance(found["crop"], int) else found["crop"][0]
        resized = found["resize"] if isinstance(found["resize"], int) else found["resize"][0]
        larger = [math.floor(side * resized / before) for side in sides]
        square = sides[0] == sides[1]
        found |= {"crop": sides[0] if square else sides}
        found |= {"resize": larger[0] if square and isinstance(found["resize"], int) else larger}
    if arguments.get("in_chans") == 1 and len(found["mean"]) != 1:
        average = {key: [sum(found[key]) / len(found[key])] for key in ("mean", "std")}
        found |= {"color": "gray", **average}
    return found


def _size(sizes: Sequence[int]) -> int | list[int]:
    return sizes[0] if len(sizes) == 1 else list(sizes)

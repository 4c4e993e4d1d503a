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


def _size(sizes: Sequence[int]) -> int | list[int]:
    return sizes[0] if len(sizes) == 1 else list(sizes)

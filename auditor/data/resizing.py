"""Resizing and centre cropping, with torchvision's rounding to the pixel.

With antialiasing, an image is shrunk as Pillow does. Without it, it is shrunk as OpenCV and torchvision's tensors
before version 0.17 do: each new pixel is interpolated between its nearest old ones, and the others are left out.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from jaxtyping import Float32
from PIL import Image
from torch.nn import functional

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

AREA: Final = "area"
INTERPOLATIONS: Final = {**{mode.name.lower(): mode for mode in Image.Resampling}, AREA: None}
UNFILTERED: Final = ("bilinear", "bicubic", "nearest", AREA)
"""The interpolations that exist without antialiasing; that of `area` is the same with it."""


def resized_size(size: tuple[int, int], resize: int | tuple[int, int] | None) -> tuple[int, int]:
    """Return width and height after resizing an image of `size`, also width and height.

    Args:
        resize: The shorter side, `(rows, columns)` exactly, or None.
    """
    if resize is None:
        return size
    if isinstance(resize, tuple):
        return resize[1], resize[0]
    width, height = size
    if width <= height:
        return resize, int(resize * height / width)
    return int(resize * width / height), resize


def crop_offset(size: tuple[int, int], crop: tuple[int, int]) -> tuple[int, int]:
    """Return the column and the row at which the centre crop of an image begins; negative if it is padded."""
    (width, height), (rows, columns) = size, crop
    return _begin(width, columns), _begin(height, rows)


def _begin(length: int, wanted: int) -> int:
    if wanted > length:
        return -((wanted - length) // 2)
    return round((length - wanted) / 2)


def centre_crop(image: Image.Image, crop: tuple[int, int]) -> Image.Image:
    """Return the centre crop of `(rows, columns)`, padded with black if the image is smaller."""
    left, top = crop_offset(image.size, crop)
    return image.crop((left, top, left + crop[1], top + crop[0]))


def resized(image: Image.Image, size: tuple[int, int], interpolation: str, *, antialias: bool = True) -> Image.Image:
    """Return a picture of 8 bits in another size, also width and height."""
    if size == image.size:
        return image
    if antialias and interpolation != AREA:
        return image.resize(size, INTERPOLATIONS[interpolation])
    levels = np.asarray(image, np.float32)
    planes = np.ascontiguousarray(np.atleast_3d(levels).transpose(2, 0, 1))
    new = resized_planes(planes, size, interpolation, antialias=antialias).transpose(1, 2, 0)
    rounded = np.rint(new).clip(0, 255).astype(np.uint8)
    return Image.fromarray(rounded if levels.ndim == 3 else rounded[..., 0])


def resized_planes(
    planes: Float32[np.ndarray, "c h w"], size: tuple[int, int], interpolation: str, *, antialias: bool = True
) -> Float32[np.ndarray, "c rows cols"]:
    """Return planes of any numbers in another width and height."""
    if size == planes.shape[:0:-1]:
        return planes
    if interpolation == AREA:
        return _by_area(planes, size)
    if antialias:
        mode = INTERPOLATIONS[interpolation]
        return np.stack([np.asarray(Image.fromarray(plane).resize(size, mode)) for plane in planes])
    smooth = None if interpolation == "nearest" else False
    found = functional.interpolate(
        torch.from_numpy(planes)[None], size[::-1], mode=interpolation, align_corners=smooth, antialias=False
    )
    return np.asarray(found[0].numpy())


def _by_area(planes: Float32[np.ndarray, "c h w"], size: tuple[int, int]) -> Float32[np.ndarray, "c rows cols"]:
    """Return the mean of the area that each new pixel covers, as OpenCV's INTER_AREA."""
    down, across = _covered(planes.shape[1], size[1]), _covered(planes.shape[2], size[0])
    return np.asarray(down @ (planes @ across.T), np.float32)


def _covered(old: int, new: int) -> Float32[np.ndarray, "new old"]:
    """Return the share of each old pixel in each new one, along one side."""
    edges = np.arange(new + 1) * (old / new)
    pixels = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(overlap.clip(0) * (new / old), np.float32)

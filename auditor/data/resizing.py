"""Resizing and centre cropping, with torchvision's rounding to the pixel."""

from __future__ import annotations

from PIL import Image

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


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

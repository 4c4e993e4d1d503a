"""Encode pictures as PNG or JPEG, and resize them."""

from __future__ import annotations

import io
from math import ceil

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

SMALLEST = 224
"""The default length of the longer side of an enlarged map, in pixels."""


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    """Encode a photograph as JPEG, without subsampling of the colours.

    Pillow's `optimize` is off: it saves a few percent, but fails if the file takes more than a byte for each pixel,
    as for noise.
    """
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def png(image: Image.Image) -> bytes:
    """Encode line art or a map as PNG; a palette picture stays one."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def lighter(drawn: bytes) -> bytes:
    """Return a picture as JPEG if that takes less than half the bytes, as for a map that is as fine as noise."""
    with Image.open(io.BytesIO(drawn)) as opened:
        photo = jpeg(opened)
    return photo if 2 * len(photo) < len(drawn) else drawn


def palette(
    indices: UInt8[NDArray[np.uint8], "rows cols"], colours: UInt8[NDArray[np.uint8], "count 3"]
) -> Image.Image:
    """Return a palette picture of at most 256 colours."""
    image = Image.fromarray(indices, "L")
    image.putpalette(colours.tobytes(), "RGB")
    return image


def fitted(image: Image.Image, size: int | None) -> Image.Image:
    """Return the picture with its longer side `size` pixels long, smoothly resampled."""
    if size is None or size == max(image.size):
        return image
    width, height = (max(1, round(side * size / max(image.size))) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def whole_factor(shape: tuple[int, ...], size: int | None) -> int:
    """Return the number of pixels for each cell of a map, so that all cells have the same size."""
    longest = max(shape[:2])
    return max(1, size // longest) if size else max(1, ceil(SMALLEST / longest))

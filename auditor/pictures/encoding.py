"""Pixels to the bytes of a file, and to another size."""

from __future__ import annotations

import io
from math import ceil

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

SMALLEST = 224
"""The longer side that a small map is enlarged to, where no other is asked for."""


def jpeg(image: Image.Image, quality: int = 88) -> bytes:
    """Encode a photograph, with its colours as sharp as its lightness.

    Without Pillow's `optimize`, which saves a few percent, and breaks where the file takes more than a byte a pixel,
    as one of noise does.
    """
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def png(image: Image.Image) -> bytes:
    """Encode line art or a map; a palette picture stays one."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def lighter(drawn: bytes) -> bytes:
    """Return a picture as JPEG where that takes less than half as many bytes: a map as fine as noise does."""
    with Image.open(io.BytesIO(drawn)) as opened:
        photo = jpeg(opened)
    return photo if 2 * len(photo) < len(drawn) else drawn


def palette(
    indices: UInt8[NDArray[np.uint8], "rows cols"], colours: UInt8[NDArray[np.uint8], "count 3"]
) -> Image.Image:
    """Return a picture of at most 256 colours."""
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
    """Return how many pixels a cell of a map may take, so that every cell is equally large."""
    longest = max(shape[:2])
    return max(1, size // longest) if size else max(1, ceil(SMALLEST / longest))

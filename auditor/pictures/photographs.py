"""Photographs, and grids of small pictures."""

from __future__ import annotations

from math import ceil, sqrt

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image

from auditor.pictures.encoding import fitted, jpeg, palette, png

_GAP_COLOUR = 255


def photo(pixels: UInt8[NDArray[np.uint8], "height width 3"], size: int | None = None) -> bytes:
    """Encode a photograph as JPEG.

    Args:
        size: The length of the longer side in pixels; None keeps the size.
    """
    return jpeg(fitted(Image.fromarray(np.ascontiguousarray(pixels)), size))


def tiles(
    images: UInt8[NDArray[np.uint8], "n height width *channels"],
    *,
    columns: int | None = None,
    gap: int = 1,
    enlarge: int = 1,
) -> bytes:
    """Draw small pictures (filters, channels, patches) as one grid, row by row, as PNG.

    Args:
        columns: The number of columns; None makes the grid about square.
        gap: White pixels between two tiles, after enlarging.
        enlarge: The factor by which tiles are enlarged, without smoothing.

    Raises:
        ValueError: There are no tiles.
    """
    if not len(images):
        raise ValueError("a grid needs at least one tile")
    columns = columns or ceil(sqrt(len(images)))
    rows = ceil(len(images) / columns)
    large = images.repeat(enlarge, axis=1).repeat(enlarge, axis=2)  # [n, height, width, *channels]
    height, width = large.shape[1] + gap, large.shape[2] + gap
    grid = np.full((rows * height - gap, columns * width - gap, *large.shape[3:]), _GAP_COLOUR, dtype=np.uint8)
    for index, tile in enumerate(large):
        top, left = index // columns * height, index % columns * width
        grid[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return png(_few_colours(Image.fromarray(grid)))


def _few_colours(image: Image.Image) -> Image.Image:
    """Return a palette picture, which is much smaller, if the image has at most 256 colours."""
    if image.mode == "L" or image.getcolors(256) is None:
        return image
    pixels = np.asarray(image, dtype=np.uint32)
    packed = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    found, indices = np.unique(packed, return_inverse=True)
    colours = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1).astype(np.uint8)
    return palette(indices.reshape(packed.shape).astype(np.uint8), colours)

"""Crops of photographs: a part, its outline in the image, a signal at its pixels, and sheets of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from auditor.pictures.encoding import fitted, jpeg

Box = tuple[float, float, float, float]
"""Left, top, right, bottom: edges, not pixel centres."""

_FEW = 48  # pixels: the pixels of a smaller part are drawn as squares
_SEEN = 12  # pixels: the smallest visible outline
_LINE, _HALO = "#ff9f1c", "#1f2933"


def part(image: Image.Image, box: Box, size: int) -> Image.Image:
    """Return a part of an image with its longer side `size` pixels long.

    The part outside of the image is left out. If all of it is outside, a black square is returned, like the padding
    that the network sees there.
    """
    left, top = max(0.0, box[0]), max(0.0, box[1])
    right, bottom = min(float(image.width), box[2]), min(float(image.height), box[3])
    across, down = right - left, bottom - top
    if across <= 0 or down <= 0:
        return Image.new("RGB", (size, size))
    way = Image.Resampling.NEAREST if max(across, down) < _FEW else Image.Resampling.BICUBIC
    return image.resize(_sides(across, down, size), way, box=(left, top, left + across, top + down))


def outlined(image: Image.Image, box: Box, size: int) -> Image.Image:
    """Return an image with its longer side `size` pixels long and an outline of a part of it, if it is not empty."""
    small = fitted(image.convert("RGB"), size)
    if box[2] <= box[0] or box[3] <= box[1]:
        return small
    left, right = _ends(box[0] * small.width / image.width, box[2] * small.width / image.width, small.width)
    top, bottom = _ends(box[1] * small.height / image.height, box[3] * small.height / image.height, small.height)
    draw = ImageDraw.Draw(small)
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=_HALO, width=4)
    draw.rectangle((left, top, right, bottom), outline=_LINE, width=2)
    return small


def _ends(first: float, last: float, length: int) -> tuple[int, int]:
    """Return where an outline begins and ends; it is long enough to be visible."""
    first, last = min(max(first, 0.0), float(length)), min(max(last, 0.0), float(length))
    short = max(0.0, _SEEN - (last - first)) / 2
    return max(0, round(first - short)), min(length, round(last + short)) - 1


def signal(values: Float[NDArray[np.floating], "c h w"], limit: float) -> Image.Image:
    """Return a signal at the pixels in its own colours: zero is grey, `-limit` and `limit` are full intensity."""
    shares = np.clip(np.nan_to_num(values) / (limit or 1.0), -1, 1)
    levels = np.round((shares + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3))))


def stacked(images: Sequence[Image.Image], width: int, gap: int = 4) -> bytes:
    """Encode images in one column, each in the middle of a square of `width` pixels, as JPEG."""
    return sheet(images, 1, width, gap)


def sheet(images: Sequence[Image.Image], columns: int, side: int, gap: int = 2) -> bytes:
    """Encode images on a sheet, row by row, each in a square of `side` pixels, as JPEG."""
    rows = -(-len(images) // columns)
    whole = Image.new("RGB", (columns * (side + gap) - gap, rows * (side + gap) - gap), "white")
    for number, image in enumerate(images):
        left, top = number % columns * (side + gap), number // columns * (side + gap)
        small = fitted(image, side)
        whole.paste(small, (left + (side - small.width) // 2, top + (side - small.height) // 2))
    return jpeg(whole)


def _sides(across: float, down: float, size: int) -> tuple[int, int]:
    factor = size / max(across, down)
    return max(1, round(across * factor)), max(1, round(down * factor))

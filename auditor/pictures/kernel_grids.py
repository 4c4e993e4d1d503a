"""Grids of kernels with their numbers: one small picture for each kernel, or one for each input of each kernel.

The limits of the colours are arguments, so that all kernels of a layer share them; values beyond have the last colour.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from auditor.pictures.colours import STEPS, signed_ramp
from auditor.pictures.encoding import png

Tiles = UInt8[NDArray[np.uint8], "n height width 3"]

_WIDTH, _HEIGHT = 1240, 640  # pixels: the area that a report shows at once, at twice the density of a screen
_LARGEST = 120  # pixels: the largest side of a tile
_TEXT, _GAP = 18, 5
_INK, _EDGE = "#52606d", "#cbd2d9"


def coloured(kernels: Float[NDArray[np.floating[Any]], "n 3 h w"], limit: float) -> Tiles:
    """Return kernels over three colours as pictures: zero is grey, `-limit` and `limit` are full intensity."""
    shares = np.clip(kernels / (limit or 1.0), -1, 1)
    return np.asarray(((shares + 1) * 127.5).round().transpose(0, 2, 3, 1), dtype=np.uint8)


def weighted(kernels: Float[NDArray[np.floating[Any]], "n h w"], limit: float) -> Tiles:
    """Return kernels as pictures from blue (`-limit`) over near white to red (`limit`)."""
    shares = np.clip(kernels / (limit or 1.0), -1, 1)
    return np.asarray(signed_ramp()[((shares + 1) / 2 * (STEPS - 1)).round().astype(np.uint8)])


def numbered(tiles: Tiles, numbers: Sequence[int], marks: Mapping[int, str]) -> bytes:
    """Draw small pictures row by row, each with its number below, as PNG.

    Args:
        marks: The colours of highlighted numbers, and of the outlines of their pictures.
    """
    columns, side = _arranged(len(tiles))
    tiles, height, width = _enlarged(tiles, side, side)
    across, down = max(width, _TEXT * 2) + 2 * _GAP, height + _TEXT + 2 * _GAP
    sheet = Image.new("RGB", (columns * across, ceil(len(tiles) / columns) * down), "white")
    for place, (tile, number) in enumerate(zip(tiles, numbers, strict=True)):
        left, top = place % columns * across + (across - width) // 2, place // columns * down + _GAP
        _put(sheet, tile, left, top, marks.get(number, _EDGE))
        ink = marks.get(number, _INK)
        _pen(sheet).text((left + width / 2, top + height + 3), str(number), ink, _font(), anchor="ma")
    return png(sheet)


def channel_grid(
    kernels: Float[NDArray[np.floating[Any]], "n c h w"],
    limit: float,
    *,
    numbers: Sequence[int],
    inputs: Sequence[int],
    marks: Mapping[int, str],
) -> bytes:
    """Draw one column for each kernel and one row for each input, in the colours of `weighted`, as PNG.

    Args:
        numbers: The numbers of the kernels, above the columns.
        inputs: The numbers of the inputs, before the rows.
        marks: The colours of highlighted numbers of kernels.
    """
    n, c, h, w = kernels.shape
    side = min(60, (_WIDTH - 60) // n, (_HEIGHT - 60) // c)
    tiles, height, width = _enlarged(weighted(kernels.reshape(n * c, h, w), limit), side, side)
    gap = 0 if h * w == 1 else 3
    left, top = _longest(inputs) + 8, _longest(numbers) + 8
    across, down = width + gap, height + gap
    sheet = Image.new("RGB", (left + n * across, top + c * down), "white")
    for place, tile in enumerate(tiles):
        _put(sheet, tile, left + place // c * across, top + place % c * down, None)
    for place, number in enumerate(numbers):
        _upright(sheet, str(number), left + place * across + width // 2, top - 6, marks.get(number, _INK))
    for place, number in enumerate(inputs):
        middle = top + place * down + height / 2
        _pen(sheet).text((left - 6, middle), str(number), _INK, _font(), anchor="rm")
    return png(sheet)


def with_filter(drawn: bytes, tiles: Tiles, gap: int = 12) -> bytes:
    """Return a picture with the tiles of one filter below it, in a square of the same width, as PNG."""
    with Image.open(io.BytesIO(drawn)) as opened:
        above = opened.convert("RGB")
    across = ceil(sqrt(len(tiles)))
    side = min(above.width - 2 * gap, 2 * above.width // 3 if len(tiles) == 1 else above.width) // across - _GAP
    tiles, height, width = _enlarged(tiles, side, side)
    sheet = Image.new("RGB", (above.width, above.height + gap + ceil(len(tiles) / across) * (height + _GAP)), "white")
    sheet.paste(above)
    left = (sheet.width - across * (width + _GAP)) // 2
    for place, tile in enumerate(tiles):
        row, column = divmod(place, across)
        _put(sheet, tile, left + column * (width + _GAP), above.height + gap + row * (height + _GAP), _EDGE)
    return png(sheet)


def _arranged(count: int) -> tuple[int, int]:
    """Return the number of columns with which tiles are largest, and the side of a tile."""
    best = (1, 0)
    for columns in range(1, count + 1):
        down = _HEIGHT // ceil(count / columns) - _TEXT - 2 * _GAP
        side = min(_LARGEST, _WIDTH // columns - 2 * _GAP, down)
        best = (columns, side) if side >= best[1] else best
    return best[0], max(best[1], 12)


def _enlarged(tiles: Tiles, height: int, width: int) -> tuple[Tiles, int, int]:
    """Return tiles enlarged by the largest whole factor that fits, and their height and width."""
    factor = max(1, min(height // tiles.shape[1], width // tiles.shape[2]))
    large = tiles.repeat(factor, axis=1).repeat(factor, axis=2)
    return large, large.shape[1], large.shape[2]


def _put(sheet: Image.Image, tile: UInt8[NDArray[np.uint8], "height width 3"], left: int, top: int, edge: Any) -> None:
    if edge is not None:
        box = (left - 2, top - 2, left + tile.shape[1] + 1, top + tile.shape[0] + 1)
        _pen(sheet).rectangle(box, outline=edge, width=1 if edge == _EDGE else 2)
    sheet.paste(Image.fromarray(tile), (left, top))


def _upright(sheet: Image.Image, text: str, middle: int, bottom: int, ink: str) -> None:
    """Write upwards: columns are narrower than the text of their numbers."""
    line = Image.new("RGB", (_longest([text]), _TEXT + 2), "white")
    _pen(line).text((0, 0), text, ink, _font())
    turned = line.rotate(90, expand=True)
    sheet.paste(turned, (middle - turned.width // 2, bottom - turned.height))


def _longest(words: Sequence[object]) -> int:
    return max((ceil(_font().getlength(str(word))) for word in words), default=0)


def _pen(sheet: Image.Image) -> ImageDraw.ImageDraw:
    return ImageDraw.Draw(sheet)


def _font() -> Any:
    return ImageFont.load_default(_TEXT)

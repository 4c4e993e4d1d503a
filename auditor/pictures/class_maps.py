"""A map of classes, in colours and in digits."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from auditor.pictures.encoding import png, whole_factor

# Masataka Okabe and Kei Ito, Color Universal Design, 2008, without black; grey is for all other classes.
_COLOURS = ("#56b4e9", "#e69f00", "#009e73", "#f0e442", "#cc79a7", "#0072b2", "#d55e00")
_REST = "#b4b4b4"


def categories(places: Int[NDArray[np.integer[Any]], "rows cols"], size: int = 224) -> tuple[bytes, tuple[int, ...]]:
    """Draw a map of class indices as PNG, and return the indices of its digits, the most frequent first.

    A cell of the second most frequent class has the digit 2, and so on. The most frequent class has no digit;
    classes after the seventh are grey.

    Args:
        size: The largest length of the longer side, in pixels.
    """
    counted = Counter(places.ravel().tolist())
    named = tuple(sorted(counted, key=lambda number: (-counted[number], number))[: len(_COLOURS)])
    cell = whole_factor(places.shape, size)
    rows, cols = places.shape
    drawn = Image.new("RGB", (cols * cell, rows * cell), _REST)
    pen, font = ImageDraw.Draw(drawn), ImageFont.load_default(max(6, round(0.7 * cell)))
    for (row, col), number in np.ndenumerate(places):
        if int(number) in named:
            rank, left, top = named.index(int(number)), col * cell, row * cell
            pen.rectangle((left, top, left + cell - 1, top + cell - 1), fill=_COLOURS[rank])
            if rank and cell >= 8:
                pen.text((left + cell / 2, top + cell / 2), str(rank + 1), "#000000", font, anchor="mm")
    return png(drawn.quantize(64, dither=Image.Dither.NONE)), named

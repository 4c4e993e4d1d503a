"""The stages from an image to its scores: maps, features, and the probabilities of classes.

Maps are not smoothed: each cell is a square, so that the resolution of the map is visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from auditor.language import Message, _, joined, numeral
from auditor.pictures.colours import heat_scale
from auditor.pictures.encoding import lighter, png
from auditor.pictures.heat_maps import Map, heat
from auditor.results import Item

_SIDE = 336  # pixels: the largest side of a map
_WIDTH, _HEIGHT = 240, 384  # pixels: a narrow column
_CLASSES = 5
_TEXT, _LINE = 25, 28
_INK, _MUTED, _BAR, _EMPTY = "#1f2933", "#52606d", "#4a7ba6", "#e4e7eb"
_PAPER, _PLATE, _EDGE = "#ffffff", "#f0f2f4", "#cbd2d9"


def stage_item(values: Map, label: str, about: str, *, zero: str = "") -> Item:
    """Return a map without negative values, with square cells and a scale from its smallest to its largest value.

    Args:
        zero: The label if the map is zero everywhere, with the reason.
    """
    finite = values[np.isfinite(values)]
    if not finite.size or not finite.any():
        plate = _without_values(finite.size, values.size)
        reason = zero or plate if finite.size == values.size else plate
        alt = _("{map} of {about}: {reason}.", map=_lines(label)[0], about=about, reason=reason)
        return Item(written(plate, values.shape), joined(label, reason, between="\n"), alt=alt)
    low, high = float(finite.min()), float(finite.max())
    low = low if low < high else 0.0
    row, column = np.unravel_index(int(np.nanargmax(np.where(np.isfinite(values), values, np.nan))), values.shape)
    alt = _(
        "{map} of {about}: from {low:.3g} to {high:.3g}, strongest at row {row} and column {column} of {rows} x "
        "{columns}.",
        map=joined(*_lines(label), between=", "),
        about=about,
        low=float(finite.min()),
        high=high,
        row=row,
        column=column,
        rows=values.shape[0],
        columns=values.shape[1],
    )
    drawn = lighter(heat(values, low=low, high=high, size=_SIDE))
    return Item(drawn, label, alt=alt, scale=heat_scale(low, high))


def _lines(label: str) -> list[str]:
    """Return the lines of a label; of a message its parts, so that they can be said again in another language."""
    parts = label.recipe.get("parts") if isinstance(label, Message) else None
    return list(parts) if parts else label.split("\n")


def _without_values(finite: int, count: int) -> str:
    """Return what a map is without any finite value but zero."""
    if finite == count:
        return _("zero everywhere")
    return _("zero or not finite") if finite else _("no finite value")


def written(text: str, shape: tuple[int, ...] = (1, 1)) -> bytes:
    """Draw a few words in place of a picture of this shape: rows and columns."""
    rows, cols = shape[:2]
    width = round(_WIDTH * min(1.0, cols / rows))
    sheet = Image.new("RGB", (max(width, 96), max(round(_WIDTH * min(1.0, rows / cols)), 2 * _LINE)), _PLATE)
    pen = ImageDraw.Draw(sheet)
    pen.rectangle((0, 0, sheet.width - 1, sheet.height - 1), outline=_EDGE)
    font = _font(text)
    lines = _wrapped(text, sheet.width - 16, 3, font)
    top = (sheet.height - len(lines) * _LINE) / 2
    for number, line in enumerate(lines):
        pen.text((sheet.width / 2, top + (number + 0.5) * _LINE), line, _MUTED, font, anchor="mm")
    return _few(sheet)


def profile(values: Float[NDArray[np.floating[Any]], " d"]) -> bytes:
    """Draw the values of a vector as vertical bars, the largest first, with the ends of their scale.

    If there are more values than columns of pixels, each column shows one of them.
    """
    ranked = np.sort(np.nan_to_num(np.asarray(values, dtype=np.float64), posinf=0.0, neginf=0.0))[::-1]
    low, high = min(0.0, float(ranked[-1])), max(0.0, float(ranked[0]))
    sheet = Image.new("RGB", (_WIDTH, _WIDTH), _PAPER)
    pen = ImageDraw.Draw(sheet)
    top, bottom = _LINE + 10, _WIDTH - (12 if low == 0 else _LINE + 6)
    reach = (high - low) or 1.0
    zero = bottom - (0.0 - low) / reach * (bottom - top)
    for column in range(_WIDTH):
        value = ranked[int((column + 0.5) * len(ranked) / _WIDTH)]
        end = bottom - (value - low) / reach * (bottom - top)
        if round(end) != round(zero):
            pen.line((column, round(zero), column, round(end)), fill=_BAR)
    pen.line((0, round(zero), _WIDTH, round(zero)), fill=_MUTED)
    pen.text((4, 3), _number(high), _INK, _font())
    if low:
        pen.text((_WIDTH - 4, _WIDTH - 5), _number(low), _INK, _font(), anchor="rs")
    return _few(sheet)


def class_probabilities(
    names: Sequence[str], shares: Sequence[float], scores: Sequence[float], *, tall: bool = False
) -> bytes:
    """Draw the probabilities of some classes as bars in a narrow column, each below its name and its values.

    Args:
        shares: The probabilities, 0 to 1; a bar of the column's width is 1.
        scores: The scores before the softmax.
        tall: Use the height of five classes: reports show up to ten pictures and such a column in one row.
    """
    each = _HEIGHT // _CLASSES
    sheet = Image.new("RGB", (_WIDTH, _HEIGHT if tall else each * len(names)), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for place, (name, share, score) in enumerate(zip(names, shares, scores, strict=True)):
        top = place * each + 2
        (line,) = _wrapped(name, _WIDTH - 2, 1, _font(name))
        pen.text((1, top), line, _INK, _font(name))
        pen.text((1, top + _LINE - 1), numeral(share, ".1%").replace("\N{NO-BREAK SPACE}", " "), _MUTED, _font())
        pen.text((_WIDTH - 2, top + _LINE - 1), _number(score), _MUTED, _font(), anchor="ra")
        pen.rectangle((0, top + 2 * _LINE, _WIDTH - 1, top + 2 * _LINE + 9), fill=_EMPTY)
        pen.rectangle((0, top + 2 * _LINE, max(1, round(share * (_WIDTH - 1))), top + 2 * _LINE + 9), fill=_BAR)
    return _few(sheet)


def _wrapped(text: str, width: int, most: int, font: Any) -> list[str]:
    """Return a text in at most `most` lines of a width, cut with an ellipsis if it is longer."""
    words = "".join(c if c.isprintable() else " " for c in text).split() or [""]
    lines = [words[0]]
    for word in words[1:]:
        joined = f"{lines[-1]} {word}"
        if len(lines) == most or font.getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return [_cut(line, width, font) for line in lines]


def _cut(line: str, width: int, font: Any) -> str:
    if font.getlength(line) <= width:
        return line
    while line and font.getlength(f"{line}…") > width:
        line = line[:-1]
    return f"{line.rstrip()}…"


def _number(value: float) -> str:
    return numeral(value, ".3g")  # with a hyphen: the font has no minus


def _font(text: str = "") -> Any:
    """Return Pillow's own font, or for other letters than ASCII the font of the plots, which is wider."""
    return ImageFont.load_default(_TEXT) if text.isascii() else _wide_font()


@cache
def _wide_font() -> Any:
    from matplotlib import get_data_path

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", _TEXT - 4)


def _few(sheet: Image.Image) -> bytes:
    return png(sheet.quantize(64, dither=Image.Dither.NONE))

"""Validation of the evidence that a check yields: types, pictures, finite values, levels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from auditor.judging.grounds import GROUNDS
from auditor.language import _
from auditor.results import Evidence, Figure, Finding, Gallery, Item, Table, Verdict

_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_CELLS = (str, int, float, bool, type(None))


def refuse_malformed(piece: Evidence) -> None:
    """Refuse evidence that no report could show.

    Raises:
        TypeError: A field has a wrong type. The message names it.
    """
    match piece:
        case Finding():
            _texts(piece, "rule", "message", "subject", "unit", "detail")
            if not isinstance(piece.verdict, Verdict):
                raise TypeError(f"{piece.rule} has the verdict {piece.verdict!r}, but has to be an auditor.Verdict")
            _relations(piece)
        case Figure():
            _texts(piece, "title", "caption", "alt")
            _about(piece)
            _picture(piece.image, piece.title)
        case Gallery():
            _texts(piece, "title", "caption")
            _about(piece)
            if not all(isinstance(method, str) for method in piece.methods):
                raise TypeError(f"gallery {piece.title!r} has the methods {piece.methods!r}, which have to be texts")
            for item in piece.items:
                if not isinstance(item, Item):
                    raise TypeError(
                        f"gallery {piece.title!r} contains a {type(item).__name__}, but has to contain items"
                    )
                _texts(item, "label", "file", "alt", "role")
                _picture(item.image, item.label)
        case Table():
            _texts(piece, "title", "caption")
            _rows(piece)


def measured(finding: Finding) -> Finding:
    """Return the finding; as an error if its value is NaN, unless it fails already."""
    value = finding.value
    if value is None or not math.isnan(value) or finding.verdict in (Verdict.FAIL, Verdict.ERROR):
        return finding
    return replace(
        finding, verdict=Verdict.ERROR, message=_("{message} (the value is not a number)", message=finding.message)
    )


def levelled(piece: Evidence, levels: Mapping[str, str]) -> Evidence:
    """Return a piece of evidence; a finding that warns or fails gets the verdict of its rule in `levels`, if any."""
    if not isinstance(piece, Finding) or piece.rule not in levels:
        return piece
    if piece.verdict not in (Verdict.WARN, Verdict.FAIL):
        return piece
    return replace(piece, verdict=Verdict[levels[piece.rule].upper()])


def _texts(piece: object, *names: str) -> None:
    for name in names:
        value = getattr(piece, name)
        if not isinstance(value, str):
            raise TypeError(f"{type(piece).__name__}.{name} is {value!r}, but has to be text")


def _relations(finding: Finding) -> None:
    for name, kind, what in (("channels", int, "integers"), ("causes", str, "texts"), ("ends", str, "texts")):
        value = getattr(finding, name)
        if not isinstance(value, tuple) or not all(isinstance(one, kind) for one in value):
            raise TypeError(f"{finding.rule} has {name} = {value!r}, which has to be a tuple of {what}")
    if unknown := set(finding.ends) - set(GROUNDS):
        raise TypeError(f"{finding.rule} ends {sorted(unknown)}; there are: {', '.join(GROUNDS)}")


def _about(piece: Figure | Gallery) -> None:
    for name, value in piece.about.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"{piece.title!r} has {name!r} = {value!r} in about, but both have to be text")


def _picture(image: object, title: str) -> None:
    if not isinstance(image, bytes) or not image.startswith(_PICTURES):
        raise TypeError(f"the picture {title!r} is a {type(image).__name__}, but has to be the bytes of a PNG or JPEG")


def _rows(table: Table) -> None:
    for row in table.rows:
        if len(row) != len(table.columns):
            raise TypeError(f"table {table.title!r} has {len(table.columns)} columns, but a row of {len(row)} cells")
        for cell in row:
            if not isinstance(cell, _CELLS):
                raise TypeError(
                    f"table {table.title!r} contains a {type(cell).__name__}, but a cell has to be text, a number, a "
                    "bool or None"
                )

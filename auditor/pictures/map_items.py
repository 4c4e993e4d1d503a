"""Attribution maps as pictures of a row, each with a numeric colour bar.

The colours of a map end at the 99.5th percentile of its pixels; the values above have the last colour.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auditor.language import _
from auditor.pictures.colours import heat_scale, signed_scale
from auditor.pictures.encoding import lighter
from auditor.pictures.heat_maps import Map, Pixels, heat, overlay, signed
from auditor.results import Item

_SHOWN = 0.995


def limit_of(maps: Sequence[Map]) -> float:
    """Return the value at which the colours of some maps end: 0 if they are zero everywhere or not finite."""
    finite = np.concatenate([np.abs(values[np.isfinite(values)]) for values in maps])
    if not finite.size:
        return 0.0
    return float(np.quantile(finite, _SHOWN)) or float(finite.max())


def signed_item(values: Map, name: str, about: str, *, limit: float | None = None) -> Item:
    """Return a map around zero as a picture.

    Args:
        name: The name of the map, for its label.
        about: The image or class of the map, for the alternative text.
        limit: The value at which the colours end, for maps that share them.
    """
    end = limit_of([values]) if limit is None else limit
    drawn = lighter(signed(_drawable(values), limit=end or 1.0))
    return Item(drawn, _named(name, values), alt=_alt(values, name, about), scale=signed_scale(end) if end else None)


def heat_item(values: Map, name: str, about: str, *, limit: float | None = None) -> Item:
    """Return a map without negative values as a picture."""
    end = limit_of([values]) if limit is None else limit
    drawn = lighter(heat(_drawable(values), low=0.0, high=end or 1.0))
    return Item(drawn, _named(name, values), alt=_alt(values, name, about), scale=heat_scale(0, end) if end else None)


def overlay_item(
    pixels: Pixels,
    values: Map,
    name: str,
    about: str,
    *,
    limit: float | None = None,
    low: float = 0.0,
    file: str = "",
) -> Item:
    """Return a map without negative values over the photograph in grey; its colours end at its maximum.

    Args:
        low: The value at which the colours begin.
        file: The photograph's name, if a row shows several.
    """
    end = float(values[np.isfinite(values)].max(initial=0.0)) if limit is None else limit
    drawn = overlay(pixels, _drawable(values), low=low, high=end or 1.0)
    scale = heat_scale(low, end) if end else None
    return Item(drawn, _named(name, values), None, file, _alt(values, name, about), scale, role="overlay")


def _drawable(values: Map) -> Map:
    return values if np.isfinite(values).any() else np.zeros_like(values)


def _named(name: str, values: Map) -> str:
    if not np.isfinite(values).any():
        return _("{name}: no finite value", name=name)
    if not np.isfinite(values).all():
        return _("{name}: some values not finite", name=name)
    return name if values.any() else _("{name}: zero everywhere", name=name)


def _alt(values: Map, name: str, about: str) -> str:
    finite = np.where(np.isfinite(values), np.abs(values), -1.0)
    if finite.max() <= 0:
        return _("{map} of {about}.", map=_named(name, values), about=about)
    row, column = np.unravel_index(finite.argmax(), finite.shape)
    return _(
        "{map} of {about}: strongest at row {row} and column {column} of {rows} x {columns}.",
        map=name,
        about=about,
        row=row,
        column=column,
        rows=finite.shape[0],
        columns=finite.shape[1],
    )

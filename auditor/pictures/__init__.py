"""Pictures as PNG or JPEG bytes, made from numpy arrays.

    from auditor import pictures

    pictures.photo(pixels)                              # a photograph
    pictures.heat(values, low=0, high=1)                # a map without negative values
    pictures.signed(values, limit=3)                    # a map around zero
    pictures.heat_scale(0, 1, "activation")             # the colour bar of such a map

Photographs and overlays become JPEG; maps and line art become PNG with few colours. Maps use
perceptually uniform colours that colour-blind readers can distinguish. Everything is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.pictures.class_maps import categories
    from auditor.pictures.colours import heat_scale, signed_scale
    from auditor.pictures.crops import outlined, part, sheet, signal, stacked
    from auditor.pictures.heat_maps import colour, heat, overlay, signed
    from auditor.pictures.kernel_grids import channel_grid, coloured, numbered, weighted, with_filter
    from auditor.pictures.map_items import heat_item, limit_of, overlay_item, signed_item
    from auditor.pictures.photographs import photo, tiles
    from auditor.pictures.plots import bars, curves, distribution, histogram, lines, matrix, ranked, reliability
    from auditor.pictures.stage_items import class_probabilities, profile, stage_item, written

__all__ = [
    "bars",
    "categories",
    "channel_grid",
    "class_probabilities",
    "colour",
    "coloured",
    "curves",
    "distribution",
    "heat",
    "heat_item",
    "heat_scale",
    "histogram",
    "limit_of",
    "lines",
    "matrix",
    "numbered",
    "outlined",
    "overlay",
    "overlay_item",
    "part",
    "photo",
    "profile",
    "ranked",
    "reliability",
    "sheet",
    "signal",
    "signed",
    "signed_item",
    "signed_scale",
    "stacked",
    "stage_item",
    "tiles",
    "weighted",
    "with_filter",
    "written",
]

_HOMES = {
    "map_items": ("heat_item", "limit_of", "overlay_item", "signed_item"),
    "class_maps": ("categories",),
    "colours": ("heat_scale", "signed_scale"),
    "kernel_grids": ("channel_grid", "coloured", "numbered", "weighted", "with_filter"),
    "heat_maps": ("colour", "heat", "overlay", "signed"),
    "crops": ("outlined", "part", "sheet", "signal", "stacked"),
    "photographs": ("photo", "tiles"),
    "plots": ("bars", "curves", "distribution", "histogram", "lines", "matrix", "ranked", "reliability"),
    "stage_items": ("class_probabilities", "profile", "stage_item", "written"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

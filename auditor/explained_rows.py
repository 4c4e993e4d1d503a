"""Rows of pictures for one image: each class by every method, and the classes side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from auditor import pictures
from auditor.explained import Explained, Maps
from auditor.methods.names import DECONVNET, GRAD_CAM, GRADIENT, GUIDED_BACKPROP, GUIDED_GRAD_CAM
from auditor.results import Gallery, Item

if TYPE_CHECKING:
    from auditor.context import Context, Sample
    from auditor.methods import Explanation
    from auditor.methods.targets import Position

_REMARK = "* Hardly changes when upper layers are randomised: no evidence of why it decided so."


def rows(context: Context, one: Explained) -> Iterator[Gallery]:
    """Show each class of an image by every method that applies, then the classes beside each other."""
    for place, target in enumerate(one.classes):
        named = class_of(context, one.sample, target)
        about = {"image": one.sample.name, "class": context.classes[target]}
        items = tuple(_row(context, one, place))
        title, caption = f"{one.sample.name}: {named}", _caption(one, place)
        yield Gallery(title, caption, items, about=about, methods=_methods(one))
    yield Gallery(
        f"{one.sample.name}: the classes side by side",
        "The pictures of one method share their scale.",
        tuple(_side_by_side(context, one)),
        about={"image": one.sample.name},
    )


def unit_row(context: Context, sample: Sample, found: Explanation, position: Position) -> Gallery:
    """Show one unit on one image by every method that is defined for it."""
    row, col, activation = (values.item() for values in (position.rows, position.cols, position.values))
    own = maps_of(found)
    title = f"{position.layer}, channel {position.channel}, on {sample.name}"
    caption = f"At row {row} and column {col} of its map, where its activation is {activation:.3g}."
    items = (photo(context, sample), *_signals(own, title))
    about = {"image": sample.name, "layer": position.layer, "channel": str(position.channel)}
    return Gallery(title, f"{caption} {_REMARK}" if "guided_backprop" in own else caption, items, about=about)


def maps_of(found: Explanation) -> dict[str, Maps]:
    """Return the maps of the first thing that was asked about, by method."""
    maps = {"gradient": found.gradient, "deconvnet": found.deconvnet, "guided_backprop": found.guided_backprop}
    return {name: values[0, 0].cpu().numpy() for name, values in maps.items() if values is not None}


def class_of(context: Context, sample: Sample, target: int) -> str:
    """Return a class in words: its name, what it is to this image, and its probability."""
    if not np.isfinite(sample.scores).all():
        return f"{context.classes[target]} (the scores are no numbers)"
    roles = ["answer" if target == sample.predicted else ""]
    roles += ["runner-up" if target == sample.ranked[1] else "", "true class" if target == sample.label else ""]
    share = f"{sample.probabilities[target]:.1%}"
    return f"{context.classes[target]} ({', '.join([*filter(None, roles), share])})"


def _methods(one: Explained) -> tuple[str, ...]:
    names = {"gradient": GRADIENT, "deconvnet": DECONVNET, "guided_backprop": GUIDED_BACKPROP, "grad_cam": GRAD_CAM}
    both = (GUIDED_GRAD_CAM,) if {"guided_backprop", "grad_cam"} <= one.maps.keys() else ()
    return (*(name for kind, name in names.items() if kind in one.maps), *both)


def _caption(one: Explained, place: int) -> str:
    said = []
    if not one.maps["gradient"][place].any():
        said.append("No pixel changes this score: it does not depend on the image.")
    elif "grad_cam" in one.maps:
        said.append(_against(one.maps["grad_cam"][place]))
    return " ".join(filter(None, [*said, _REMARK if "guided_backprop" in one.maps else ""]))


def _against(cam: Maps) -> str:
    mass = np.abs(cam).sum()
    if not np.isfinite(mass):
        return "Grad-CAM is no number in places: see saliency.nonfinite."
    if not mass:
        return "Grad-CAM has nothing to show: the layer's maps don't change this score."
    against = np.abs(cam[cam < 0]).sum() / mass
    if against >= 1:
        return "Grad-CAM is zero everywhere: all that the layer shows speaks against this class."
    if against < 0.005:
        return ""
    return f"Of Grad-CAM, {against:.0%} speaks against this class and is not shown."


def _row(context: Context, one: Explained, place: int) -> Iterator[Item]:
    about = f"{context.classes[one.classes[place]]} on {one.sample.name}"
    own = {name: values[place] for name, values in one.maps.items()}
    yield photo(context, one.sample)
    yield from _signals(own, about)
    if "grad_cam" in own:
        positive = np.maximum(own["grad_cam"], 0)
        yield pictures.overlay_item(one.sample.pixels, positive, "Grad-CAM", about)
        if "guided_backprop" in own:
            yield pictures.signed_item((own["guided_backprop"] * positive).sum(0), "guided Grad-CAM *", about)


def _signals(maps: Mapping[str, Maps], about: str) -> Iterator[Item]:
    """Show what arrived at the pixels, each `[c, h, w]`, summed over the colours."""
    yield pictures.signed_item(maps["gradient"].sum(0), "gradient", about)
    yield pictures.heat_item(np.abs(maps["gradient"]).max(0), "absolute gradient", about)
    if "guided_backprop" in maps:
        yield pictures.signed_item(maps["deconvnet"].sum(0), "deconvnet", about)
        yield pictures.signed_item(maps["guided_backprop"].sum(0), "guided backprop *", about)


def _side_by_side(context: Context, one: Explained) -> Iterator[Item]:
    yield photo(context, one.sample)
    names = [context.classes[target] for target in one.classes]
    limit = pictures.limit_of(list(one.absolute))
    for name, values in zip(names, one.absolute, strict=True):
        yield pictures.heat_item(values, f"absolute gradient: {name}", one.sample.name, limit=limit)
    if "grad_cam" not in one.maps:
        return
    positive = np.maximum(one.maps["grad_cam"], 0)
    highest = float(positive[np.isfinite(positive)].max(initial=0.0))
    for name, values in zip(names, positive, strict=True):
        yield pictures.overlay_item(one.sample.pixels, values, f"Grad-CAM: {name}", one.sample.name, limit=highest)


def photo(context: Context, sample: Sample) -> Item:
    """Return the image itself as the first picture of a row."""
    truth = "image" if sample.label is None else f"image of {context.classes[sample.label]}"
    return Item(pictures.photo(sample.pixels), truth, file=sample.name, role="photo")

"""Galleries of saliency: each class of an image by every method, the classes side by side, and single units."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from auditor import pictures
from auditor.checks.saliency.attributions import Explained
from auditor.context import Maps
from auditor.language import _, headed, joined, marked
from auditor.methods.attribution.names import (
    DECONVNET,
    GRAD_CAM,
    GRADIENT,
    GUIDED_BACKPROP,
    GUIDED_GRAD_CAM,
)
from auditor.pictures.samples import class_of, photo
from auditor.results import Gallery, Item

if TYPE_CHECKING:
    from auditor.context import Context, Sample
    from auditor.methods import Explanation
    from auditor.methods.attribution.targets import Position

_REMARK = marked(
    "* Hardly changes when the last layers are randomised: it does not show why the network predicts this class."
)


def rows(context: Context, one: Explained) -> Iterator[Gallery]:
    """Show each class of an image by every method that applies, then the classes side by side."""
    for number, target in enumerate(one.classes):
        named = class_of(context, one.sample, target)
        about = {"image": one.sample.name, "class": context.classes[target]}
        items = tuple(_row(context, one, number))
        yield Gallery(headed(one.sample.name, named), _caption(one, number), items, about=about, methods=_methods(one))
    yield Gallery(
        _("{image}: the classes side by side", image=one.sample.name),
        _("The pictures of one method share their scale."),
        tuple(_side_by_side(context, one)),
        about={"image": one.sample.name},
    )


def unit_row(context: Context, sample: Sample, found: Explanation, position: Position) -> Gallery:
    """Show one unit on one image by every method that is defined for it."""
    row, col, activation = (values.item() for values in (position.rows, position.cols, position.values))
    own = maps_of(found)
    title = _(
        "{layer}, channel {channel}, on {image}",
        layer=position.layer,
        channel=position.channel,
        image=sample.name,
    )
    caption = _(
        "At row {row} and column {column} of its map, where its activation is {activation:.3g}.",
        row=row,
        column=col,
        activation=activation,
    )
    items = (photo(context, sample), *_signals(own, title))
    about = {"image": sample.name, "layer": position.layer, "channel": str(position.channel)}
    return Gallery(title, joined(caption, _(_REMARK)) if "guided_backprop" in own else caption, items, about=about)


def maps_of(found: Explanation) -> dict[str, Maps]:
    """Return the maps of the first target, by method, each `[c, h, w]`."""
    maps = {"gradient": found.gradient, "deconvnet": found.deconvnet, "guided_backprop": found.guided_backprop}
    return {name: values[0, 0].cpu().numpy() for name, values in maps.items() if values is not None}


def _methods(one: Explained) -> tuple[str, ...]:
    names = {"gradient": GRADIENT, "deconvnet": DECONVNET, "guided_backprop": GUIDED_BACKPROP, "grad_cam": GRAD_CAM}
    both = (GUIDED_GRAD_CAM,) if {"guided_backprop", "grad_cam"} <= one.maps.keys() else ()
    return (*(name for kind, name in names.items() if kind in one.maps), *both)


def _caption(one: Explained, number: int) -> str:
    sentences = []
    if not one.maps["gradient"][number].any():
        sentences.append(_("No pixel changes this score: it does not depend on the image."))
    elif "grad_cam" in one.maps:
        sentences.append(_negative(one.maps["grad_cam"][number]))
    return joined(*sentences, _(_REMARK) if "guided_backprop" in one.maps else "")


def _negative(cam: Maps) -> str:
    """Describe the negative part of Grad-CAM, which the picture leaves out; "" if there is hardly any."""
    mass = np.abs(cam).sum()
    if not np.isfinite(mass):
        return _("Grad-CAM is not finite in places: see saliency.nonfinite.")
    if not mass:
        return _("Grad-CAM is zero everywhere: the maps of its layer don't change this score.")
    negative = np.abs(cam[cam < 0]).sum() / mass
    if negative >= 1:
        return _("Grad-CAM is negative or zero everywhere: the whole layer is evidence against this class.")
    if negative < 0.005:
        return ""
    return _("{share:.0%} of Grad-CAM is evidence against this class and is not shown.", share=float(negative))


def _row(context: Context, one: Explained, number: int) -> Iterator[Item]:
    about = _("{name} on {image}", name=context.classes[one.classes[number]], image=one.sample.name)
    own = {name: values[number] for name, values in one.maps.items()}
    yield photo(context, one.sample)
    yield from _signals(own, about)
    if "grad_cam" in own:
        positive = np.maximum(own["grad_cam"], 0)
        yield pictures.overlay_item(one.sample.pixels, positive, "Grad-CAM", about)
        if "guided_backprop" in own:
            yield pictures.signed_item((own["guided_backprop"] * positive).sum(0), _("guided Grad-CAM *"), about)


def _signals(maps: Mapping[str, Maps], about: str) -> Iterator[Item]:
    """Show the maps that have the size of the image, each `[c, h, w]`, reduced over the colour channels."""
    yield pictures.signed_item(maps["gradient"].sum(0), _("gradient"), about)
    yield pictures.heat_item(np.abs(maps["gradient"]).max(0), _("absolute gradient"), about)
    if "guided_backprop" in maps:
        yield pictures.signed_item(maps["deconvnet"].sum(0), _("deconvnet"), about)
        yield pictures.signed_item(maps["guided_backprop"].sum(0), _("guided backprop *"), about)


def _side_by_side(context: Context, one: Explained) -> Iterator[Item]:
    yield photo(context, one.sample)
    names = [context.classes[target] for target in one.classes]
    limit = pictures.limit_of(list(one.absolute))
    for name, values in zip(names, one.absolute, strict=True):
        label = _("absolute gradient: {name}", name=name)
        yield pictures.heat_item(values, label, one.sample.name, limit=limit)
    if "grad_cam" not in one.maps:
        return
    positive = np.maximum(one.maps["grad_cam"], 0)
    highest = float(positive[np.isfinite(positive)].max(initial=0.0))
    for name, values in zip(names, positive, strict=True):
        label = headed("Grad-CAM", name)
        yield pictures.overlay_item(one.sample.pixels, values, label, one.sample.name, limit=highest)

"""Galleries of occlusion: for one image the maps by position of the window, and the attribution maps of its classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auditor import pictures
from auditor.language import _, headed, joined
from auditor.methods.attribution.names import OCCLUSION
from auditor.pictures.samples import class_of, photo
from auditor.results import Gallery, Item

if TYPE_CHECKING:
    from auditor.context import Context, Sample
    from auditor.methods import OcclusionMap, RefinedMap


def row(
    context: Context,
    sample: Sample,
    classes: Sequence[int],
    found: OcclusionMap,
    finest: OcclusionMap | RefinedMap,
) -> Gallery:
    """Show the maps by position for the first class, and an attribution map of each class over the image.

    Args:
        found: The first pass, which has the predicted class and the feature map.
        finest: The pass with the smallest windows, which may be approximate; without refinement the same.
    """
    height, width = finest.windows.window
    window = _("A window of {height} x {width} pixels.", height=height, width=width)
    most_probable, caption = (
        (None, window) if context.task.multilabel else _most_probable(context, sample, found, window)
    )
    items = (
        photo(context, sample),
        *_by_position(context, sample, classes[0], found, finest),
        *([most_probable] if most_probable else []),
        *_over_the_image(context, sample, classes, finest),
    )
    return Gallery(
        headed(sample.name, class_of(context, sample, classes[0])),
        caption,
        items,
        about={"image": sample.name, "class": context.classes[classes[0]]},
        methods=(OCCLUSION,),
    )


def _most_probable(context: Context, sample: Sample, found: OcclusionMap, window: str) -> tuple[Item, str]:
    """Return the map of the most probable class by position, and the caption of the row."""
    predicted = found.predicted[0].cpu().numpy()
    drawn, named = pictures.categories(predicted)
    shares = [
        _("{name} at {share:.0%} of the positions", name=context.classes[c], share=(predicted == c).mean())
        for c in named
    ]
    digits = [share if place == 1 else joined(str(place), share) for place, share in enumerate(shares, start=1)]
    item = Item(
        drawn,
        _("most probable class"),
        alt=_("Most probable class on {image}: {classes}.", image=sample.name, classes=joined(*shares, between=", ")),
    )
    return item, joined(window, _("Most probable class: {classes}.", classes=joined(*digits, between=", ")))


def _by_position(
    context: Context, sample: Sample, target: int, found: OcclusionMap, finest: OcclusionMap | RefinedMap
) -> Iterator[Item]:
    remaining = (found.clean[0] - finest.drop[0]).cpu().numpy()
    label = _("remaining probability of {name}", name=context.classes[target])
    yield pictures.heat_item(np.maximum(remaining, 0), label, sample.name)
    if found.feature is not None:
        channel = int(found.feature.channels[0])
        response = np.maximum(found.feature.responses[0].cpu().numpy(), 0)
        label = _("{layer}, channel {channel}: remaining activation", layer=found.feature.layer, channel=channel)
        yield pictures.heat_item(response, label, sample.name)


def _over_the_image(
    context: Context, sample: Sample, classes: Sequence[int], finest: OcclusionMap | RefinedMap
) -> Iterator[Item]:
    for target, values in zip(classes, finest.attribution.cpu().numpy(), strict=True):
        label = _("evidence for {name}", name=context.classes[target])
        yield pictures.overlay_item(sample.pixels, np.maximum(values, 0), label, sample.name)

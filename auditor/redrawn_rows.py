"""Rows of pictures for one image: each method's map as trained, and its twins of a network that has forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from auditor import pictures
from auditor.checks.saliency.figures import photo
from auditor.checks.trust.randomization import Maps, Redrawn
from auditor.language import _
from auditor.methods.attribution.names import GRAD_CAM, OCCLUSION, method_told
from auditor.results import Gallery, Item

if TYPE_CHECKING:
    from auditor.context import Context, Sample


def row(context: Context, sample: Sample, place: int, trained: Mapping[str, Maps], found: Redrawn) -> Gallery:
    """Show every method's map of an image beside its twins; each row begins with the photograph.

    Args:
        place: Of the image among those whose twins were kept.
    """
    answer = context.classes[sample.predicted]
    return Gallery(
        _("{file}: as trained and re-drawn", file=sample.name),
        _(
            "What each method shows for {answer}: by the network as trained, and by networks of which the last layer, "
            "half of the layers and all of them were drawn again, as before training. Each picture has its own scale.",
            answer=answer,
        ),
        tuple(item for name in trained for item in _of_method(context, sample, place, name, trained[name], found)),
        about={"image": sample.name, "class": answer},
    )


def _of_method(
    context: Context, sample: Sample, place: int, name: str, trained: Maps, found: Redrawn
) -> Iterator[Item]:
    yield photo(context, sample)
    yield _picture(sample, trained[place], name, method_told(name))
    for stop in sorted({0, found.half, len(found.counts) - 1}):
        count = found.counts[stop]
        label = _(
            "{method}, {count} of {total} layers re-drawn", method=method_told(name), count=count, total=found.total
        )
        yield _picture(sample, found.twins[name][stop, place], name, label)


def _picture(sample: Sample, values: Maps, method: str, label: str) -> Item:
    if method in (GRAD_CAM, OCCLUSION):
        return pictures.overlay_item(sample.pixels, np.maximum(values, 0), label, sample.name)
    return pictures.heat_item(values, label, sample.name)

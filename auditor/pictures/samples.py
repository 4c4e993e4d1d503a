"""An explained image in a report: its photograph, and the names of classes with their probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from auditor import pictures
from auditor.language import _, joined, numeral, some
from auditor.results import Item

if TYPE_CHECKING:
    from auditor.context import Context, Sample

_SHOWN = 4  # labels of an image


def class_of(context: Context, sample: Sample, target: int) -> str:
    """Return the name of a class, its role for this image (predicted, second-best, true class), and its probability."""
    if not np.isfinite(sample.scores).all():
        return _("{name} (the scores are not finite)", name=context.classes[target])
    share = numeral(sample.probabilities[target], ".1%")
    return _(
        "{label} ({note})", label=context.classes[target], note=joined(*_roles(sample, target), share, between=", ")
    )


def _roles(sample: Sample, target: int) -> list[str]:
    if sample.labels is not None:
        return [_("true label") if target in sample.labels else _("not a label of the image") if sample.labels else ""]
    return [
        _("predicted") if target == sample.predicted else "",
        _("second-best") if target == sample.ranked[1] else "",
        _("true class") if target == sample.label else "",
    ]


def photo(context: Context, sample: Sample) -> Item:
    """Return the photograph as the first picture of a row."""
    true = sorted(sample.labels) if sample.labels else [] if sample.label is None else [sample.label]
    names = some([context.classes[label] for label in true], _SHOWN)
    truth = _("image of {name}", name=names) if true else _("image")
    return Item(pictures.photo(sample.pixels), truth, file=sample.name, role="photo")

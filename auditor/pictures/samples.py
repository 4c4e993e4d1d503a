"""An explained image in a report: its photograph, and the names of classes with their probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from auditor import pictures
from auditor.language import _, joined, numeral
from auditor.results import Item

if TYPE_CHECKING:
    from auditor.context import Context, Sample


def class_of(context: Context, sample: Sample, target: int) -> str:
    """Return the name of a class, its role for this image (predicted, second-best, true class), and its probability."""
    if not np.isfinite(sample.scores).all():
        return _("{name} (the scores are not finite)", name=context.classes[target])
    roles = [_("predicted") if target == sample.predicted else ""]
    roles += [_("second-best") if target == sample.ranked[1] else "", _("true class") if target == sample.label else ""]
    share = numeral(sample.probabilities[target], ".1%")
    return _("{label} ({note})", label=context.classes[target], note=joined(*roles, share, between=", "))


def photo(context: Context, sample: Sample) -> Item:
    """Return the photograph as the first picture of a row."""
    truth = _("image") if sample.label is None else _("image of {name}", name=context.classes[sample.label])
    return Item(pictures.photo(sample.pixels), truth, file=sample.name, role="photo")

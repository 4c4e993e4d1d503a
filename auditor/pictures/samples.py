"""An audited image in a report: its photograph, and a class named with its probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from auditor import pictures
from auditor.language import _, numeral
from auditor.results import Item

if TYPE_CHECKING:
    from auditor.context import Context, Sample


def class_of(context: Context, sample: Sample, target: int) -> str:
    """Return a class in words: its name, what it is to this image, and its probability."""
    if not np.isfinite(sample.scores).all():
        return _("{name} (the scores are no numbers)", name=context.classes[target])
    roles = [_("answer") if target == sample.predicted else ""]
    roles += [_("runner-up") if target == sample.ranked[1] else "", _("true class") if target == sample.label else ""]
    share = numeral(sample.probabilities[target], ".1%")
    return f"{context.classes[target]} ({', '.join([*filter(None, roles), share])})"


def photo(context: Context, sample: Sample) -> Item:
    """Return the image itself as the first picture of a row."""
    truth = _("image") if sample.label is None else _("image of {name}", name=context.classes[sample.label])
    return Item(pictures.photo(sample.pixels), truth, file=sample.name, role="photo")

"""Tables of labels and thresholds, how often each label is predicted, and the most confident wrong labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auditor import pictures
from auditor.checks.predictions.label_facts import Interval, LabelFacts, share
from auditor.collectors import LabelScores
from auditor.language import _, joined, many, numeral
from auditor.results import Figure, Gallery, Item, Table

if TYPE_CHECKING:
    from auditor.context import Context

_MOST_ROWS = 1000
_MOST_BARS = 20


def label_table(facts: Sequence[LabelFacts], names: Sequence[str]) -> Table:
    """Tabulate recall, precision, F1 score, average precision and calibration of each label that has images."""
    return Table(
        _("Label by label"),
        joined(
            _(
                "Recall is the share of the images with a label for which it is predicted, and precision the share of "
                "the images for which it is predicted that have it. Average precision needs no threshold; scores that "
                "say nothing give the share of the images that have the label."
            ),
            _("Intervals of 95 %: Wilson for recall, and the bootstrap over the images for average precision."),
            _fewer(facts),
        ),
        (
            *(_("label"), _("images"), _("recall"), _("interval"), _("precision"), "F1"),
            *(_("average precision"), _("interval"), _("calibration error")),
        ),
        tuple(_row(one, names) for one in _listed(facts)),
    )


def _listed(facts: Sequence[LabelFacts]) -> list[LabelFacts]:
    """Return the labels that have images, of many the most frequent ones, in the order of the outputs."""
    present = [one for one in facts if one.present]
    return sorted(sorted(present, key=lambda one: (-one.present, one.label))[:_MOST_ROWS], key=lambda one: one.label)


def _fewer(facts: Sequence[LabelFacts]) -> str:
    count = sum(one.present > 0 for one in facts)
    if count <= _MOST_ROWS:
        return ""
    return _("The {shown:,} most frequent labels of {count:,} are listed.", shown=_MOST_ROWS, count=count)


def _row(one: LabelFacts, names: Sequence[str]) -> tuple[str | int, ...]:
    known = one.average_precision is not None
    precision = _("never predicted") if one.precision is None else numeral(one.precision, ".1%") if known else ""
    return (
        *(names[one.label], one.present, numeral(one.recall, ".1%"), _ends(share(one.hits, one.present)[1])),
        *(precision, numeral(one.f1, ".2f") if known else ""),
        numeral(one.average_precision, ".1%") if one.average_precision is not None else "",
        *(_ends(one.interval), numeral(one.calibration.error, ".3f") if one.calibration else ""),
    )


def _ends(interval: Interval | None) -> str:
    return _("{low:.1%} to {high:.1%}", low=interval[0], high=interval[1]) if interval else ""


def threshold_table(facts: Sequence[LabelFacts], names: Sequence[str], threshold: float) -> Iterator[Table]:
    """Tabulate the threshold of each label with the highest F1 score."""
    if known := [one for one in _listed(facts) if one.best is not None]:
        yield Table(
            _("Thresholds"),
            joined(
                _(
                    "The F1 score of each label with the threshold that is used, {threshold:g}, and with the best one. "
                    "The best threshold is chosen on one half of the images and tested on the other, both ways.",
                    threshold=threshold,
                ),
                _("This is information: choose thresholds on images that the network is not judged on."),
            ),
            (_("label"), _("F1 as used"), _("best threshold"), _("F1 held out")),
            tuple(
                (names[one.label], numeral(one.f1, ".2f"), numeral(one.best or 0, ".3g"), _held_out(one))
                for one in known
            ),
        )


def _held_out(one: LabelFacts) -> str:
    return "" if one.held_out_f1 is None else numeral(one.held_out_f1, ".2f")


def told(seen: LabelScores, context: Context) -> Figure:
    """Plot how often each label is predicted."""
    order = np.argsort(-seen.told, kind="stable")[:_MOST_BARS]
    names = [context.classes[c] for c in order]
    shares = (seen.told[order] / seen.images).tolist()
    caption = _("Share of the {n} images for which each label is predicted, the most frequent first.", n=seen.images)
    nothing = many(
        "No label is predicted for {count} image.", "No label is predicted for {count} images.", int(seen.bare[0])
    )
    return Figure(
        _("Predicted labels"),
        joined(caption, nothing),
        pictures.bars(names, shares, xlabel=_("share of images")),
        alt=_(
            "The most frequent label is {name}, predicted for {share:.1%} of {n} images.",
            name=names[0],
            share=shares[0],
            n=seen.images,
        ),
    )


def wrong_labels(seen: LabelScores, context: Context) -> Iterator[Gallery]:
    """Show the images with the most confident wrong labels."""
    items = []
    for one in seen.wrong:
        tensor = context.data[one.image].tensor
        if tensor is None:
            continue
        name = context.classes[one.label]
        label = (
            _("{name} is missed ({confidence:.0%})", name=name, confidence=1 - one.confidence)
            if one.present
            else _("{name} is predicted ({confidence:.0%}), but is no label", name=name, confidence=one.confidence)
        )
        picture = pictures.photo(context.preprocess.pixels(tensor[None])[0])
        items.append(Item(picture, label, one.confidence, context.data.listing.names[one.image], role="photo"))
    if items:
        yield Gallery(
            _("Most confident wrong labels"),
            _(
                "Labels that are wrongly predicted or missed, with their probability. Wrong labels in the data appear "
                "here."
            ),
            tuple(items),
        )

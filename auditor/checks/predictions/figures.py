"""Confusion matrix, tables of classes and mistakes, and the distribution of predictions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods, pictures
from auditor.collectors import Predictions
from auditor.language import _, joined, many, numeral
from auditor.results import Figure, Gallery, Item, Table

if TYPE_CHECKING:
    from auditor.context import Context


_LARGEST_MATRIX = 40  # classes up to which a confusion matrix is legible
_MOST_BARS = 20
_MOST_ROWS = 1000


def confusion_matrix(seen: Predictions, context: Context) -> Iterator[Figure | Table]:
    """Show the confusion matrix, of many classes only its largest entries off the diagonal."""
    shown = np.flatnonzero(seen.confusion.by_true + seen.confusion.by_predicted)
    names = [context.classes[c] for c in shown]
    if len(shown) <= _LARGEST_MATRIX:
        counts = seen.confusion.among(shown)[:-1, :-1]
        yield Figure(
            _("Confusion matrix"),
            _("Images by true class (rows) and predicted class (columns); correct predictions lie on the diagonal."),
            pictures.matrix(counts, names, xlabel=_("predicted class"), ylabel=_("true class")),
            alt=_(
                "Confusion matrix of {classes} classes: {right} of {n} images on the diagonal.",
                classes=len(shown),
                right=seen.right,
                n=seen.labelled,
            ),
        )
    if pairs := seen.confusion.most_confused(10):
        yield Table(
            _("Most frequent confusions"),
            _("True class and predicted class, the most frequent first."),
            (_("true class"), _("predicted class"), _("images")),
            tuple((context.classes[true], context.classes[predicted], n) for true, predicted, n in pairs),
        )


def class_table(seen: Predictions, context: Context) -> Table:
    """Tabulate recall and precision of each class that has images, of many classes those with the lowest recall."""
    counts, predicted, correct = seen.confusion.by_true, seen.confusion.by_predicted, seen.confusion.correct
    present = np.flatnonzero(counts)
    shown = present[np.argsort(correct[present] / counts[present], kind="stable")[:_MOST_ROWS]]
    rows = []
    for c in np.sort(shown):
        hits, n = int(correct[c]), int(counts[c])
        low, high = methods.wilson(hits, n)
        precision = numeral(hits / predicted[c], ".1%") if predicted[c] else _("never predicted")
        interval = _("{low:.1%} to {high:.1%}", low=low, high=high)
        rows.append((context.classes[c], n, numeral(hits / n, ".1%"), interval, precision))
    caption = _(
        "Recall is the share of a class's images that are correctly classified, with its 95 % interval. Precision "
        "is the share of correct predictions among all predictions of the class."
    )
    if len(present) > len(rows):
        fewer = _(
            "The {shown:,} classes with the lowest recall of {count:,} are listed.", shown=len(rows), count=len(present)
        )
        caption = joined(caption, fewer)
    return Table(
        _("Class by class"),
        caption,
        (_("class"), _("images"), _("recall"), _("interval"), _("precision")),
        tuple(rows),
    )


def confident_mistakes(seen: Predictions, context: Context) -> Iterator[Gallery]:
    """Show the misclassified images with the highest confidence."""
    items = []
    for mistake in seen.mistakes:
        tensor = context.data[mistake.image].tensor
        if tensor is None:
            continue
        picture = pictures.photo(context.preprocess.pixels(tensor[None])[0])
        label = _(
            "{truth}, predicted as {predicted} ({confidence:.0%})",
            truth=context.classes[mistake.label],
            predicted=context.classes[mistake.predicted],
            confidence=mistake.confidence,
        )
        file = context.data.listing.names[mistake.image]
        items.append(Item(picture, label, mistake.confidence, file, role="photo"))
    if items:
        yield Gallery(
            _("Most confident mistakes"),
            _(
                "Misclassified images, the highest confidence first: true class, predicted class and confidence. Wrong "
                "labels appear here, too."
            ),
            tuple(items),
        )


def distribution(seen: Predictions, context: Context) -> Figure:
    """Plot how often each class is predicted."""
    order = np.argsort(-seen.predicted, kind="stable")[:_MOST_BARS]
    order = order[seen.predicted[order] > 0]
    names = [context.classes[c] for c in order]
    shares = (seen.predicted[order] / seen.images).tolist()
    others = int((seen.predicted > 0).sum()) - len(order)
    caption = _("Share of the {n} images that are predicted as each class, the most frequent first.", n=seen.images)
    if others:
        caption += " " + many(
            "{count} more class is predicted less often.",
            "{count} more classes are predicted less often.",
            others,
        )
    return Figure(
        _("Predicted classes"),
        caption,
        pictures.bars(names, shares, xlabel=_("share of images")),
        alt=_(
            "The most frequent prediction is {name}, for {share:.1%} of {n} images.",
            name=names[0],
            share=shares[0],
            n=seen.images,
        ),
    )

"""Confusion matrix, tables of classes and mistakes, and the distribution of answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods, pictures
from auditor.collectors import Predictions
from auditor.language import _, many, numeral
from auditor.results import Figure, Gallery, Item, Table

if TYPE_CHECKING:
    from auditor.context import Context


_LARGEST_MATRIX = 40  # classes that a confusion matrix can show so that it is read

_MOST_BARS = 20


def confusion_matrix(seen: Predictions, context: Context) -> Iterator[Figure | Table]:
    shown = np.flatnonzero(seen.confusion.sum(0) + seen.confusion.sum(1))
    names = [context.classes[c] for c in shown]
    if len(shown) <= _LARGEST_MATRIX:
        counts = seen.confusion[np.ix_(shown, shown)]
        yield Figure(
            _("Confusion matrix"),
            _("Images by true class (rows) and answer (columns); right answers lie on the diagonal."),
            pictures.matrix(counts, names, xlabel=_("answer"), ylabel=_("true class")),
            alt=_(
                "Confusion matrix of {classes} classes: {right} of {n} images on the diagonal.",
                classes=len(shown),
                right=seen.right,
                n=seen.labelled,
            ),
        )
    off = seen.confusion.copy()
    np.fill_diagonal(off, 0)
    worst = np.argsort(-off, axis=None, kind="stable")[:10]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(worst, off.shape), strict=True) if off[i, j]]
    if pairs:
        yield Table(
            _("Most frequent confusions"),
            _("True class and answer, the most frequent first."),
            (_("true class"), _("answer"), _("images")),
            tuple((context.classes[i], context.classes[j], int(off[i, j])) for i, j in pairs),
        )


def class_table(seen: Predictions, context: Context) -> Table:
    counts, answers = seen.confusion.sum(1), seen.confusion.sum(0)
    rows = []
    for c in np.flatnonzero(counts):
        hits, n = int(seen.confusion[c, c]), int(counts[c])
        low, high = methods.wilson(hits, n)
        precision = numeral(hits / answers[c], ".1%") if answers[c] else _("never answered")
        interval = _("{low:.1%} to {high:.1%}", low=low, high=high)
        rows.append((context.classes[c], n, numeral(hits / n, ".1%"), interval, precision))
    return Table(
        _("Class by class"),
        _(
            "Recall is the share of a class's images that are recognised, with its 95 % interval; precision is the "
            "share of right ones among the images that got this answer."
        ),
        (_("class"), _("images"), _("recall"), _("interval"), _("precision")),
        tuple(rows),
    )


def confident_mistakes(seen: Predictions, context: Context) -> Iterator[Gallery]:
    items = []
    for mistake in seen.mistakes:
        tensor = context.data[mistake.image].tensor
        if tensor is None:
            continue
        picture = pictures.photo(context.preprocess.pixels(tensor[None])[0])
        truth, answer = context.classes[mistake.label], context.classes[mistake.predicted]
        label = _(
            "{truth}, taken for {answer} ({confidence:.0%})", truth=truth, answer=answer, confidence=mistake.confidence
        )
        file = context.data.listing.names[mistake.image]
        items.append(Item(picture, label, mistake.confidence, file, role="photo"))
    if items:
        yield Gallery(
            _("Most confident mistakes"),
            _(
                "Wrong answers, the surest first: true class, answer, and how sure the network was. A label that is "
                "wrong itself shows here too."
            ),
            tuple(items),
        )


def distribution(seen: Predictions, context: Context) -> Figure:
    order = np.argsort(-seen.predicted, kind="stable")[:_MOST_BARS]
    order = order[seen.predicted[order] > 0]
    names = [context.classes[c] for c in order]
    shares = (seen.predicted[order] / seen.images).tolist()
    others = int((seen.predicted > 0).sum()) - len(order)
    caption = _("Share of the {n} images that get each answer, the most frequent first.", n=seen.images)
    if others:
        caption += " " + many(
            "{count} further class is answered more rarely.",
            "{count} further classes are answered more rarely.",
            others,
        )
    return Figure(
        _("Answers"),
        caption,
        pictures.bars(names, shares, xlabel=_("share of images")),
        alt=_(
            "The most frequent answer is {name}, for {share:.1%} of {n} images.",
            name=names[0],
            share=shares[0],
            n=seen.images,
        ),
    )

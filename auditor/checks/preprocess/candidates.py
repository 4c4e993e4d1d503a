"""Measure accuracy and the inputs of the first batch norm with alternative preprocessing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.statistics.confusion import Confusion
from auditor.statistics.paired import difference, mcnemar

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context
    from auditor.data.alternatives import Alternative
    from auditor.data.decoding.traits import Traits
    from auditor.data.preprocessing import Preprocess
    from auditor.methods import Departure, Reordered
    from auditor.model.first_norm import FirstNorm

_LOOK = 32  # images after which candidates that are no better are stopped
_FEWEST = 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """An alternative preprocessing, compared with the declared one on the same labelled images.

    Attributes:
        n: Number of images compared.
        right: Number of images correctly classified with the declared preprocessing.
        lost: Number of images correctly classified only with the declared preprocessing.
        gained: Number of images correctly classified only with this preprocessing.
        stopped: Whether it was stopped early because it was no better; then `lost` may be too small.
        p: McNemar's p-value, corrected for the number of candidates; 1 if it was stopped.
    """

    alternative: Alternative
    n: int = 0
    right: int = 0
    lost: int = 0
    gained: int = 0
    stopped: bool = False
    p: float = 1.0

    @property
    def gain(self) -> float:
        """The difference in accuracy; an upper bound if the candidate was stopped."""
        return (self.gained - self.lost) / self.n

    @property
    def accuracy(self) -> tuple[float, float]:
        """The 95 % interval of the accuracy; an upper bound if the candidate was stopped."""
        return methods.wilson(self.right - self.lost + self.gained, self.n)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference in accuracy."""
        return difference(self.right - self.lost, self.lost, self.gained, self.n - self.right - self.gained)


def compared(context: Context, chosen: Sequence[int], others: Sequence[Alternative]) -> list[Candidate]:
    """Compare the declared preprocessing with alternatives on some labelled images.

    An alternative can gain only on images that the declared preprocessing misclassifies, so these come first. After
    each look, candidates that have gained no more than they have lost are stopped. Stopping early finds fewer
    candidates, and never more by chance.

    Args:
        chosen: Indices of images in the data.
    """
    running, ended = [Candidate(one) for one in others], list[Candidate]()
    with context.working(len(chosen), "images") as advance:
        for start in range(0, len(chosen), _LOOK):
            look = chosen[start : start + _LOOK]
            (right,), readable = _right(context, look, [context.preprocess])
            running = _next(context, running, readable, right)
            ended += [one for one in running if one.stopped]
            running = [one for one in running if not one.stopped]
            advance(len(look))
            if not running:
                break
    return _corrected([*running, *ended], others)


def _next(
    context: Context, running: Sequence[Candidate], images: NDArray[np.int64], right: NDArray[np.bool_]
) -> list[Candidate]:
    """Compare the candidates on some more images, of which `right` are correct with the declared preprocessing."""
    gains = _count(context, running, images[~right])
    seen = [
        replace(one, n=one.n + len(images), right=one.right + int(right.sum()), gained=one.gained + gain)
        for one, gain in zip(running, gains, strict=True)
    ]
    kept = iter(_count(context, [one for one in seen if one.gained > one.lost], images[right]))
    counted = [
        replace(one, lost=one.lost + int(right.sum()) - next(kept)) if one.gained > one.lost else one for one in seen
    ]
    return [replace(one, stopped=one.gained <= one.lost) for one in counted]


def _count(context: Context, candidates: Sequence[Candidate], images: NDArray[np.int64]) -> list[int]:
    """Return how many of some images each candidate classifies correctly."""
    if not candidates or not len(images):
        return [0] * len(candidates)
    found = _right(context, images.tolist(), [one.alternative.preprocess for one in candidates])[0]
    return [int(row.sum()) for row in found]


def _right(
    context: Context, images: Sequence[int], ways: Sequence[Preprocess]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return whether each image is correctly classified in each way, `[ways, n]`, and which are readable, `[n]`."""
    found, read = _predictions(context, images, ways)
    labels = context.data.labels.indices
    return found == np.array([labels[i] for i in read], np.int64), read


def _predictions(
    context: Context, images: Sequence[int], ways: Sequence[Preprocess]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the predicted classes, `[ways, n]`, -1 for non-finite scores, and the readable images, `[n]`."""
    import torch

    read, found = list[int](), list[NDArray[np.int64]]()
    for places, batches in _prepared(context, images, ways):
        with torch.no_grad():
            scores = np.stack([context.network.scores(batch).cpu().numpy() for batch in batches])
        found.append(np.where(np.isfinite(scores).all(2), scores.argmax(2), -1))
        read += places
    return np.concatenate([np.zeros((len(ways), 0), np.int64), *found], axis=1), np.array(read, np.int64)


def _prepared(
    context: Context, images: Sequence[int], ways: Sequence[Preprocess]
) -> Iterator[tuple[list[int], list[Tensor]]]:
    """Yield the readable images batch by batch: their indices, and a tensor for each way. Each file is decoded once."""
    import torch

    from auditor.data.decoding.stored import Refused
    from auditor.data.image import Unreadable

    for start in range(0, len(images), context.batch_size):
        places: list[int] = []
        rows: list[list[Tensor]] = []
        for i in images[start : start + context.batch_size]:
            try:
                stored = context.data.stored(i)
                row = [way.prepared(stored) for way in ways]
            except (Unreadable, Refused):
                continue
            rows.append(row)
            places.append(i)
        if places:
            yield places, [torch.stack(column) for column in zip(*rows, strict=True)]


def traits(context: Context, images: Sequence[int]) -> Traits:
    """Return what is special about some images."""
    from auditor.data.decoding.traits import Traits
    from auditor.data.image import Unreadable

    found = Traits()
    for i in images:
        with suppress(Unreadable):
            found += Traits.of([context.data.stored(i)])
    return found


def _corrected(found: Sequence[Candidate], others: Sequence[Alternative]) -> list[Candidate]:
    """Return the candidates in the order of the alternatives, with the p-values of McNemar's test."""
    place = {one.name: i for i, one in enumerate(others)}
    ordered = sorted(found, key=lambda one: place[one.alternative.name])
    chances = [1.0 if one.stopped else mcnemar(one.lost, one.gained) for one in ordered]
    return [replace(one, p=p) for one, p in zip(ordered, methods.holm(chances), strict=True)]


def reordered_as_declared(context: Context, chosen: Sequence[int]) -> Reordered:
    """Return the best order of the classes that occur with the declared preprocessing, tested on held-out images."""
    (predicted,), read = _predictions(context, chosen, [context.preprocess])
    labels = np.array([context.data.labels.indices[i] for i in read], np.int64)
    finite, known = predicted >= 0, np.unique(labels)
    confusion = Confusion.of(labels[finite], predicted[finite], context.network.outputs)
    return methods.reordered(confusion.among(known), np.arange(len(known)), seed=context.seed)


def departures(
    context: Context, norm: FirstNorm, images: Sequence[int], ways: Sequence[Preprocess]
) -> tuple[list[Departure], int]:
    """Return how far the inputs of the first batch norm are from its running statistics, and the number of images.

    The layers behind that batch norm are not computed. The list has one departure a way; it is empty if fewer than
    20 images are readable.
    """
    from auditor.model.first_norm import inputs_of

    seen: list[list[tuple[Tensor, Tensor]]] = [[] for _way in ways]
    n = 0
    for places, batches in _prepared(context, images, ways):
        n += len(places)
        for own, batch in zip(seen, batches, strict=True):
            own.append(inputs_of(context.network, norm, batch))
    if n < _FEWEST:
        return [], n
    return [_departure(norm, own) for own in seen], n


def _departure(norm: FirstNorm, parts: Sequence[tuple[Tensor, Tensor]]) -> Departure:
    means, squares = (np.concatenate([part[which].numpy() for part in parts]) for which in (0, 1))
    return methods.departure(means, squares, norm.mean.numpy(), norm.variance.numpy(), epsilon=norm.epsilon)

"""How often the network is right, and what flows into it, when its images are prepared in another way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.statistics.paired import difference, mcnemar

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context
    from auditor.data.alternatives import Alternative
    from auditor.data.preprocessing import Preprocess
    from auditor.methods import Departure, Reordered
    from auditor.model.first_norm import FirstNorm

_LOOK = 32  # images after which those that are no better are given up
_FEWEST = 20


@dataclass(frozen=True, slots=True)
class Rival:
    """Another way to prepare the images, beside the declared one, on the same labelled images.

    Attributes:
        n: On how many images the two were compared.
        right: How many of them are right as declared.
        lost, gained: How many are right only as declared, and only in the other way.
        given_up: It was no better so far, so that the images that it loses were not all looked for.
        p: McNemar's, corrected for the number of rivals; 1 where it was given up.
    """

    alternative: Alternative
    n: int = 0
    right: int = 0
    lost: int = 0
    gained: int = 0
    given_up: bool = False
    p: float = 1.0

    @property
    def gain(self) -> float:
        """The difference in accuracy; of one that was given up at most."""
        return (self.gained - self.lost) / self.n

    @property
    def share(self) -> tuple[float, float]:
        """The 95 % interval of the share that is right in the other way; of one that was given up at most."""
        return methods.wilson(self.right - self.lost + self.gained, self.n)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the difference."""
        return difference(self.right - self.lost, self.lost, self.gained, self.n - self.right - self.gained)


def rivals(context: Context, chosen: Sequence[int], others: Sequence[Alternative]) -> list[Rival]:
    """Compare the declared way with others on some labelled images.

    Another way can only gain on images that are wrong as declared: these come first, and one that gains no more
    than it has lost is given up, look by look. Giving up early finds fewer of them, and never more by chance.

    Args:
        chosen: Places in the data.
    """
    running, ended = [Rival(one) for one in others], list[Rival]()
    with context.working(len(chosen), "images") as advance:
        for start in range(0, len(chosen), _LOOK):
            look = chosen[start : start + _LOOK]
            (right,), readable = _right(context, look, [context.preprocess])
            running = _next(context, running, readable, right)
            ended += [one for one in running if one.given_up]
            running = [one for one in running if not one.given_up]
            advance(len(look))
            if not running:
                break
    return _corrected([*running, *ended], others)


def _next(
    context: Context, running: Sequence[Rival], images: NDArray[np.int64], right: NDArray[np.bool_]
) -> list[Rival]:
    """Take a look at some images that are right, or not, as declared."""
    gains = _count(context, running, images[~right])
    seen = [
        replace(one, n=one.n + len(images), right=one.right + int(right.sum()), gained=one.gained + gain)
        for one, gain in zip(running, gains, strict=True)
    ]
    kept = iter(_count(context, [one for one in seen if one.gained > one.lost], images[right]))
    told = [
        replace(one, lost=one.lost + int(right.sum()) - next(kept)) if one.gained > one.lost else one for one in seen
    ]
    return [replace(one, given_up=one.gained <= one.lost) for one in told]


def _count(context: Context, tried: Sequence[Rival], images: NDArray[np.int64]) -> list[int]:
    if not tried or not len(images):
        return [0] * len(tried)
    found = _right(context, images.tolist(), [one.alternative.preprocess for one in tried])[0]
    return [int(row.sum()) for row in found]


def _right(
    context: Context, images: Sequence[int], ways: Sequence[Preprocess]
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return whether each image is answered rightly in each way, `[ways, n]`, and which could be read, `[n]`."""
    found, read = _answers(context, images, ways)
    labels = context.data.labels.indices
    return found == np.array([labels[i] for i in read], np.int64), read


def _answers(
    context: Context, images: Sequence[int], ways: Sequence[Preprocess]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the answers in each way, `[ways, n]`, -1 where scores are no numbers; and which could be read, `[n]`."""
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
    """Yield the images that can be read, batch by batch: their places, and each way's tensor; decoded once."""
    import torch

    from auditor.data.image import Unreadable, decode

    for start in range(0, len(images), context.batch_size):
        places: list[int] = []
        rows: list[list[Tensor]] = []
        for i in images[start : start + context.batch_size]:
            try:
                image = decode(context.data.listing.files[i])
            except Unreadable:
                continue
            rows.append([way.tensor(image) for way in ways])
            places.append(i)
        if places:
            yield places, [torch.stack(column) for column in zip(*rows, strict=True)]


def _corrected(found: Sequence[Rival], others: Sequence[Alternative]) -> list[Rival]:
    """Return the rivals in the order of the ways, with what McNemar's test says of them."""
    place = {one.name: i for i, one in enumerate(others)}
    ordered = sorted(found, key=lambda one: place[one.alternative.name])
    chances = [1.0 if one.given_up else mcnemar(one.lost, one.gained) for one in ordered]
    return [replace(one, p=p) for one, p in zip(ordered, methods.holm(chances), strict=True)]


def reordered_as_declared(context: Context, chosen: Sequence[int]) -> Reordered:
    """Return what the best order of the classes gives without any change of the images, on images not chosen by."""
    (answers,), read = _answers(context, chosen, [context.preprocess])
    labels = np.array([context.data.labels.indices[i] for i in read], np.int64)
    confusion = np.zeros((context.network.outputs,) * 2, np.int64)
    np.add.at(confusion, (labels[answers >= 0], answers[answers >= 0]), 1)
    return methods.reordered(confusion, np.unique(labels), seed=context.seed)


def departures(
    context: Context, norm: FirstNorm, images: Sequence[int], ways: Sequence[Preprocess]
) -> tuple[list[Departure], int]:
    """Return how far the inputs of the first batch norm are from those of training in each way, and on how many images.

    Nothing behind that batch norm is computed. There is none where too few images can be read.
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

"""The predictions of a network: confusion, top-5, confidence, and the most confident misclassified images."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from auditor.collectors.collector import Batch, State
from auditor.collectors.sums import Sums, added, exact
from auditor.statistics.confusion import NONE, Confusion
from auditor.statistics.softmax import softmax

if TYPE_CHECKING:
    from torch import Tensor

_BINS = 4096
_COUNTS = ("predicted", "top5")
_WIDEST = 16.0  # log-odds of the outer edges of the first and the last confidence bin


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """A misclassified image; ordered by confidence."""

    confidence: float
    image: int
    label: int
    predicted: int


class Predictions:
    """Counts over all images, labelled or not.

    Confidences are counted in bins of equal width in log-odds. The bins are fine enough (0.008) to
    form the equal-mass bins of a calibration error from them.

    Attributes:
        kept: The number of the most confident mistakes that are kept.
        leave_out: The indices of images that don't count, for example files with the same contents as an earlier one.
        images: The number of images with finite scores, labelled or not.
        unanswered: The number of images with NaN or infinite scores, which count nowhere else.
        predicted: The number of images by predicted class, `[k]`.
        confusion: True class by predicted class, over the labelled images.
        top5: The number of labelled images of each class with this class among the five highest scores, `[k]`.
    """

    taps: tuple[str, ...] = ()

    def __init__(self, kept: int = 12, *, leave_out: frozenset[int] = frozenset()) -> None:
        self.kept = kept
        self._leave_out = np.array(sorted(leave_out), np.int64)
        self.images = 0
        self.unanswered = 0
        self.predicted = np.zeros(0, np.int64)
        self.confusion = NONE
        self.top5 = np.zeros(0, np.int64)
        self._bins = np.zeros((2, 3, _BINS))
        self._confidences = np.zeros((2, 2, _BINS))
        self._mistakes: list[Mistake] = []

    @property
    def key(self) -> tuple[Any, ...]:
        return ("predictions", self.kept, tuple(self._leave_out.tolist()))

    @property
    def bins(self) -> NDArray[np.float64]:
        """Over the labelled images: count, sum of confidence, number correctly classified, `[3, bins]`."""
        return np.asarray(self._bins[0])

    @property
    def confidences(self) -> NDArray[np.float64]:
        """Over all images: count and sum of confidence, `[2, bins]`."""
        return np.asarray(self._confidences[0])

    @property
    def labelled(self) -> int:
        """The number of labelled images."""
        return self.confusion.total

    @property
    def right(self) -> int:
        """The number of labelled images that were correctly classified."""
        return int(self.confusion.correct.sum())

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The most confident mistakes, the most confident first; ties by image."""
        return tuple(sorted(self._mistakes, key=_worst_first))

    def reduce(self, tap: str, output: Tensor) -> None:
        return None

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        counted = ~np.isin(batch.indices, self._leave_out)
        finite = np.isfinite(batch.scores).all(1) & counted
        self.unanswered += int((~finite & counted).sum())
        if not finite.any():
            return
        batch = Batch(batch.indices[finite], batch.labels[finite], batch.scores[finite])
        self._allocate(batch.scores.shape[1])
        probabilities = softmax(batch.scores)
        predicted = batch.scores.argmax(1)
        confidence = probabilities.max(1)
        self.images += len(predicted)
        np.add.at(self.predicted, predicted, 1)
        place = _bin(confidence)
        self._confidences = added(self._confidences, _counted(place, np.ones_like(confidence), confidence))
        self._take_labelled(batch, predicted, confidence, place)

    def _take_labelled(
        self, batch: Batch, predicted: NDArray[np.int64], confidence: NDArray[np.float64], place: NDArray[np.int64]
    ) -> None:
        known = batch.labels >= 0
        labels, predicted, confidence = batch.labels[known], predicted[known], confidence[known]
        right = predicted == labels
        self.confusion = self.confusion.plus(Confusion.of(labels, predicted, len(self.predicted)))
        scores, own = batch.scores[known], np.take_along_axis(batch.scores[known], labels[:, None], 1)
        before = np.arange(scores.shape[1]) < labels[:, None]  # of equal scores the lower index comes first
        rank = ((scores > own) | ((scores == own) & before)).sum(1)
        np.add.at(self.top5, labels, (rank < 5).astype(np.int64))
        counted = _counted(place[known], np.ones_like(confidence), confidence, right.astype(np.float64))
        self._bins = added(self._bins, counted)
        wrong = zip(confidence[~right], batch.indices[known][~right], labels[~right], predicted[~right], strict=True)
        self._keep([Mistake(float(c), int(i), int(t), int(p)) for c, i, t, p in wrong])

    def _allocate(self, classes: int) -> None:
        if not len(self.predicted):
            self.predicted = np.zeros(classes, np.int64)
            self.top5 = np.zeros(classes, np.int64)

    def _keep(self, mistakes: Sequence[Mistake]) -> None:
        self._mistakes = heapq.nsmallest(self.kept, [*self._mistakes, *mistakes], key=_worst_first)

    def merge(self, other: Self) -> None:
        self.unanswered += other.unanswered
        if not len(other.predicted):
            return
        self._allocate(len(other.predicted))
        self.images += other.images
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.confusion = self.confusion.plus(other.confusion)
        self._bins = added(self._bins, other._bins)
        self._confidences = added(self._confidences, other._confidences)
        self._keep(other._mistakes)

    def state(self) -> State:
        mistakes = np.array([astuple(m) for m in self.mistakes], np.float64).reshape(-1, 4)
        sums = {"bins": self._bins, "confidences": self._confidences}
        counts = {"images": np.array(self.images), "unanswered": np.array(self.unanswered)}
        counts |= {"cells": self.confusion.cells, "cell counts": self.confusion.counts}
        return {**counts, "mistakes": mistakes, **sums, **{name: getattr(self, name) for name in _COUNTS}}

    def load(self, state: State) -> None:
        self.images, self.unanswered = int(state["images"]), int(state["unanswered"])
        for name in _COUNTS:
            setattr(self, name, state[name])
        self.confusion = Confusion(len(self.predicted), state["cells"], state["cell counts"])
        self._bins, self._confidences = state["bins"], state["confidences"]
        self._mistakes = [Mistake(float(c), int(i), int(t), int(p)) for c, i, t, p in state["mistakes"]]


def _counted(place: NDArray[np.int64], *weights: NDArray[np.float64]) -> Sums:
    """Return the sums of each weight by bin, `[2, weights, bins]`."""
    return exact(np.stack([np.bincount(place, weights=w, minlength=_BINS) for w in weights]))


def _bin(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    with np.errstate(divide="ignore"):
        log_odds = np.log(confidence) - np.log1p(-confidence)
    share = (np.clip(log_odds, -_WIDEST, _WIDEST) + _WIDEST) / (2 * _WIDEST)
    return np.asarray(np.minimum((share * _BINS).astype(np.int64), _BINS - 1))


def _worst_first(mistake: Mistake) -> tuple[float, int]:
    return -mistake.confidence, mistake.image

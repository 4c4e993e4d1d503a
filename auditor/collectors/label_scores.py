"""The scores of images that may have several labels: for each label, of the images with it and without it."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from auditor.collectors.collector import Batch, State
from auditor.statistics.softmax import sigmoid

if TYPE_CHECKING:
    from torch import Tensor

_BINS, _FEWEST_BINS = 4096, 64
_ENTRIES = 2**22  # of all histograms together: with more than 256 labels the bins are wider
_WIDEST = 32.0  # log-odds of the outer edges of the first and the last bin
_COUNTS = ("told", "decisions", "exact", "bare")
_HASH = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True, order=True)
class WrongLabel:
    """A label that is wrongly predicted for an image, or missed; ordered by the confidence in that."""

    confidence: float
    image: int
    label: int
    present: bool


class LabelScores:
    """Counts over all images, by label.

    Scores are log-odds, and are counted in bins of equal width from -32 to 32: 4096 bins, 1/64 wide, for up to 256
    labels, and fewer for more. The images are split into two halves, by a hash of their index.

    Attributes:
        threshold: The probability from which a label is predicted.
        kept: The number of the most confident wrong labels that are kept.
        images: The number of images with finite scores, labelled or not.
        unanswered: The number of images with NaN or infinite scores, which count nowhere else.
        told: The number of images for which each label is predicted, labelled or not, `[k]`.
        decisions: By label, the number of images whose label is known: present and predicted, present and missed,
            absent and predicted, absent and not predicted, `[4, k]`.
        exact: The number of images of which all labels are known, and of these the number with all labels right.
        bare: The number of images without a predicted label, and of those whose labels are all known to be absent.
    """

    taps: tuple[str, ...] = ()

    def __init__(self, threshold: float = 0.5, kept: int = 12) -> None:
        self.threshold = threshold
        self.kept = kept
        self.images = 0
        self.unanswered = 0
        self.told = np.zeros(0, np.int64)
        self.decisions = np.zeros((4, 0), np.int64)
        self.exact = np.zeros(2, np.int64)
        self.bare = np.zeros(2, np.int64)
        self._bins = np.zeros((2, 2, 0, _BINS), np.int64)  # half, absent or present, label, bin
        self._wrong: list[WrongLabel] = []

    @property
    def key(self) -> tuple[Any, ...]:
        return ("label scores", self.threshold, self.kept)

    @property
    def present(self) -> NDArray[np.int64]:
        """The number of images with each label, `[k]`."""
        return np.asarray(self.decisions[:2].sum(0))

    @property
    def absent(self) -> NDArray[np.int64]:
        """The number of images without each label, `[k]`."""
        return np.asarray(self.decisions[2:].sum(0))

    @property
    def wrong(self) -> tuple[WrongLabel, ...]:
        """The most confident wrong labels, the most confident first; ties by image and label."""
        return tuple(sorted(self._wrong, key=_worst_first))

    def halves(self, label: int) -> NDArray[np.int64]:
        """Return the numbers of images without and with a label by rising score, of both halves, `[2, 2, bins]`."""
        return self._bins[:, :, label]

    def lower_edge(self, place: int) -> float:
        """Return the probability at the lower edge of a bin, 0 to 1."""
        return float(sigmoid(np.array(self._log_odds(place))))

    def fine(self, label: int) -> NDArray[np.float64]:
        """Return count, sum of the probabilities and number of images with the label, by bin, `[3, bins]`.

        The probability of a bin is the one at its middle, which is up to 0.002 away with 4096 bins.
        """
        absent, present = self.halves(label).sum(0)
        middle = sigmoid(self._log_odds(np.arange(len(present)) + 0.5))
        count = (absent + present).astype(np.float64)
        return np.stack([count, count * middle, present.astype(np.float64)])

    def _log_odds(self, place: Any) -> Any:
        return place * (2 * _WIDEST / self._bins.shape[3]) - _WIDEST

    def reduce(self, tap: str, output: Tensor) -> None:
        return None

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        finite = np.isfinite(batch.scores).all(1)
        self.unanswered += int((~finite).sum())
        if not finite.any() or batch.targets is None:
            return
        indices, scores, targets = batch.indices[finite], batch.scores[finite], batch.targets[finite]
        self._allocate(scores.shape[1])
        probabilities = sigmoid(scores)
        told = probabilities >= self.threshold
        self.images += len(indices)
        self.told += told.sum(0)
        kinds = ((targets == 1) & told, (targets == 1) & ~told, (targets == 0) & told, (targets == 0) & ~told)
        self.decisions += np.stack([kind.sum(0) for kind in kinds])
        known = (targets >= 0).all(1)
        self.exact += [known.sum(), (known & (told == (targets == 1)).all(1)).sum()]
        self.bare += [(~told.any(1)).sum(), (known & ~(targets == 1).any(1)).sum()]
        self._count(indices, scores, targets)
        self._look_at_wrong(indices, probabilities, told, targets)

    def _count(self, indices: NDArray[np.int64], scores: NDArray[np.float32], targets: NDArray[np.int8]) -> None:
        bins = self._bins.shape[3]
        share = (scores.astype(np.float64) + _WIDEST) / (2 * _WIDEST)
        place = np.clip(np.floor(share * bins), 0, bins - 1).astype(np.int64)
        images, labels = np.nonzero(targets >= 0)
        where = _half(indices)[images], targets[images, labels], labels, place[images, labels]
        np.add.at(self._bins, where, 1)

    def _look_at_wrong(
        self,
        indices: NDArray[np.int64],
        probabilities: NDArray[np.float64],
        told: NDArray[np.bool_],
        targets: NDArray[np.int8],
    ) -> None:
        images, labels = np.nonzero((targets >= 0) & (told != (targets == 1)))
        confidence = np.where(told, probabilities, 1 - probabilities)[images, labels]
        worst = np.lexsort((labels, indices[images], -confidence))[: self.kept]
        self._keep(
            [
                WrongLabel(
                    float(confidence[i]), int(indices[images[i]]), int(labels[i]), bool(targets[images[i], labels[i]])
                )
                for i in worst
            ]
        )

    def _allocate(self, labels: int) -> None:
        if not len(self.told):
            self.told = np.zeros(labels, np.int64)
            self.decisions = np.zeros((4, labels), np.int64)
            self._bins = np.zeros((2, 2, labels, bins_for(labels)), np.int64)

    def _keep(self, wrong: Sequence[WrongLabel]) -> None:
        self._wrong = heapq.nsmallest(self.kept, [*self._wrong, *wrong], key=_worst_first)

    def merge(self, other: Self) -> None:
        self.unanswered += other.unanswered
        if not len(other.told):
            return
        self._allocate(len(other.told))
        self.images += other.images
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self._bins = self._bins + other._bins
        self._keep(other._wrong)

    def state(self) -> State:
        wrong = np.array([astuple(one) for one in self.wrong], np.float64).reshape(-1, 4)
        counts = {"images": np.array(self.images), "unanswered": np.array(self.unanswered)}
        return {**counts, **{name: getattr(self, name) for name in _COUNTS}, "histograms": self._bins, "wrong": wrong}

    def load(self, state: State) -> None:
        self.images, self.unanswered = int(state["images"]), int(state["unanswered"])
        for name in _COUNTS:
            setattr(self, name, state[name].copy())
        self._bins = state["histograms"].copy()
        self._wrong = [WrongLabel(float(c), int(i), int(k), bool(p)) for c, i, k, p in state["wrong"]]


def bins_for(labels: int) -> int:
    """Return the number of bins for each of some labels, a power of two, so that a threshold of 0.5 is an edge."""
    bins = _BINS
    while bins > _FEWEST_BINS and 4 * labels * bins > _ENTRIES:
        bins //= 2
    return bins


def _half(indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the half of the images that each belongs to, 0 or 1, by a hash that does not follow the order."""
    with np.errstate(over="ignore"):
        mixed = (indices.astype(np.uint64) + np.uint64(1)) * np.uint64(_HASH)
    return np.asarray((mixed >> np.uint64(63)).astype(np.int64))


def _worst_first(one: WrongLabel) -> tuple[float, int, int]:
    return -one.confidence, one.image, one.label

"""Numbers of images by true and by predicted class, of which only the pairs that occur are kept.

A full matrix of 22,000 classes takes 3.8 GB, and nearly all of its entries are zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, Int64
from numpy.typing import NDArray

Classes = Int[NDArray[np.integer], " m"]


@dataclass(frozen=True, eq=False, slots=True)
class Confusion:
    """A sparse confusion matrix; its size follows from the pairs of classes that occur.

    Attributes:
        classes: The number of classes, `k`.
        cells: The pairs that occur, ascending, each as `true * k + predicted`, `[m]`.
        counts: The number of images of each pair, `[m]`.
    """

    classes: int
    cells: Int64[NDArray[np.int64], " m"]
    counts: Int64[NDArray[np.int64], " m"]

    @classmethod
    def of(cls, true: Classes, predicted: Classes, classes: int) -> Confusion:
        """Return the confusion of images with these true and predicted classes."""
        return cls(classes, *np.unique(true * classes + predicted, return_counts=True))

    @classmethod
    def full(cls, matrix: Int64[NDArray[np.int64], "k k"]) -> Confusion:
        """Return the confusion of a whole matrix: true classes in rows, predicted classes in columns."""
        cells = np.flatnonzero(matrix)
        return cls(len(matrix), cells, matrix.ravel()[cells])

    @property
    def true(self) -> Classes:
        """The true class of each pair."""
        return np.asarray(self.cells // max(1, self.classes))

    @property
    def predicted(self) -> Classes:
        """The predicted class of each pair."""
        return np.asarray(self.cells % max(1, self.classes))

    @property
    def total(self) -> int:
        """The number of images."""
        return int(self.counts.sum())

    @property
    def by_true(self) -> Int64[NDArray[np.int64], " k"]:
        """The number of images of each class."""
        return self._summed(self.true, self.counts)

    @property
    def by_predicted(self) -> Int64[NDArray[np.int64], " k"]:
        """The number of images that are predicted as each class."""
        return self._summed(self.predicted, self.counts)

    @property
    def correct(self) -> Int64[NDArray[np.int64], " k"]:
        """The number of correctly classified images of each class."""
        return self._summed(self.true, np.where(self.true == self.predicted, self.counts, 0))

    def of_class(self, true: int) -> Int64[NDArray[np.int64], " k"]:
        """Return the images of one class by predicted class."""
        return self._summed(self.predicted, np.where(self.true == true, self.counts, 0))

    def at(self, true: Classes, predicted: Classes) -> Classes:
        """Return the number of images of some pairs of classes."""
        wanted = true * self.classes + predicted
        if not len(self.cells):
            return np.zeros_like(wanted)
        places = np.minimum(np.searchsorted(self.cells, wanted), len(self.cells) - 1)
        return np.where(self.cells[places] == wanted, self.counts[places], 0)

    def among(self, chosen: Classes) -> Int64[NDArray[np.int64], "j j"]:
        """Return the matrix of some classes, with all others as one more class at the end, `j = m + 1`."""
        place = np.full(self.classes, len(chosen))
        place[chosen] = np.arange(len(chosen))
        matrix = np.zeros((len(chosen) + 1,) * 2, np.int64)
        np.add.at(matrix, (place[self.true], place[self.predicted]), self.counts)
        return matrix

    def most_confused(self, count: int) -> list[tuple[int, int, int]]:
        """Return the most frequent confusions: true class, predicted class and images; ties by class."""
        wrong = np.flatnonzero(self.true != self.predicted)
        order = wrong[np.argsort(-self.counts[wrong], kind="stable")][:count]
        columns = (part[order].tolist() for part in (self.true, self.predicted, self.counts))
        return list(zip(*columns, strict=True))

    def plus(self, other: Confusion) -> Confusion:
        """Return the confusion of the images of both."""
        cells, places = np.unique(np.concatenate([self.cells, other.cells]), return_inverse=True)
        counts = np.zeros(len(cells), np.int64)
        np.add.at(counts, places, np.concatenate([self.counts, other.counts]))
        return Confusion(max(self.classes, other.classes), cells, counts)

    def _summed(self, classes: Classes, counts: Classes) -> Int64[NDArray[np.int64], " k"]:
        found = np.zeros(self.classes, np.int64)
        np.add.at(found, classes, counts)
        return found


NONE = Confusion(0, np.zeros(0, np.int64), np.zeros(0, np.int64))

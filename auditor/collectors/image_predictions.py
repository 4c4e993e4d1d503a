"""The prediction for each image, to compare a network with another one on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from auditor.collectors.collector import Batch, State
from auditor.statistics.softmax import softmax

if TYPE_CHECKING:
    from torch import Tensor

MOST = 200_000
"""With more images no predictions are kept, so that the size of the summary is bounded."""

_COLUMNS = 4  # image, label, predicted class, confidence


class ImagePredictions:
    """The label, the predicted class and the confidence of each image; with more than `MOST` images only their number.

    Attributes:
        images: The number of images seen. Where images may have several labels, nothing else is kept.
    """

    key: tuple[Any, ...] = ("image predictions",)
    taps: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.images = 0
        self._parts: list[NDArray[np.float64]] = []

    @property
    def rows(self) -> NDArray[np.float64]:
        """Index in the data set, label, predicted class and confidence (0 to 1) of each image, `[n, 4]`.

        An unknown label is -1. The predicted class is -1 if the scores are not finite.
        """
        self._parts = [np.concatenate([np.empty((0, _COLUMNS)), *self._parts])]
        whole = self._parts[0]
        return np.asarray(whole[np.argsort(whole[:, 0], kind="stable")])

    def reduce(self, tap: str, output: Tensor) -> None:
        return None

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        count = len(batch.indices)
        if batch.targets is not None:  # an image with several labels has no predicted class
            self._take_in(count, [])
            return
        rows = np.stack([batch.indices, batch.labels, np.full(count, -1), np.zeros(count)], axis=1).astype(np.float64)
        finite = np.isfinite(batch.scores).all(1)
        if finite.any():
            rows[finite, 2] = batch.scores[finite].argmax(1)
            rows[finite, 3] = softmax(batch.scores[finite]).max(1)
        self._take_in(count, [rows])

    def merge(self, other: Self) -> None:
        self._take_in(other.images, other._parts)

    def state(self) -> State:
        return {"images": np.array(self.images), "rows": self.rows}

    def load(self, state: State) -> None:
        self.images, self._parts = int(state["images"]), [state["rows"]]

    def _take_in(self, count: int, parts: Sequence[NDArray[np.float64]]) -> None:
        self.images += count
        self._parts = [] if self.images > MOST else [*self._parts, *parts]

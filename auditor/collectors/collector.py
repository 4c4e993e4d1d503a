"""Mergeable summaries of the data that a network has seen.

A collector looks at every batch once. Its size does not depend on how much it has seen, and
merging is associative and does not mind the order, so that one pass, several processes and an
interrupted pass that goes on give the same summary. Nothing here imports torch: tensors come in,
numpy arrays are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What the network made of one batch of images.

    Attributes:
        indices: The images' places in the data set, `[n]`.
        labels: Their classes, `[n]`; -1 where there is none.
        scores: The scores before any softmax, `[n, k]`, on the CPU.
        unreadable: Files that could not be read, with the reason.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    unreadable: tuple[tuple[str, str], ...] = ()


class Collector(Protocol):
    """A summary; equal keys mean the same summary, which is then collected only once."""

    @property
    def key(self) -> tuple[Any, ...]:
        """What is collected, with all that shapes it."""
        ...

    @property
    def taps(self) -> tuple[str, ...]:
        """The modules whose output it wants to see during the forward pass."""
        ...

    def reduce(self, tap: str, output: Tensor) -> Any:
        """Return what is wanted of a module's output, `[n, c, ...]`; changes nothing."""
        ...

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        """Take in a batch, with the reductions of each tap, one for each time that it ran."""
        ...

    def merge(self, other: Self) -> None:
        """Take in what another collector of the same key has seen."""
        ...

    def state(self) -> State:
        """Return all that was collected, as arrays."""
        ...

    def load(self, state: State) -> None:
        """Be as the collector was that gave this state."""
        ...

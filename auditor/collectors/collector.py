"""Mergeable summaries of the data that a network has seen.

A collector sees every batch once. Its size does not depend on how much it has seen. Merging is
associative and commutative, so that a single pass, several processes and a resumed pass give the
same summary. Nothing here imports torch: tensors are taken, numpy arrays are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from auditor.data.decoding.traits import Traits

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Batch:
    """The scores of one batch of images.

    Attributes:
        indices: The indices of the images in the data set, `[n]`.
        labels: Their classes, `[n]`; -1 if unknown.
        scores: The scores before any softmax, `[n, k]`, on the CPU.
        unreadable: Files that could not be read, with the reason.
        traits: What distinguishes the images from plain upright ones of 8 bits.
        targets: Where an image may have several labels, for each whether it applies, `[n, k]`: 1, 0, or -1 if unknown.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    unreadable: tuple[tuple[str, str], ...] = ()
    traits: Traits = field(default_factory=Traits)
    targets: NDArray[np.int8] | None = None


class Collector(Protocol):
    """A mergeable summary; of several collectors with the same key only one is filled."""

    @property
    def key(self) -> tuple[Any, ...]:
        """What is collected, with everything that it depends on."""
        ...

    @property
    def taps(self) -> tuple[str, ...]:
        """The names of the modules whose outputs it needs."""
        ...

    def reduce(self, tap: str, output: Tensor) -> Any:
        """Return the needed part of a module's output, `[n, c, ...]`, without changing the output."""
        ...

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        """Add a batch, with the reductions of each tap, one for each time that it ran."""
        ...

    def merge(self, other: Self) -> None:
        """Add what another collector of the same key has seen."""
        ...

    def state(self) -> State:
        """Return the state of the collector, as arrays."""
        ...

    def load(self, state: State) -> None:
        """Set the state of the collector to one that `state` returned."""
        ...

"""The files of the data that can't be read, and what is special about the others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from auditor.collectors.collector import Batch, State
from auditor.data.decoding.traits import Traits
from auditor.language import packed, unpacked

if TYPE_CHECKING:
    from torch import Tensor


class Readability:
    """The files that could not be read, and the number of images that could.

    Attributes:
        read: The number of images read.
        traits: What distinguishes them from plain upright images of 8 bits.
    """

    key: tuple[Any, ...] = ("readability",)
    taps: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.read = 0
        self.traits = Traits()
        self._unreadable: dict[str, str] = {}

    @property
    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Files and reasons, sorted by file."""
        return tuple(sorted(self._unreadable.items()))

    def reduce(self, tap: str, output: Tensor) -> None:
        return None

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        self.read += len(batch.indices)
        self.traits += batch.traits
        self.unread(batch.unreadable)

    def unread(self, files: Iterable[tuple[str, str]]) -> None:
        """Count files that can't be read, with the reason."""
        self._unreadable.update(files)

    def merge(self, other: Self) -> None:
        self.read += other.read
        self.traits += other.traits
        self._unreadable.update(other._unreadable)

    def state(self) -> State:
        rows = [(file, json.dumps(packed(reason))) for file, reason in self.unreadable]
        return {
            "read": np.array(self.read),
            "unreadable": np.array(rows, dtype=str).reshape(-1, 2),
            "traits": np.array(sorted(self.traits.counts), dtype=str),
            "counts": np.array([count for _trait, count in sorted(self.traits.counts.items())], np.int64),
            "peak": np.array(self.traits.peak),
        }

    def load(self, state: State) -> None:
        self.read = int(state["read"])
        counts = dict(zip(map(str, state["traits"]), map(int, state["counts"]), strict=True))
        self.traits = Traits(counts, float(state["peak"]))
        self._unreadable = {str(file): unpacked(json.loads(reason)) for file, reason in state["unreadable"]}

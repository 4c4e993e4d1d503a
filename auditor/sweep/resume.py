"""The place in a sweep, kept on disk, so that a run that was killed goes on where it was.

What is kept are the summaries: they are small, and going on from them gives what a whole pass would have given. A
bookmark's name is a digest of all that shapes them. It is written under another name and moved into place, so that
it is whole or not there; its checksums tell a damaged one.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.collectors import Collector
from auditor.errors import describe


class Place(NamedTuple):
    """How far a sweep has come.

    Attributes:
        batches: How many are done.
        files: How many files these held.
        notes: Sentences about what had to be done otherwise in them.
    """

    batches: int = 0
    files: int = 0
    notes: tuple[str, ...] = ()


class Damaged(Exception):
    """The file of a bookmark is not what was written."""


class Bookmark:
    """A file that holds what some collectors have seen, and how far the sweep has come.

    Args:
        folder: Where bookmarks lie; it is made.
        told: All that shapes what the collectors will hold, as JSON can hold it.
    """

    def __init__(self, folder: Path, told: Any) -> None:
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        self.path = folder / f"{digest[:32]}.npz"

    def open(self, collectors: Sequence[Collector]) -> Place:
        """Bring the collectors to where they were, and return the place; nothing is done where there is none.

        Raises:
            Damaged: The file can't be read; the collectors are as they were.
        """
        try:
            if not self.path.exists():
                return Place()
            place, states = _read(self.path, len(collectors))
            for collector, state in zip(collectors, states, strict=True):
                copy.deepcopy(collector).load(state)
        except Exception as error:  # a damaged file may end in anything
            raise Damaged(describe(error)) from error
        for collector, state in zip(collectors, states, strict=True):
            collector.load(state)
        return place

    def keep(self, collectors: Sequence[Collector], place: Place) -> None:
        """Write down what the collectors hold.

        Raises:
            Exception: It can't be written, or a collector does not tell its state.
        """
        arrays: dict[str, NDArray[Any]] = {
            "place": np.array([place.batches, place.files]),
            "notes": np.array(place.notes, dtype=str),
        }
        for number, collector in enumerate(collectors):
            arrays |= {f"{number}:{name}": values for name, values in collector.state().items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=self.path.parent, prefix=f"{self.path.stem}.", suffix=".new")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # a name could be a parameter's; none of ours is
            Path(unfinished).replace(self.path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """Throw it away, with what a killed run has left unfinished; where that can't be done it stays."""
        with suppress(OSError):
            for file in [self.path, *self.path.parent.glob(f"{self.path.stem}.*.new")]:
                file.unlink(missing_ok=True)


def _read(path: Path, count: int) -> tuple[Place, list[dict[str, NDArray[Any]]]]:
    states: list[dict[str, NDArray[Any]]] = [{} for _ in range(count)]
    with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
        batches, files = kept["place"].tolist()
        notes = tuple(kept["notes"].tolist())
        for name in kept.files:
            number, colon, inner = name.partition(":")
            if colon:
                states[int(number)][inner] = kept[name]
    return Place(batches, files, notes), states

"""The progress of a sweep, saved on disk, so that a run that was killed resumes where it stopped.

The saved progress are the summaries. They are small, and resuming from them gives what a whole pass gives. The name
of the file is a digest of the pass's fingerprint. The file is written under another name and then renamed, so that it
is complete or absent; its checksums detect damage.
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
    """The progress of a sweep.

    Attributes:
        batches: The number of batches that are done.
        files: The number of files in these batches.
        notes: Sentences about what was done otherwise than asked.
    """

    batches: int = 0
    files: int = 0
    notes: tuple[str, ...] = ()


class Damaged(Exception):
    """The file of a bookmark can't be read, or holds something else."""


class Bookmark:
    """A file with the states of the collectors and the progress of the sweep.

    Args:
        folder: The folder of all bookmarks; it is created when needed.
        fingerprint: Everything that the states depend on, as JSON can hold it.
    """

    def __init__(self, folder: Path, fingerprint: Any) -> None:
        digest = hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()
        self.path = folder / f"{digest[:32]}.npz"

    def open(self, collectors: Sequence[Collector]) -> Place:
        """Load the saved states into the collectors and return the progress; without a file change nothing.

        Raises:
            Damaged: The file can't be read; the collectors are unchanged.
        """
        try:
            if not self.path.exists():
                return Place()
            place, states = _read(self.path, len(collectors))
            for collector, state in zip(collectors, states, strict=True):
                copy.deepcopy(collector).load(state)
        except Exception as error:  # a damaged file may raise any exception
            raise Damaged(describe(error)) from error
        for collector, state in zip(collectors, states, strict=True):
            collector.load(state)
        return place

    def keep(self, collectors: Sequence[Collector], place: Place) -> None:
        """Save the states of the collectors and the progress.

        Raises:
            Exception: The file can't be written, or a collector can't give its state.
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
                np.savez(file, **arrays)  # type: ignore[arg-type]  # no name of ours is a parameter of savez
            Path(unfinished).replace(self.path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """Remove the file, and the unfinished files of runs that were killed; ignore errors."""
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

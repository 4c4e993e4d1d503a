"""The collectors of a pass: shared out to the processes, saved on disk as they fill, and merged."""

from __future__ import annotations

import copy
import pickle
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import platformdirs

from auditor.collectors import Collector, State
from auditor.context import Context
from auditor.data.dataset import Loading, loader
from auditor.errors import describe
from auditor.language import _
from auditor.process.distributed import Processes
from auditor.sweep.resume import Bookmark, Damaged, Place
from auditor.sweep.sweep import sweep

Key = tuple[Any, ...]

_BATCHES, _SECONDS = 16, 30.0  # progress is saved after so many batches, or after so long


@dataclass(frozen=True, slots=True)
class Job:
    """What every process collects from its share of the data.

    Attributes:
        fingerprint: Everything that the collectors' states depend on; None if no progress is saved.
    """

    collectors: Sequence[Collector]
    fingerprint: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """What a process has collected from its share, or the error that prevented it."""

    states: Sequence[State]
    broken: Mapping[int, str]
    notes: Sequence[str]
    failure: str = ""


class PartMissing(Exception):
    """Another process could not collect its share."""


@dataclass
class Collection:
    """The share of one process in a job.

    Attributes:
        seen: Called with the number of files that are done.
        notes: Sentences about what was done otherwise than asked.
        bookmark: The saved progress; it is needed until the audit is complete.
    """

    context: Context
    job: Job
    loading: Loading
    processes: Processes
    seen: Callable[[int], None] = lambda done: None
    notes: list[str] = field(default_factory=list)
    bookmark: Bookmark | None = None

    def collect(self) -> dict[Key, Exception]:
        """Fill the collectors: those of the first process with all the data, those of the others with their share.

        Returns:
            The exceptions by the key of the collector.

        Raises:
            PartMissing: Another process failed. Only the first process raises it.
        """
        alone = self.processes.count == 1
        blank = () if alone else copy.deepcopy(self.job.collectors)
        broken, failure = dict[Key, Exception](), None
        try:
            broken = self._own_share()
        except Exception as error:
            failure = error
        if not alone:
            broken = self._merged(blank, broken, failure)
        if failure and self.processes.first:
            raise failure
        return broken

    def _own_share(self) -> dict[Key, Exception]:
        keeper = self._keeper()
        place, count = keeper.place, self.processes.count
        self.seen(place.files * count)
        self.notes.extend(place.notes)
        first = self.processes.number + place.batches * count
        batches = loader(
            self.context.data,
            batch_size=self.loading.batch_size,
            workers=self.loading.workers,
            pin=self.loading.pin,
            first=first,
            every=count,
            note=self.notes.append,
        )

        def seen(done: int) -> None:
            keeper.files += done
            self.seen(done * count)

        return sweep(
            self.context.network,
            batches,
            self.job.collectors,
            seen=seen,
            note=self.notes.append,
            settled=keeper.settled,
            numbers=range(first, len(self.context.data), count),
            seed=self.context.seed,
        )

    def _keeper(self) -> _Keeper:
        if self.job.fingerprint is None:
            return _Keeper(None, self.job.collectors, self.notes)
        share = {"number": self.processes.number, "of": self.processes.count}
        try:
            folder = platformdirs.user_cache_path("auditor") / "sweeps"
        except RuntimeError as error:  # a user without a home, as in a container
            self.notes.append(_unsaved(error))
            return _Keeper(None, self.job.collectors, self.notes)
        self.bookmark = Bookmark(folder, {**self.job.fingerprint, **share})
        return _Keeper(self.bookmark, self.job.collectors, self.notes)

    def _merged(
        self, blank: Sequence[Collector], broken: Mapping[Key, Exception], failure: Exception | None
    ) -> dict[Key, Exception]:
        """Send the states to the first process, which merges them; return the exceptions by key.

        Args:
            blank: Copies of the collectors from before the pass.
        """
        states, every = self._states(broken, failure)
        own = _Part(
            states,
            {n: describe(every[c.key]) for n, c in enumerate(self.job.collectors) if c.key in every},
            self.notes,
            describe(failure) if failure else "",
        )
        for number, part in list(enumerate(self.processes.gathered(own)))[1:]:
            if part.failure:
                raise PartMissing(f"process {number} of {self.processes.count} failed: {part.failure}") from failure
            self.notes.extend(part.notes)
            if not failure:
                self._merge(part, number, blank, every)
        return every

    def _states(
        self, broken: Mapping[Key, Exception], failure: Exception | None
    ) -> tuple[list[State], dict[Key, Exception]]:
        """Return the states of the collectors, {} for one that broke, and the exceptions by key."""
        states, every = list[State](), dict(broken)
        for collector in self.job.collectors:
            states.append({})
            if not failure and collector.key not in every:
                try:
                    pickle.dumps(state := collector.state())
                    states[-1] = state
                except Exception as error:  # pickling may raise any exception
                    every[collector.key] = error
        return states, every

    def _merge(self, part: _Part, number: int, blank: Sequence[Collector], broken: dict[Key, Exception]) -> None:
        """Merge what another process has collected into the collectors; add the exceptions to `broken`."""
        for place, (collector, new) in enumerate(zip(self.job.collectors, blank, strict=True)):
            if place in part.broken:
                broken.setdefault(collector.key, PartMissing(f"in process {number}: {part.broken[place]}"))
            elif collector.key not in broken:
                try:
                    other = copy.deepcopy(new)
                    other.load(part.states[place])
                    collector.merge(other)
                except Exception as error:
                    broken[collector.key] = error


def sendable(collectors: Sequence[Collector]) -> tuple[list[Collector], dict[Key, Exception]]:
    """Return the collectors that can be sent to other processes, and an exception for each of the rest."""
    fit, refused = list[Collector](), dict[Key, Exception]()
    for collector in collectors:
        try:
            pickle.dumps(collector)
            fit.append(collector)
        except Exception as error:  # pickling may raise any exception
            refused[collector.key] = PartMissing(f"can't be sent to another process: {describe(error)}")
    return fit, refused


def _unsaved(error: Exception) -> str:
    return _("progress can't be saved; a run that is killed starts again: {reason}", reason=error)


class _Keeper:
    """Saves the progress at intervals, until it can't be saved."""

    def __init__(self, bookmark: Bookmark | None, collectors: Sequence[Collector], notes: list[str]) -> None:
        self._bookmark, self._collectors, self._notes = bookmark, collectors, notes
        self.place = self._opened()
        self.files = self.place.files
        self._batches = self._kept = self.place.batches
        self._last = time.monotonic()

    def _opened(self) -> Place:
        if self._bookmark is None:
            return Place()
        try:
            return self._bookmark.open(self._collectors)
        except Damaged as damage:
            self._notes.append(
                _("the saved progress of an earlier run was damaged and removed: {reason}", reason=damage)
            )
            self._bookmark.remove()
            return Place()

    def settled(self) -> None:
        """Count one more batch that is in all collectors, and save the progress when it is due."""
        self._batches += 1
        due = self._batches - self._kept >= _BATCHES or time.monotonic() - self._last >= _SECONDS
        if self._bookmark is None or not due:
            return
        self._kept, self._last = self._batches, time.monotonic()
        try:
            self._bookmark.keep(self._collectors, Place(self._batches, self.files, tuple(self._notes)))
        except Exception as error:  # a full disk, or a plugin's collector that can't give its state
            self._notes.append(_unsaved(error))
            self._bookmark = None

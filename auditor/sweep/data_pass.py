"""The pass over the data: it fills the collectors of all checks, and finds the files that can't be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, cast

import torch

from auditor.collectors import Collector, Readability
from auditor.collectors.image_predictions import ImagePredictions
from auditor.config.settings import Settings
from auditor.context import Context
from auditor.data.dataset import Loading
from auditor.data.sampling import spread
from auditor.errors import DataError
from auditor.language import _
from auditor.model.preserve import Snapshot
from auditor.process import interrupts, signs
from auditor.process.distributed import Lost, Processes
from auditor.sweep.fingerprint import fingerprint
from auditor.sweep.resume import Bookmark
from auditor.sweep.sharding import Collection, Job, sendable

Key = tuple[Any, ...]

_SURVEYED = 200


@dataclass(frozen=True, slots=True)
class Collected:
    """What a pass over the data gave.

    Attributes:
        by_key: Each collector, or the exception that prevented it from being filled.
        readability: The files that can't be read, and the number of images that can.
        predictions: The prediction for each image.
        notes: Sentences about what was done otherwise than asked.
        bookmark: The saved progress; it is needed until the audit is complete.
        interrupted: Whether Ctrl-C stopped the pass; `by_key` is then empty.
    """

    by_key: Mapping[Key, Collector | Exception] = field(default_factory=dict)
    readability: Readability = field(default_factory=Readability)
    predictions: ImagePredictions = field(default_factory=ImagePredictions)
    notes: Sequence[str] = ()
    bookmark: Bookmark | None = None
    interrupted: bool = False

    @property
    def filled(self) -> list[Collector]:
        """The collectors that have seen all the data."""
        return [collector for collector in self.by_key.values() if not isinstance(collector, Exception)]


@dataclass(frozen=True, slots=True)
class DataPass:
    """What a pass over the data needs.

    Attributes:
        snapshot: The network is restored from it after the pass.
        send: Sends the job to the other processes.
        watch: Shows the pass over so many files; it gives a function that is called with the number of files done.
    """

    context: Context
    settings: Settings
    snapshot: Snapshot
    processes: Processes
    send: Callable[[Job], None]
    watch: Callable[[int], AbstractContextManager[Callable[[int], None]]]

    def collect(self, wanted: Iterable[Collector]) -> Collected:
        """Fill the collectors, one for each key.

        Raises:
            DataError: None of the files is a readable image.
        """
        collectors = {collector.key: collector for collector in wanted}
        readability = cast(Readability, collectors.setdefault(Readability.key, Readability()))
        predictions = collectors[ImagePredictions.key] = ImagePredictions()
        notes: list[str] = []
        try:
            with interrupts.opened():
                broken, bookmark = self._fill(list(collectors.values()), notes)
        except KeyboardInterrupt:
            return Collected({}, readability, ImagePredictions(), notes, interrupted=True)
        except Lost:
            raise
        except Exception as error:  # what the collectors hold is incomplete
            return Collected(dict.fromkeys(collectors, error), notes=notes)
        finally:
            self._restore(notes)
        if not readability.read:
            count = len(self.context.data)
            raise DataError(f"none of the {count} files in {self.settings.data} is a readable image")
        if ImagePredictions.key in broken:
            predictions = ImagePredictions()
        return Collected({**collectors, **broken}, readability, predictions, notes, bookmark)

    def _fill(self, collectors: Sequence[Collector], notes: list[str]) -> tuple[dict[Key, Exception], Bookmark | None]:
        """Fill the collectors; return the exceptions by key, and the saved progress."""
        context, how = self.context, loading(self.settings, self.context.network.device)
        refused: dict[Key, Exception] = {}
        if self.processes.count > 1:
            collectors, refused = sendable(collectors)
        signs.phase("the pass over the data")
        job = Job(collectors, fingerprint(context, collectors, how) if self.settings.cache else None)
        self.send(job)
        with self.watch(len(context.data)) as seen:

            def counted(done: int) -> None:
                signs.beat()
                seen(done)

            collection = Collection(context, job, how, self.processes, counted, notes)
            broken = collection.collect()
        return broken | refused, collection.bookmark

    def _restore(self, notes: list[str]) -> None:
        if changes := self.snapshot.changes():
            self.snapshot.restore()
            notes.append(_("the network changed during the sweep and was restored: {change}", change=changes[0]))


def survey(context: Context) -> Readability:
    """Return how many of at most `_SURVEYED` files can be read, for an audit without a pass over the data."""
    data, found = context.data, Readability()
    found.unread(context.unreadable)
    for index in spread([None] * len(data), _SURVEYED, context.seed):
        sample = data[index]
        if sample.tensor is None:
            found.unread([(data.listing.names[index], sample.reason)])
        else:
            found.read += 1
            found.traits += sample.traits
    return found


def assist(context: Context, job: Job, settings: Settings, processes: Processes) -> None:
    """Do this process's share of a pass that the first process asks for."""
    collection = Collection(context, job, loading(settings, context.network.device), processes)
    collection.collect()
    if collection.bookmark:
        collection.bookmark.remove()


def loading(settings: Settings, device: torch.device) -> Loading:
    """Return how images are loaded; the defaults depend on the device."""
    on_cpu = device.type == "cpu"
    batch_size = settings.batch_size or (16 if on_cpu else 64)
    workers = settings.workers if settings.workers is not None else (0 if on_cpu else min(8, os.cpu_count() or 1))
    return Loading(batch_size, workers, pin=device.type == "cuda")

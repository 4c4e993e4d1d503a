"""What the checks want collected: shared out to the processes, kept on disk as it grows, and put together."""

from __future__ import annotations

import copy
import hashlib
import inspect
import pickle
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import platformdirs
import torch
from torch import nn

from auditor import __version__
from auditor.collectors import Collector, State
from auditor.context import Context
from auditor.data.dataset import loader
from auditor.language import _
from auditor.process.distributed import Processes
from auditor.process.isolation import surroundings
from auditor.sweep.resume import Bookmark, Damaged, Place
from auditor.sweep.sweep import sweep

Key = tuple[Any, ...]

_PACKAGE = Path(__file__).parents[1]  # all code that shapes a summary is in it
_BATCHES, _SECONDS = 16, 30.0  # the place is kept after so many batches, or after so long


@dataclass(frozen=True, slots=True)
class Loading:
    """How images come to the network."""

    batch_size: int
    workers: int
    pin: bool


@dataclass(frozen=True, slots=True)
class Job:
    """What every process has to collect from its share of the data.

    Attributes:
        told: All that shapes what will be collected, or None where no place is to be kept.
    """

    collectors: Sequence[Collector]
    told: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """What a process has collected of its share, or what kept it from that."""

    states: Sequence[State]
    broken: Mapping[int, str]
    notes: Sequence[str]
    failure: str = ""


class PartMissing(Exception):
    """Another process could not collect its share."""


@dataclass
class Collection:
    """One process at its share of a job.

    Attributes:
        seen: Called with the number of files that are done.
        notes: Sentences about what had to be done otherwise.
        bookmark: Where the place is kept until the audit is done.
    """

    context: Context
    job: Job
    loading: Loading
    processes: Processes
    seen: Callable[[int], None] = lambda done: None
    notes: list[str] = field(default_factory=list)
    bookmark: Bookmark | None = None

    def collect(self) -> dict[Key, Exception]:
        """Fill the collectors; those of the first process get the whole, the others' only their share.

        Returns:
            What broke, by the key of the collector.

        Raises:
            PartMissing: Another process failed. The others are silent: what they could not do the first one tells.
        """
        alone = self.processes.count == 1
        blank = () if alone else copy.deepcopy(self.job.collectors)
        broken, failure = dict[Key, Exception](), None
        try:
            broken = self._own_share()
        except Exception as error:
            failure = error
        if not alone:
            broken = self._put_together(blank, broken, failure)
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
        if self.job.told is None:
            return _Keeper(None, self.job.collectors, self.notes)
        share = {"number": self.processes.number, "of": self.processes.count}
        self.bookmark = Bookmark(platformdirs.user_cache_path("auditor") / "sweeps", {**self.job.told, **share})
        return _Keeper(self.bookmark, self.job.collectors, self.notes)

    def _put_together(
        self, blank: Sequence[Collector], broken: Mapping[Key, Exception], failure: Exception | None
    ) -> dict[Key, Exception]:
        collectors = self.job.collectors
        states: list[State] = []
        for collector in collectors:
            states.append({})
            if not failure and collector.key not in broken:
                try:
                    pickle.dumps(state := collector.state())
                    states[-1] = state
                except Exception as error:  # what can't be pickled may say so in any way
                    broken = {**broken, collector.key: error}
        own = _Part(
            states,
            {n: _described(broken[c.key]) for n, c in enumerate(collectors) if c.key in broken},
            self.notes,
            _described(failure) if failure else "",
        )
        every = dict(broken)
        for number, part in list(enumerate(self.processes.gathered(own)))[1:]:
            if part.failure:
                raise PartMissing(f"process {number} of {self.processes.count} failed: {part.failure}") from failure
            self.notes.extend(part.notes)
            for place, (collector, new) in enumerate(zip(collectors, blank, strict=True)):
                if place in part.broken:
                    every.setdefault(collector.key, PartMissing(f"in process {number}: {part.broken[place]}"))
                elif collector.key not in every and not failure:
                    try:
                        _take_in(collector, copy.deepcopy(new), part.states[place])
                    except Exception as error:
                        every[collector.key] = error
        return every


def _take_in(collector: Collector, other: Collector, state: State) -> None:
    other.load(state)
    collector.merge(other)


def sendable(collectors: Sequence[Collector]) -> tuple[list[Collector], dict[Key, Exception]]:
    """Return the collectors that other processes can be sent, and why the others can't."""
    fit, refused = list[Collector](), dict[Key, Exception]()
    for collector in collectors:
        try:
            pickle.dumps(collector)
            fit.append(collector)
        except Exception as error:  # what can't be pickled may say so in any way
            refused[collector.key] = PartMissing(f"can't be sent to another process: {_described(error)}")
    return fit, refused


class _Keeper:
    """Writes down what is collected, every so often, and stops where that can't be done."""

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
            told = _("what an earlier run had kept of the sweep was damaged and thrown away: {reason}", reason=damage)
            self._notes.append(told)
            self._bookmark.remove()
            return Place()

    def settled(self) -> None:
        """Take note that one more batch is in all collectors."""
        self._batches += 1
        due = self._batches - self._kept >= _BATCHES or time.monotonic() - self._last >= _SECONDS
        if self._bookmark is None or not due:
            return
        self._kept, self._last = self._batches, time.monotonic()
        try:
            self._bookmark.keep(self._collectors, Place(self._batches, self.files, tuple(self._notes)))
        except Exception as error:  # a full disk, or a plugin's collector that does not tell its state
            told = _("the sweep's place can't be kept, so that a killed run would begin anew: {reason}", reason=error)
            self._notes.append(told)
            self._bookmark = None


def told(context: Context, collectors: Sequence[Collector], loading: Loading) -> dict[str, Any]:
    """Return all that shapes what is collected, so that nothing is gone on with that would come out otherwise."""
    data, network = context.data, context.network
    kinds = [type(collector) for collector in collectors] + [type(module) for module in network.module.modules()]
    return {
        "versions": [__version__, *(metadata.version(name) for name in ("torch", "torchvision", "numpy", "pillow"))],
        "checkpoint": context.checkpoint.sha256,
        "code": _code(kinds),
        "behaviour": _behaviour(context, collectors),
        "data": data.listing.fingerprint,
        "labels": _digest(repr((context.classes, data.labels.indices))),
        "preprocess": context.preprocess.settings(),
        "computing": [context.seed, network.amp, str(network.device), torch.get_num_threads(), loading.batch_size],
        "collectors": [_digest(repr(c.key)) for c in collectors],
    }


def _code(kinds: Iterable[type]) -> str:
    """Return a digest of this package, of the source of some classes, and of what was imported from beside that."""
    sources = {Path(file) for kind in set(kinds) if (file := _file(kind))}
    folders = {source.parent for source in sources}
    loaded = {Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    beside = {path for path in loaded if path.parent in folders}
    files = sorted({*_PACKAGE.rglob("*.py"), *sources, *beside})
    return _digest("".join(_digest(path.read_bytes()) for path in files if path.is_file()))


def _file(kind: type) -> str | None:
    try:
        return inspect.getsourcefile(kind)
    except (OSError, TypeError):
        return None


def _behaviour(context: Context, collectors: Sequence[Collector]) -> str:
    """Return a digest of what the network makes of noise and of some images, at its end and where it is observed."""
    network, told = context.network, list[str]()

    def tell(module: nn.Module, inputs: Any, output: Any) -> None:
        told.extend(_digest(one.float().cpu().numpy().tobytes()) for one in [output] if isinstance(one, torch.Tensor))

    taps = dict.fromkeys(tap for collector in collectors for tap in collector.taps)
    handles = []
    noise = torch.randn(network.input_shape, generator=torch.Generator().manual_seed(0))
    shown = [sample.tensor for index in context.chosen[:3] if (sample := context.data[index]).tensor is not None]
    try:
        handles += [network.module.get_submodule(tap).register_forward_hook(tell) for tap in taps]
        with torch.inference_mode(), surroundings(context.seed, "behaviour", network.device):
            told.append(_digest(network.scores(torch.stack([noise, *shown])).cpu().numpy().tobytes()))
    except Exception as error:
        told.append(_described(error))
    finally:
        for handle in handles:
            handle.remove()
    return _digest("".join(told))


def _digest(text: str | bytes) -> str:
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"

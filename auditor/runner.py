"""The whole audit in one screen.

Checks that need nothing collected run at once; one sweep over the data then fills the collectors
of all the others, and these run. Each runs alone: what it breaks is its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from auditor import comparison
from auditor.assembly import assemble
from auditor.check import Check
from auditor.check_run import Trial
from auditor.collectors import Collector, Readability
from auditor.collectors.answers import Answers
from auditor.comparison import Pair, Source
from auditor.config import settings as config
from auditor.config.selection import selected
from auditor.config.settings import Settings
from auditor.context import Context, Progress, unseen
from auditor.data.dataset import Loading
from auditor.errors import DataError
from auditor.judging.rule import Rule
from auditor.language import _, speaking
from auditor.model.preserve import Snapshot
from auditor.plugins import Plugins, load
from auditor.process.distributed import Processes
from auditor.provenance import provenance, recorded
from auditor.results import Audit, Finding, Provenance, Recorded, Result, Verdict
from auditor.sweep.fingerprint import told
from auditor.sweep.resume import Bookmark
from auditor.sweep.sharding import Collection, Job, sendable

Key = tuple[Any, ...]

_ALONE = Processes()


class Observer(Protocol):
    """Who is told what happens, as it happens."""

    def begun(self, about: Provenance, checks: Sequence[Check]) -> None: ...

    def sweeping(self, images: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show the pass over the data; what is handed back is called with each number of files done."""
        ...

    def checking(self, check: Check) -> None: ...

    def working(self, total: int, unit: str) -> Progress:
        """Show how far the check is that has its turn."""
        ...

    def checked(self, result: Result) -> None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """An audit, and the raw arrays behind its pictures by check and name."""

    audit: Audit
    arrays: Mapping[str, Mapping[str, Any]]


class Silent:
    """The observer of an audit that nobody watches."""

    def begun(self, about: Provenance, checks: Sequence[Check]) -> None: ...

    def sweeping(self, images: int) -> AbstractContextManager[Callable[[int], None]]:
        return nullcontext(lambda done: None)

    def checking(self, check: Check) -> None: ...

    def working(self, total: int, unit: str) -> Progress:
        return unseen(total, unit)

    def checked(self, result: Result) -> None: ...


def audit(checkpoint: str | Path, data: str | Path | None = None, **settings: Any) -> Audit:
    """Audit a checkpoint from Python.

        audit = auditor.run("resnet18.pt", "photos/", samples=4, checks={"filters": {"dead_warn": 0.1}})
        assert audit.verdict <= auditor.Verdict.WARN

    Args:
        settings: As the keys of `[tool.auditor]`; no file is read.

    Raises:
        AuditorError: As `run`.
    """
    named = settings.get("plugin", ())
    plugins = load([named] if isinstance(named, str) else named)
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    if data is not None:
        asked["data"] = str(data)
    asked.setdefault("workers", 0)  # processes would start the caller's script again
    chosen = config.load(Path(checkpoint), asked, checks=plugins.checks, beside=comparison.DECLARED)
    baseline = comparison.read(chosen.baseline) if chosen.baseline else None
    return run(chosen, plugins, Silent(), baseline=baseline).audit


def run(
    settings: Settings,
    plugins: Plugins,
    observer: Observer,
    processes: Processes = _ALONE,
    *,
    baseline: Source | None = None,
) -> Run:
    """Audit a checkpoint, in the language that the settings ask for.

    Args:
        processes: Those that help with the pass over the data; each of them has to `assist`.
        baseline: An earlier audit to compare with.

    Raises:
        AuditorError: The input can't be used, or no check is selected. A check that fails, breaks
            or is interrupted raises nothing: the audit says so.
    """
    with speaking(settings.language):
        return _run(settings, plugins, observer, processes, baseline)


def _run(
    settings: Settings, plugins: Plugins, observer: Observer, processes: Processes, baseline: Source | None
) -> Run:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    checks = selected(plugins.checks, settings)
    settings, relative = comparison.resolved(settings, checks, baseline)
    context = assemble(settings, architectures=plugins.architectures, sources=plugins.data)
    context = replace(context, working=observer.working)
    observer.begun(provenance(context, settings, started), checks)
    turns = trials(checks, context, settings, keep_arrays=settings.save_arrays or bool(baseline and baseline.arrays))
    course = _Course(context, settings, observer, turns, processes, notes=_own_changes(turns[0].snapshot))
    course.run()
    notes = (*relative, *course.notes)
    about = provenance(context, settings, started, unreadable=course.readability.unreadable, notes=notes)
    kept = recorded(context, course.answers, course.filled.values()) if course.filled else Recorded()
    found = Audit(about, course.results, course.interrupted, course.not_run, kept)
    done = Run(found, {t.check.name: t.arrays for t in course.trials if t.arrays})
    return replace(done, audit=_compared(done, baseline, settings, observer, plugins.rules)) if baseline else done


def _compared(done: Run, baseline: Source, settings: Settings, observer: Observer, rules: Mapping[str, Rule]) -> Audit:
    """Return the audit with the comparison as its last section; a comparison that breaks costs only itself."""
    audit, check = done.audit, comparison.DECLARED["baseline"]
    about = replace(audit.provenance, settings={**audit.provenance.settings, "baseline": baseline.told})
    if audit.interrupted:
        return replace(audit, provenance=about, not_run=(*audit.not_run, check.name))
    observer.checking(check)
    pair = Pair(baseline, Source(audit, str(settings.folder), done.arrays), rules)
    try:
        result = comparison.result(pair, settings.options.get(check.name, {}), settings.levels)
    except Exception as error:
        told = Finding(f"{check.name}.error", Verdict.ERROR, f"{type(error).__name__}: {error}")
        result = Result(check.name, _(check.question), (told,))
    observer.checked(result)
    return replace(audit, provenance=about, results=(*audit.results, result))


def assist(settings: Settings, plugins: Plugins, processes: Processes) -> None:
    """Do this process's share of the pass over the data of an audit that the first process runs.

    Raises:
        AuditorError: The input can't be used.
    """
    context = assemble(settings, architectures=plugins.architectures, sources=plugins.data)
    job = processes.shared(None)
    if job is None:  # nothing is to be collected
        return
    collection = Collection(context, job, loading(settings, context.network.device), processes)
    collection.collect()
    if collection.bookmark:
        collection.bookmark.remove()


def trials(checks: Sequence[Check], context: Context, settings: Settings, *, keep_arrays: bool = False) -> list[Trial]:
    """Return each check with its options; they share one memory of what the network is like."""
    snapshot = Snapshot(context.network.module, context.network.run_once)
    return [Trial(c, context, snapshot, settings.options.get(c.name, {}), keep_arrays=keep_arrays) for c in checks]


def _own_changes(snapshot: Snapshot) -> list[str]:
    if not snapshot.volatile:
        return []
    change = snapshot.volatile[0]
    return [_("the network changes itself when it runs, which was put back after each check: {change}", change=change)]


def inspect(settings: Settings, plugins: Plugins) -> Provenance:
    """Return what is known of a checkpoint and its network without running a check."""
    context = assemble(settings, architectures=plugins.architectures, sources=plugins.data)
    return provenance(context, settings, datetime.now(UTC).isoformat(timespec="seconds"))


class _Enough(Exception):
    """As many checks have failed as `--maxfail` allows."""


@dataclass
class _Course:
    """The trials of an audit in their order, and what came of them."""

    context: Context
    settings: Settings
    observer: Observer
    trials: Sequence[Trial]
    processes: Processes = _ALONE
    ended: dict[str, Result] = field(default_factory=dict)
    readability: Readability = field(default_factory=Readability)
    answers: Answers = field(default_factory=Answers)
    filled: Mapping[Key, Collector] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False
    _shared: bool = False
    _bookmark: Bookmark | None = None

    def run(self) -> None:
        """Let all have their turn; what was kept of the sweep is needed no more once they had it."""
        try:
            for trial in self.trials:
                self._turn(trial, trial.begin)
            waiting = [trial for trial in self.trials if trial.wanted]
            filled = self._sweep(waiting)
            for trial in waiting:
                self._turn(trial, partial(trial.go_on, filled))
        except _Enough:
            pass
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            if not self._shared:
                self.processes.shared(None)
        if self._bookmark and not self.interrupted:
            self._bookmark.remove()

    @property
    def results(self) -> tuple[Result, ...]:
        return tuple(self.ended[t.check.name] for t in self.trials if t.check.name in self.ended)

    @property
    def not_run(self) -> tuple[str, ...]:
        return tuple(t.check.name for t in self.trials if t.check.name not in self.ended)

    def _turn(self, trial: Trial, act: Callable[[], None]) -> None:
        self.observer.checking(trial.check)
        try:
            act()
        except KeyboardInterrupt:
            self._end(trial)
            raise
        if not trial.wanted:
            self._end(trial)
            self._stop_after_enough()

    def _end(self, trial: Trial) -> None:
        result = trial.result(self.settings.levels)
        self.ended[trial.check.name] = result
        self.observer.checked(result)

    def _stop_after_enough(self) -> None:
        failed = sum(result.verdict >= Verdict.FAIL for result in self.ended.values())
        if 0 < self.settings.maxfail <= failed:
            raise _Enough

    def _sweep(self, waiting: Sequence[Trial]) -> Mapping[Key, Collector | Exception]:
        """Fill what is waited for, once for each key; what could not be filled is the exception."""
        if not waiting:
            return {}
        collectors: dict[Key, Collector] = {c.key: c for trial in waiting for c in trial.wanted}
        self.readability = collectors.setdefault(Readability.key, self.readability)  # type: ignore[assignment]
        collectors[Answers.key] = self.answers
        try:
            broken = self._collect(list(collectors.values()))
        except Exception as error:
            self.readability, self.answers = Readability(), Answers()  # what they hold is not the whole
            return dict.fromkeys(collectors, error)
        finally:
            self._put_back_after_sweep()
        if not self.readability.read:
            raise DataError(f"none of the {len(self.context.data)} files in {self.settings.data} is a readable image")
        self.filled = {key: collector for key, collector in collectors.items() if key not in broken}
        self.answers = self.answers if Answers.key in self.filled else Answers()
        return collectors | broken

    def _collect(self, collectors: Sequence[Collector]) -> dict[Key, Exception]:
        context, ways = self.context, loading(self.settings, self.context.network.device)
        refused: dict[Key, Exception] = {}
        if self.processes.count > 1:
            collectors, refused = sendable(collectors)
        job = Job(collectors, told(context, collectors, ways) if self.settings.cache else None)
        self.processes.shared(job)
        self._shared = True
        with self.observer.sweeping(len(context.data)) as seen:
            collection = Collection(context, job, ways, self.processes, seen, self.notes)
            broken = collection.collect()
        self._bookmark = collection.bookmark
        return broken | refused

    def _put_back_after_sweep(self) -> None:
        snapshot = self.trials[0].snapshot
        if changes := snapshot.changes():
            snapshot.restore()
            self.notes.append(_("the network changed during the sweep and was put back: {change}", change=changes[0]))


def loading(settings: Settings, device: torch.device) -> Loading:
    """Return how images are loaded, by default as suits the device."""
    on_cpu = device.type == "cpu"
    batch_size = settings.batch_size or (16 if on_cpu else 64)
    workers = settings.workers if settings.workers is not None else (0 if on_cpu else min(8, os.cpu_count() or 1))
    return Loading(batch_size, workers, pin=device.type == "cuda")

"""The whole audit in one screen.

Every check starts. Checks that need no collectors run to their end. One sweep over the data then
fills the collectors of the others, and these continue. A check that breaks affects no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from auditor import comparison
from auditor.assembly import NOTHING, Given, assemble
from auditor.check import Check
from auditor.check_run import CheckRun
from auditor.checks.checkpoint import findings as coverage_findings
from auditor.checks.checkpoint.check import checkpoint as CHECKPOINT  # noqa: N812
from auditor.checks.data.check import data as DATA  # noqa: N812
from auditor.checks.data.check import data_result
from auditor.checks.data.findings import amount_of
from auditor.collectors import Readability
from auditor.comparison import Pair, Source
from auditor.config.selection import selected
from auditor.config.settings import Settings
from auditor.context import Context
from auditor.errors import describe
from auditor.judging import causes, grounds
from auditor.judging.rule import Rule
from auditor.judging.sufficiency import FEWEST, MOST_UNREADABLE, withheld
from auditor.language import _, some, speaking
from auditor.model.convolutions import aligned, convolutions
from auditor.model.preserve import Snapshot
from auditor.model.stability import drawing_operators
from auditor.observer import Observer
from auditor.plugins import Plugins
from auditor.process import interrupts, signs
from auditor.process.deadline import Deadline
from auditor.process.distributed import Processes
from auditor.process.isolation import Isolation
from auditor.provenance import provenance, recorded
from auditor.results import Audit, Finding, Provenance, Recorded, Result, Verdict
from auditor.sweep import data_pass
from auditor.sweep.data_pass import Collected, DataPass, survey

_ALONE = Processes()


@dataclass(frozen=True, slots=True)
class Run:
    """An audit, and the raw arrays behind its pictures, by check and name.

    Attributes:
        out_of_time: Whether it was stopped because the time of `--within` was used up.
    """

    audit: Audit
    arrays: Mapping[str, Mapping[str, Any]]
    out_of_time: bool = False


def run(
    settings: Settings,
    plugins: Plugins,
    observer: Observer,
    processes: Processes = _ALONE,
    *,
    baseline: Source | None = None,
    begin: Callable[[], None] = lambda: None,
    given: Given = NOTHING,
) -> Run:
    """Audit a checkpoint, in the language of the settings.

    A check that fails, breaks or is interrupted raises nothing; the audit reports it.

    Args:
        processes: Processes that share the pass over the data; each of them has to call `assist`.
        baseline: An earlier audit to compare with.
        begin: Called before the first check, when all inputs have been found usable.
        given: What a program gives, in place of what the settings name.

    Raises:
        AuditorError: The input can't be used, or no check is selected.
    """
    deadline = Deadline(settings.within)
    with speaking(settings.language), deadline.interrupting():
        return _run(settings, plugins, observer, processes, baseline, begin, deadline, given)


def _run(
    settings: Settings,
    plugins: Plugins,
    observer: Observer,
    processes: Processes,
    baseline: Source | None,
    begin: Callable[[], None],
    deadline: Deadline,
    given: Given,
) -> Run:
    started = datetime.now(UTC).isoformat(timespec="seconds")
    checks = selected(plugins.checks, settings)
    settings, relative = comparison.resolved(settings, checks, baseline)
    with interrupts.opened():
        context = assemble(settings, architectures=plugins.architectures, sources=plugins.data, given=given)
    context = replace(context, working=observer.working, budget=deadline)
    checks = _with_coverage(checks, plugins, settings, context)
    begin()
    observer.begun(provenance(context, settings, started), checks)
    keep_arrays = settings.save_arrays or bool(baseline and baseline.arrays)
    runs = check_runs(checks, context, settings, keep_arrays=keep_arrays)
    turns, collected = _phases(runs, context, settings, observer, processes)
    readability = collected.readability
    if not readability.read and not turns.interrupted and any(run.context.looked for run in runs):
        readability = survey(context)  # no pass has tried the files
    out_of_time = turns.interrupted and deadline.over
    notes = (
        *relative,
        *_used_up(deadline, out_of_time),
        *_draws(context),
        *_own_changes(runs[0].snapshot),
        *collected.notes,
    )
    about = provenance(context, settings, started, unreadable=readability.unreadable, notes=notes)
    by_name = {check.name: turns.results[check.name] for check in checks if check.name in turns.results}
    if not turns.interrupted:
        by_name = _without_shortage(runs, by_name, readability, settings, observer)
    results = _traced(tuple(by_name.values()), context)
    not_run = tuple(check.name for check in checks if check.name not in turns.results)
    kept = recorded(context, collected.predictions, collected.filled) if collected.filled else Recorded()
    done = Run(
        Audit(about, results, turns.interrupted, not_run, kept),
        {run.check.name: run.arrays for run in runs if run.arrays},
        out_of_time,
    )
    return replace(done, audit=_compared(done, baseline, settings, observer, plugins.rules)) if baseline else done


def _traced(results: tuple[Result, ...], context: Context) -> tuple[Result, ...]:
    """Return the results with the causes of their findings."""
    if sum(f.verdict >= Verdict.WARN for result in results for f in result.findings) < 2:
        return results
    found = convolutions(context.network.module, list(context.network.layers))
    return causes.traced(results, aligned(found))


def _with_coverage(checks: list[Check], plugins: Plugins, settings: Settings, context: Context) -> list[Check]:
    """Return the checks, with `checkpoint` if others rest on weights that the file does not have."""
    first, coverage = plugins.checks.get(CHECKPOINT.name), context.architecture.coverage
    lacking = set(coverage_findings.gone(coverage))
    resting = any(not lacking.isdisjoint(check.needs) for check in checks)
    if first is None or first in checks or settings.run_blocked or not resting:
        return checks
    return [first, *checks]


def _without_shortage(
    runs: Sequence[CheckRun],
    results: Mapping[str, Result],
    readability: Readability,
    settings: Settings,
    observer: Observer,
) -> dict[str, Result]:
    """Return the results in the order of the checks; with too few readable images, none passes on images.

    If that is a failure of the check `data`, it is part of the audit, even if this check was not selected.
    """
    changed, looking = dict[str, Result](), [run for run in runs if run.context.looked]
    if looking:
        context, options = looking[0].context, settings.options.get(DATA.name, {})
        few = {"most": options.get("unreadable_fail", MOST_UNREADABLE), "fewest": options.get("fewest", FEWEST)}
        if shortage := amount_of(readability, context).shortage(**few):
            ended = [run for run in looking if run.check.name in results]
            changed = {run.check.name: withheld(results[run.check.name], run.check.rules, shortage) for run in ended}
            if DATA.name not in results:
                said = data_result(readability, context, options, settings.levels)
                changed |= {DATA.name: said} if said.verdict > Verdict.WARN else {}
    for name, result in changed.items():
        if result != results.get(name):
            observer.checked(result)
    return {**results, **changed}


def _compared(done: Run, baseline: Source, settings: Settings, observer: Observer, rules: Mapping[str, Rule]) -> Audit:
    """Return the audit with the comparison as its last section; an error in it affects no other section."""
    audit, check = done.audit, comparison.DECLARED["baseline"]
    about = replace(audit.provenance, settings={**audit.provenance.settings, "baseline": baseline.summary})
    if audit.interrupted:
        return replace(audit, provenance=about, not_run=(*audit.not_run, check.name))
    observer.checking(check)
    pair = Pair(baseline, Source(audit, str(settings.folder), done.arrays), rules).translated(settings.language)
    try:
        if death := signs.deaths().get(check.name):
            raise RuntimeError(_("ended the process ({reason})", reason=death.reason))
        with signs.turn(check.name, signs.BEGIN, settings.check_timeout):
            result = comparison.result(pair, settings.options.get(check.name, {}), settings.levels)
    except Exception as error:
        broken = Finding(f"{check.name}.error", Verdict.ERROR, describe(error))
        result = Result(check.name, _(check.question), (broken,))
    observer.checked(result)
    return replace(audit, provenance=about, results=(*audit.results, result))


def assist(settings: Settings, plugins: Plugins, processes: Processes) -> None:
    """Do this process's share of the pass over the data; the first process runs the audit.

    Raises:
        AuditorError: The input can't be used.
    """
    context = assemble(settings, architectures=plugins.architectures, sources=plugins.data)
    job = processes.shared(None)
    if job is None:  # no check needs collectors
        return
    data_pass.assist(context, job, settings, processes)


def check_runs(
    checks: Sequence[Check], context: Context, settings: Settings, *, keep_arrays: bool = False
) -> list[CheckRun]:
    """Return a run of each check with its options; all share one snapshot of the network."""
    snapshot, isolation = Snapshot(context.network.module, context.network.run_once), Isolation(context.shared)
    return [
        CheckRun(
            check,
            context.for_one_check(),
            snapshot,
            isolation,
            settings.options.get(check.name, {}),
            keep_arrays=keep_arrays,
            seconds_allowed=settings.check_timeout,
        )
        for check in checks
    ]


def _used_up(deadline: Deadline, out_of_time: bool) -> list[str]:
    if not out_of_time:
        return []
    return [_("the time of --within ({seconds:g} s) was used up before all checks had run", seconds=deadline.seconds)]


def _draws(context: Context) -> list[str]:
    operators = drawing_operators(context.network)
    if not operators:
        return []
    named = some(operators, 3)
    return [
        _(
            "the network draws random numbers when it runs ({operators}): scores and maps are of one draw",
            operators=named,
        )
    ]


def _own_changes(snapshot: Snapshot) -> list[str]:
    if not snapshot.volatile:
        return []
    change = snapshot.volatile[0]
    return [_("the network changes itself when it runs; it was restored after each check: {change}", change=change)]


def inspect(settings: Settings, plugins: Plugins) -> Provenance:
    """Return the facts about a checkpoint and its network, without running a check."""
    context = assemble(settings, architectures=plugins.architectures, sources=plugins.data)
    return provenance(context, settings, datetime.now(UTC).isoformat(timespec="seconds"))


class _Turn(NamedTuple):
    """One of the two turns of a check, `BEGIN` or `GO_ON`."""

    which: str
    run: CheckRun
    act: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Turns:
    """What the turns of some checks gave.

    Attributes:
        results: Of the checks that have ended, by name.
        stopped: Whether no other check may have a turn: after Ctrl-C, or as many failures as `--maxfail` allows.
        interrupted: Whether it was Ctrl-C, or the end of the time that the audit may take.
    """

    results: Mapping[str, Result]
    stopped: bool = False
    interrupted: bool = False


def _phases(
    runs: Sequence[CheckRun], context: Context, settings: Settings, observer: Observer, processes: Processes
) -> tuple[_Turns, Collected]:
    """Start every check, collect what they wait for in one pass over the data, and let them continue."""
    with processes.offering() as send:
        begun = _take_turns(_first_turns(run for run in runs if not run.check.waits), settings, observer)
        late = _first_turns(run for run in runs if run.check.waits)
        waiting = [] if begun.stopped else [run for run in runs if run.wanted]
        if not waiting:
            return (begun if begun.stopped else _take_turns(late, settings, observer, begun.results)), Collected()
        one_pass = DataPass(context, settings, runs[0].snapshot, processes, send, observer.sweeping)
        changes = list[str]()
        with runs[0].isolation.watching(changes):
            collected = one_pass.collect(collector for run in waiting for collector in run.wanted)
        for run in waiting:
            run.answer_for(changes)
        if collected.interrupted:
            return replace(begun, interrupted=True), collected
        turns = [_Turn(signs.GO_ON, run, partial(run.go_on, collected.by_key)) for run in waiting]
        ended = _take_turns([*turns, *late], settings, observer, begun.results)
    if collected.bookmark and not ended.interrupted:
        collected.bookmark.remove()
    return ended, collected


def _first_turns(runs: Iterable[CheckRun]) -> list[_Turn]:
    return [_Turn(signs.BEGIN, run, run.begin) for run in runs]


def _take_turns(
    turns: Iterable[_Turn],
    settings: Settings,
    observer: Observer,
    before: Mapping[str, Result] = MappingProxyType({}),
) -> _Turns:
    """Let each check act; return the results of those that ended, together with those from before."""
    results = dict(before)

    def end(run: CheckRun) -> None:
        results[run.check.name] = run.result(settings.levels)
        observer.checked(results[run.check.name])

    try:
        for which, run, act in turns:
            if run.context.budget.over:
                return _Turns(results, stopped=True, interrupted=True)
            observer.checking(run.check)
            death = signs.deaths().get(run.check.name)
            try:
                if death and death.turn == which:
                    run.end(death)
                elif gone := not settings.run_blocked and grounds.blocking(run.check.needs, results.values()):
                    run.block(gone)
                else:
                    with signs.turn(run.check.name, which, settings.check_timeout):
                        act()
            except KeyboardInterrupt:
                end(run)
                raise
            if run.wanted:
                continue
            end(run)
            if 0 < settings.maxfail <= sum(result.verdict >= Verdict.FAIL for result in results.values()):
                return _Turns(results, stopped=True)
    except KeyboardInterrupt:
        return _Turns(results, stopped=True, interrupted=True)
    return _Turns(results)

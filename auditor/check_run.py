"""The run of one check: isolated and timed; the network is restored afterwards."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from auditor.check import Check, Steps
from auditor.collectors import Collector
from auditor.context import Context
from auditor.errors import Skip, UsageError
from auditor.judging import grounds
from auditor.judging.validation import levelled, measured, refuse_malformed
from auditor.language import _, current, headed, message_of, some, speak
from auditor.model.preserve import Snapshot
from auditor.process import interrupts, signs
from auditor.process.isolation import Isolation, surroundings
from auditor.process.time_limit import OutOfTime, limited
from auditor.results import Arrays, Evidence, Figure, Finding, Gallery, Result, Table, Verdict


@dataclass
class CheckRun:
    """A check, what it has yielded so far, and the collectors that it waits for.

    Attributes:
        keep_arrays: Whether the raw numbers behind the pictures are kept; they may be large.
        seconds_allowed: The time that the check may take, without the shared pass over the data; 0 for any.
        wanted: The collectors that must be filled before the check can continue; () when it has ended.
    """

    check: Check
    context: Context
    snapshot: Snapshot
    isolation: Isolation
    options: Mapping[str, Any] = field(default_factory=dict)
    evidence: list[Evidence] = field(default_factory=list)
    arrays: dict[str, Any] = field(default_factory=dict)
    keep_arrays: bool = True
    seconds_allowed: float = 0.0
    wanted: tuple[Collector, ...] = ()
    seconds: float = 0.0
    _steps: Steps | None = None
    _alone: bool = False
    _received: bool = False
    _shared: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._shared = self.context.shared

    def begin(self) -> None:
        """Run the check to its end, or until it waits for collectors."""
        self._guarded(self._start)

    def answer_for(self, changes: Sequence[str]) -> None:
        """Report what changed while its collectors were filled, if they are other people's code."""
        if changes and not all(type(one).__module__.startswith("auditor.") for one in self.wanted):
            self._restore(changes)

    def go_on(self, filled: Mapping[tuple[Any, ...], Collector | Exception]) -> None:
        """Send the check the collectors that it waits for, and run it to its end.

        Args:
            filled: By key, the collector, or the exception that prevented it from being filled.
        """
        wanted, self.wanted = self.wanted, ()
        self._guarded(partial(self._receive, [filled[collector.key] for collector in wanted]))

    def result(self, levels: Mapping[str, str]) -> Result:
        """Return the result; `levels` replaces the verdicts `warn` and `fail` by rule."""
        evidence = tuple(levelled(e, levels) for e in self.evidence)
        check, seconds = self.check, round(self.seconds, 3)
        guide, source = check.spoken(check.guide), check.spoken(check.source)
        rules = check.facts(self.options)
        return Result(check.name, check.spoken(check.question), evidence, seconds, guide, source, rules)

    def _start(self) -> None:
        self._steps = self.check(self.context, **self.options)
        self._run(None)

    def _receive(self, filled: Sequence[Collector | Exception]) -> None:
        self._received = True
        for one in filled:
            if isinstance(one, Exception):
                raise one
        self._run(filled[0] if self._alone else tuple(filled))

    def _run(self, sent: Any) -> None:
        assert self._steps is not None  # noqa: S101 - begin comes first
        try:
            while True:
                step = self._steps.send(sent)
                sent = None
                if self._waits_for(step):
                    return
                self._keep(step)
        except StopIteration as end:
            if end.value is not None:
                raise TypeError(f"returned a {type(end.value).__name__}, but has to yield it") from None
            if not self.evidence:
                self._note("error", Verdict.ERROR, _("yielded no evidence"))

    def _waits_for(self, step: Any) -> bool:
        several = step if isinstance(step, tuple) else (step,)
        if not several or not all(hasattr(one, "update") and hasattr(one, "taps") for one in several):
            return False
        self.context.data  # noqa: B018 - raises Skip where there are no images to collect from
        if self.evidence or self.arrays or self._received:
            raise TypeError("yielded a collector too late; collectors come first, all in one tuple")
        for one in several:
            hash(one.key)
        self.wanted, self._alone = several, not isinstance(step, tuple)
        return True

    def _keep(self, step: Any) -> None:
        if isinstance(step, Arrays):
            self.arrays.update(step.arrays if self.keep_arrays else {})
        elif isinstance(step, Finding | Figure | Gallery | Table):
            refuse_malformed(step)
            self.evidence.append(measured(step) if isinstance(step, Finding) else step)
        else:
            raise TypeError(f"yielded a {type(step).__name__}, which is neither evidence nor a collector")

    def _guarded(self, act: Callable[[], None]) -> None:
        begun, changes = time.perf_counter(), list[str]()
        seed, device = self.context.seed, self.context.network.device
        try:
            isolated = surroundings(seed, self.check.name, device), self.isolation.watching(changes)
            with isolated[0], isolated[1], interrupts.opened(), limited(self._seconds_left()):
                self._acted(act, changes)
        except Skip as reason:
            self._note("skipped", Verdict.SKIP, message_of(reason))
        except UsageError:
            raise
        except OutOfTime:
            self._note("timeout", Verdict.ERROR, self._too_long())
        except KeyboardInterrupt:
            if self.context.budget.over:
                self._note("interrupted", Verdict.WARN, _("stopped: the time of --within was used up"))
            else:
                self._note("interrupted", Verdict.ERROR, _("was interrupted before it ended"))
            raise
        except BaseException as error:  # a check may call sys.exit, or raise what a test library does
            self._note("error", Verdict.ERROR, _message(error), _traceback(error))
        finally:
            self.seconds += time.perf_counter() - begun
            self._restore(changes)

    def _acted(self, act: Callable[[], None], changes: list[str]) -> None:
        language = current().name
        try:
            act()
        finally:
            self._close()
            if current().name != language:
                speak(language)
                changes.append("auditor.language.current()")

    def _seconds_left(self) -> float:
        """Return the seconds that are left to the check: negative if there are none, 0 for any time."""
        left = self.seconds_allowed - self.seconds
        return (left if left > 0 else -1.0) if self.seconds_allowed else 0.0

    def _too_long(self) -> str:
        return _(
            "stopped after {seconds:g} s: longer than --check-timeout; raise the limit or give the check less to do",
            seconds=self.seconds_allowed,
        )

    def block(self, findings: Sequence[Finding]) -> None:
        """End the check without a turn, because these findings took away what it rests on."""
        self.wanted = ()
        self._note("skipped", Verdict.SKIP, grounds.reason(findings))
        self._close()

    def end(self, death: signs.Death) -> None:
        """End the check without another turn, because it ended an earlier process of this audit."""
        self.wanted = ()
        if death.stopped:
            self._note("timeout", Verdict.ERROR, self._too_long())
        else:
            self._note("error", Verdict.ERROR, _("ended the process ({reason})", reason=death.reason))
        self._close()

    def _close(self) -> None:
        """Close a generator that will not continue, so that its `with` blocks end."""
        if self._steps is not None and not self.wanted:
            with suppress(Exception):
                self._steps.close()

    def _restore(self, names: Sequence[str]) -> None:
        names = [*dict.fromkeys([*names, *self.context.put_back(self._shared)])]
        own = [_("{name} changed", name=name) for name in names]
        network = self.snapshot.changes()
        if network:
            self.snapshot.restore()
        changes = [*network, *self.context.changed_samples(), *own]
        if changes:
            message = _("changed what all checks share; it was restored: {changes}", changes=some(changes, 3))
            self._note("modified", Verdict.ERROR, message)

    def _note(self, rule: str, verdict: Verdict, message: str, detail: str = "") -> None:
        self.evidence.append(Finding(f"{self.check.name}.{rule}", verdict, message, detail=detail))


def _message(error: BaseException) -> str:
    return headed(type(error).__name__, str(error).strip() or _("no message"))


def _traceback(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))

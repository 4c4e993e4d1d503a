"""A small parent process that supervises a command, so that no abnormal end looks like a verdict.

The parent forks before anything large is loaded. The child runs the command and sends signs of life (`signs`); its
last act is the final record, the exit code. The parent returns that code only if the child then ended with it. Any
other end, `os._exit(0)` in a check as well as a signal or no sign of life, is one line and another exit code.

What ends with one check does not take the others with it: the audit starts again with that check marked as broken.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from auditor.process import interrupts, signs
from auditor.process.console import say
from auditor.process.signs import Death, Line

_INTERRUPTED, _INTERNAL = 2, 3  # of results.Exit, which a small process doesn't import
_TICK = 1.0  # seconds
_ENOUGH, _PATIENCE = 3, 5.0  # signals, and seconds after the last of them, until the process is killed
_ENDING = 60.0  # seconds that atexit functions may take
_STOPPING = 300.0  # seconds without a sign after a signal: a signal can strike where a library holds a lock
_PR_SET_PDEATHSIG = 1


class Tell(NamedTuple):
    """How the parent prints a line.

    Attributes:
        warning: Prints a warning, after which the audit starts again.
        error: Prints why the command has ended without a verdict.
    """

    warning: Callable[[str, str], None]
    error: Callable[[str, str], None]


def supervised(command: Callable[[], int], tell: Tell, *, again: bool = True, silence: float = signs.SILENCE) -> int:
    """Run a command in a process of its own, and return its exit code, which a late signal no longer changes.

    Where the system has no `fork`, as on Windows, the command runs in this process, unsupervised.

    Args:
        tell: Gets a line and the last words of the process.
        again: Whether the command may be started again, without the check that ended it.
        silence: Seconds without a sign after which the process is taken to hang, until it sets another limit.
    """
    if not hasattr(os, "fork"):
        return command()
    before = _handlers()
    code = _outcome(command, tell, before, again=again, silence=silence)
    interrupts.ignored()
    return code


def _outcome(command: Callable[[], int], tell: Tell, before: dict[int, Any], *, again: bool, silence: float) -> int:
    """Run the command, again without a check that ends the process, and return the exit code."""
    deaths: dict[str, Death] = {}
    while True:
        child = _Child(command, deaths, silence, before)
        code = child.watched()
        if code is not None:
            return code
        where, reason = child.where, child.reason
        if child.asked:
            tell.error(f"interrupted; the process ended during {where} ({reason}) and wrote no report", child.words)
            return _INTERRUPTED
        if not again or not child.check or _known(deaths.get(child.check), child.turn):
            tell.error(f"the process ended during {where} ({reason}); there is no verdict", child.words)
            return _INTERNAL
        tell.warning(f"{where} ended the process ({reason}); the audit starts again without it", child.words)
        deaths[child.check] = Death(child.turn, reason, bool(child.overdue))


def _known(death: Death | None, turn: str) -> bool:
    return death is not None and turn in (death.turn, signs.GO_ON)


class _Child:
    """A child process that runs the command, and what it has told.

    Attributes:
        check: The name of the check that runs; an empty text for none.
        turn: Which turn of the check it is.
        words: What to print first if it ends now.
        overdue: Why it was killed, or an empty text.
    """

    def __init__(
        self, command: Callable[[], int], deaths: dict[str, Death], silence: float, before: dict[int, Any]
    ) -> None:
        self.check = self.turn = self.words = self.overdue = ""
        self._requests: list[float] = []
        self._phase, self._lost, self._limit, self._silent = "its start", "", silence, 0.0
        self._spent: dict[str, float] = {}
        self._rest, self._final, self._status = b"", -1, 0
        self._signs, handle = os.pipe()
        self._wakes, wakes = os.pipe()
        os.set_blocking(wakes, False)
        os.set_blocking(self._wakes, False)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            for unused in (self._signs, self._wakes, wakes):
                os.close(unused)
            _run(command, handle, deaths, parent)
        os.close(handle)
        self._open = True
        self._wakes_written = wakes

    @property
    def asked(self) -> bool:
        """Whether a signal has asked it to stop."""
        return bool(self._requests)

    @property
    def where(self) -> str:
        """What was running."""
        return f"check {self.check!r}" if self.check else self._phase

    @property
    def reason(self) -> str:
        """How the process ended."""
        if self.overdue or self._lost:
            return self.overdue or self._lost
        if os.WIFSIGNALED(self._status):
            number = os.WTERMSIG(self._status)
            name = (signal.strsignal(number) or "unknown").lower()
            memory = "; it may have run out of memory" if number == signal.SIGKILL else ""
            return f"signal {number}, {name}{memory}"
        return f"exit code {os.waitstatus_to_exitcode(self._status)}"

    def watched(self) -> int | None:
        """Wait for the end, and return the exit code; None for an abnormal end."""
        try:
            while not self._ended():
                self._wait()
            self._read()
        finally:
            self._close()
        ended = os.waitstatus_to_exitcode(self._status)
        return ended if ended == self._final >= 0 else None

    def _ended(self) -> bool:
        pid, self._status = os.waitpid(self._pid, os.WNOHANG)
        return pid != 0

    def _wait(self) -> None:
        """Wait for a sign, a signal or the next tick."""
        begun = time.monotonic()
        ready, _, _ = select.select([self._wakes, *([self._signs] if self._open else [])], [], [], _TICK)
        # a tick that took longer was one in which the whole group was stopped, as by Ctrl-Z
        passed = min(time.monotonic() - begun, 2 * _TICK)
        self._silent += passed
        if self.check:
            self._spent[self.check] = self._spent.get(self.check, 0.0) + passed
        if self._wakes in ready:
            self._pass_on(os.read(self._wakes, 512))
        if self._signs in ready:
            self._read()
        self._end_overdue()

    def _pass_on(self, numbers: bytes) -> None:
        for number in numbers:
            if number in interrupts.SIGNALS:
                if time.monotonic() - max(self._requests, default=-1.0) > 1:
                    self._requests.append(time.monotonic())
                with suppress(ProcessLookupError):
                    os.kill(self._pid, number)

    def _read(self) -> None:
        """Take in all signs that have arrived; a copy of the process may hold the pipe open after its end."""
        while self._open and select.select([self._signs], [], [], 0)[0]:
            content = os.read(self._signs, 65536)
            self._open = bool(content)
            *lines, self._rest = (self._rest + content).split(b"\n")
            for line in lines:
                self._take(line.decode(errors="replace").split("\t"))

    def _take(self, sign: list[str]) -> None:
        self._silent = 0.0
        match sign:
            case ["phase", what, silence]:
                self.check, self.turn, self._phase, self._limit = "", "", what, float(silence)
            case ["turn", name, which, limit]:
                self.check, self.turn, self._limit = name, which, float(limit)
            case ["words", words]:
                self.words = words
            case ["lost", reason]:
                self._lost = reason
            case ["final", code]:
                self._final = int(code)

    def _end_overdue(self) -> None:
        """Kill a process that hangs. A check first gets the time in which the process stops it by itself."""
        if len(self._requests) >= _ENOUGH and time.monotonic() - self._requests[_ENOUGH - 1] > _PATIENCE:
            self.overdue = "it did not respond to three signals"
        if self.overdue or not self._limit:
            self._kill_overdue()
            return
        limit, spent = self._limit, self._spent.get(self.check, 0.0) if self.check else self._silent
        if self._requests and min(self._silent, time.monotonic() - self._requests[-1]) > _STOPPING:
            self.overdue = f"no sign of life for {_STOPPING:.0f} s after a signal"
        if self.check and spent > limit + min(2 + limit / 10, 60):
            self.overdue = f"stopped after {spent:.0f} s: longer than --check-timeout, and it did not respond"
        elif not self.check and spent > limit:
            self.overdue = f"no sign of life for {spent:.0f} s"
        self._kill_overdue()

    def _kill_overdue(self) -> None:
        if self.overdue:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def _close(self) -> None:
        signal.set_wakeup_fd(-1)
        for handle in (self._signs, self._wakes, self._wakes_written):
            os.close(handle)


def _handlers() -> dict[int, Any]:
    """Make the signals wake the parent instead of ending it, and return the handlers from before."""
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in (*interrupts.SIGNALS, signal.SIGCHLD)}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN or number == signal.SIGCHLD:
            signal.signal(number, lambda number, frame: None)
    return before


def _run(command: Callable[[], int], handle: int, deaths: dict[str, Death], parent: int) -> None:
    """Run the command in the child, send the final record, and end the process.

    The process ends without the interpreter's own clean-up: a thread that never ends would hold it up, and a library
    that crashes while it is unloaded would change the exit code.
    """
    code = _INTERNAL
    try:
        _end_with(parent)
        line = Line(handle, deaths)
        signs.connect(line)
        interrupts.installed()
        code = command()
        interrupts.ignored()
        signs.phase("its end", silence=_ENDING)
        atexit._run_exitfuncs()
        _flush()
        line.send("final", str(int(code)))
    except KeyboardInterrupt:
        code = _INTERRUPTED
        say("error: interrupted before any check finished; no report was written", err=True)
        line.send("final", str(code))
    except BaseException:
        say(traceback.format_exc(), err=True)
    finally:
        os._exit(code)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # the reader has left, or a check has closed or replaced it
            stream.flush()


def _end_with(parent: int) -> None:
    """Make the system end this process when the parent is killed; only Linux can."""
    if sys.platform != "linux":
        return
    import ctypes

    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(_INTERNAL)

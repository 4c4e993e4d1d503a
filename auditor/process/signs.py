"""What a supervised process tells its supervisor: what it is doing, that it is alive, and its exit code.

The signs are lines in a pipe. Its descriptor is high and not inherited by other programs, and a copy of the process
that a check forks can't use it: the copy ends at its first sign, so it never writes a report. Without a supervisor, as
in a program that calls `auditor.run`, signs change nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import NamedTuple

SILENCE = 30 * 60.0  # seconds without a sign after which a process is taken to hang
BEGIN, GO_ON = "begin", "go on"
_HIGHEST = (900, 200, 50)  # descriptors: a program that closes or reuses the low ones misses them
_BETWEEN_BEATS = 1.0  # seconds
_NO_RECORD = 3


class Death(NamedTuple):
    """How a check ended an earlier process of this audit.

    Attributes:
        turn: Whether it was in its first turn, `BEGIN`, or after the pass over the data, `GO_ON`.
        reason: For example `signal 11, segmentation fault`.
        stopped: Whether the supervisor ended it, because it ran too long.
    """

    turn: str
    reason: str
    stopped: bool = False


class Line:
    """The end of the pipe that the supervised process writes to.

    Args:
        handle: A descriptor of the pipe; it is replaced by a high one.
        deaths: How checks ended earlier processes of this audit, by name.
    """

    def __init__(self, handle: int, deaths: Mapping[str, Death]) -> None:
        self._handle = _moved_up(handle)
        self._owner, self._pipe = os.getpid(), _identity(self._handle)
        self._last = 0.0
        self.deaths = deaths

    def send(self, *fields: str) -> None:
        """Send a sign; where that is impossible, end this process: nobody could learn how it ends."""
        text = "\t".join(" ".join(field.split()) for field in fields)[:2000]
        try:
            if os.getpid() != self._owner or _identity(self._handle) != self._pipe:
                os._exit(_NO_RECORD)
            os.write(self._handle, f"{text}\n".encode(errors="replace"))
        except OSError:
            os._exit(_NO_RECORD)

    def beat(self) -> None:
        """Send a sign of life, once a second at most."""
        if time.monotonic() - self._last >= _BETWEEN_BEATS:
            self._last = time.monotonic()
            self.send("beat")


class _Supervised:
    """The line to the supervisor, in a process that has one."""

    line: Line | None = None


_supervised = _Supervised()


def connect(line: Line) -> None:
    """Send the signs of this process through a line from now on."""
    _supervised.line = line


def phase(what: str, *, silence: float = SILENCE) -> None:
    """Say what the process is doing now.

    Args:
        what: For example `the pass over the data`.
        silence: Seconds without a sign after which it is taken to hang; 0 for never.
    """
    if _supervised.line:
        _supervised.line.send("phase", what, str(silence))


def beat() -> None:
    """Say that the process is alive."""
    if _supervised.line:
        _supervised.line.beat()


@contextmanager
def turn(check: str, which: str, limit: float) -> Iterator[None]:
    """Say that a check runs in the block.

    Args:
        which: `BEGIN` or `GO_ON`.
        limit: Seconds that its turns may take together; 0 for any time.
    """
    if _supervised.line:
        _supervised.line.send("turn", check, which, str(limit))
    try:
        yield
    finally:
        phase("the audit, between two checks")


def last_words(text: str) -> None:
    """Say what the supervisor has to print first if the process ends without printing it; an empty text for nothing."""
    if _supervised.line:
        _supervised.line.send("words", text)


def lost(reason: str) -> None:
    """Say why the process is about to end."""
    if _supervised.line:
        _supervised.line.send("lost", reason)


def supervised() -> bool:
    """Return whether this process has a supervisor."""
    return _supervised.line is not None


def deaths() -> Mapping[str, Death]:
    """Return how checks ended earlier processes of this audit, by name."""
    return _supervised.line.deaths if _supervised.line else MappingProxyType({})


def _moved_up(handle: int) -> int:
    import fcntl  # Windows has none, and no supervisor

    for lowest in _HIGHEST:
        with suppress(OSError):  # the system allows fewer
            high = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, lowest)
            os.close(handle)
            return high
    return handle


def _identity(handle: int) -> tuple[int, int]:
    found = os.fstat(handle)
    return found.st_dev, found.st_ino

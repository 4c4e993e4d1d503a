"""SIGINT, SIGTERM and SIGHUP: all three ask an audit to stop and to write what it has.

A signal raises `KeyboardInterrupt` where that is expected, and waits where it would lose results. In a block of `held`
it waits for the next block of `opened`; a check and the pass over the data run in such blocks. Only a third signal
breaks into a held block. Without `installed`, as in a program that calls `auditor.run`, all of this changes nothing.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_ONE_REQUEST = 1.0  # seconds: a terminal sends a signal to the whole group, and the supervisor passes it on
_BREAKS_IN = 3  # signals


class _State:
    """Whether signals wait, how many do, and when the last one came."""

    def __init__(self) -> None:
        self.held = False
        self.waiting = 0
        self.last = -_ONE_REQUEST


_state = _State()


def installed() -> None:
    """Take the three signals in this process, except those that it was started to ignore, as by `nohup`."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _taken)
    os.register_at_fork(after_in_child=_left_to_default)


def taken() -> signal.Signals | None:
    """Return a signal that this process takes as `installed` has it; None if there is none.

    A shell starts background jobs with SIGINT ignored.
    """
    return next((number for number in SIGNALS if signal.getsignal(number) is _taken), None)


def ignored() -> None:
    """Ignore the signals from now on: nothing is left to stop."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def held() -> Iterator[None]:
    """Let signals wait in the block. A signal that still waits when the outermost block ends has no effect."""
    before, _state.held = _state.held, True
    try:
        yield
    finally:
        _state.held = before


@contextmanager
def opened() -> Iterator[None]:
    """Let signals raise `KeyboardInterrupt` in the block, even inside of `held`.

    Raises:
        KeyboardInterrupt: A signal came in the block, or waits since before.
    """
    before, _state.held = _state.held, False
    try:
        if _state.waiting:
            _state.waiting = 0
            raise KeyboardInterrupt
        yield
    finally:
        _state.held = before


def _taken(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if now - _state.last < _ONE_REQUEST:
        return
    _state.last = now
    if _state.held:
        _state.waiting += 1
        if _state.waiting < _BREAKS_IN:
            return
    _state.waiting = 0
    raise KeyboardInterrupt


def _left_to_default() -> None:
    """Let signals end a worker that was forked, as its own parent expects when it sends SIGTERM."""
    for number in SIGNALS:
        if signal.getsignal(number) is _taken:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

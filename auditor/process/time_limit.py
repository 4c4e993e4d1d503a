"""A limit to the time of a block, kept with the interval timer of the process."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SHORTEST, _LONGEST, _PARTS = 0.05, 30.0, 20  # seconds between two ticks, and ticks for the whole time
_CLOSE = 0.001  # seconds


class OutOfTime(BaseException):
    """The time is over. It is no `Exception`, so that `except Exception` in a check lets it pass."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `OutOfTime` in the block when it has run for so many seconds, again and again until the block ends.

    The timer ticks, and the ticks are counted, so time in which the process was stopped does not count. Without limit:
    on systems without the timer, outside of the main thread, and for 0 seconds.

    Raises:
        OutOfTime: The block ran longer.
    """
    unlimited = not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread()
    if unlimited or seconds == 0:
        yield
        return
    if seconds < 0:
        raise OutOfTime
    ticks = _Ticks(seconds)
    before = signal.signal(signal.SIGALRM, ticks.tick)
    try:
        signal.setitimer(signal.ITIMER_REAL, ticks.interval, ticks.interval)
        try:
            yield
        finally:
            ticks.over = True
    finally:
        ticks.over = True  # once more: a tick may have come just before the line above
        if abs(signal.getitimer(signal.ITIMER_REAL)[1] - ticks.interval) < _CLOSE:
            signal.setitimer(signal.ITIMER_REAL, 0)  # a timer of the block's own is left for `isolation` to report
        signal.signal(signal.SIGALRM, before)


class _Ticks:
    """Counts the time of a block; `over` when the block has ended."""

    def __init__(self, seconds: float) -> None:
        self.interval = min(max(seconds / _PARTS, _SHORTEST), _LONGEST)
        self.over = False
        self._left, self._last = seconds, time.monotonic()

    def tick(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        self._left -= min(now - self._last, 2 * self.interval)
        self._last = now
        if self._left <= 0.001 and not self.over:
            raise OutOfTime

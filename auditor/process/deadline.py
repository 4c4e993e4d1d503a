"""The time that an audit may take, `--within`: when it is over, the audit is stopped as by Ctrl-C."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from auditor.process import interrupts


class Deadline:
    """The time that is left to an audit.

    Args:
        seconds: How long it may take from now on; 0 for any time.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds if seconds else math.inf

    @property
    def left(self) -> float:
        """The seconds that are left, 0 or more; infinite without a limit."""
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        return self.left == 0

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Interrupt the main thread when the time is over, if that happens in the block and signals are handled.

        In a program that calls `auditor.run` nothing is interrupted; the deadline is checked between checks there.
        """
        number = interrupts.taken()
        if math.isinf(self._end) or number is None or not hasattr(signal, "pthread_kill"):
            yield
            return
        timer = threading.Timer(self.left, _interrupt, [number])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _interrupt(number: signal.Signals) -> None:
    signal.pthread_kill(threading.main_thread().ident or 0, number)

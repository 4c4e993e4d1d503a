"""Notices that another process of the audit has ended early, and ends this one too.

The checks of the first process may take hours, so the others wait for it without a limit. Each process therefore
counts up a number in the store through which all have met, and looks at the numbers of the others.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from torch import distributed

from auditor.process import signs
from auditor.process.console import say
from auditor.process.foreign_text import printable

_BEAT, _GONE = 3.0, 30.0  # seconds
_ENDED, _FAILED = "ended", "failed"
_LOST = 3  # exit code


@contextmanager
def watched(number: int, count: int) -> Iterator[None]:
    """End this process if another one fails or is gone while the block runs.

    A process that leaves the block without an exception, or after an interrupt, is not missed by the others.
    """
    peers = _Peers(number, count)
    thread = threading.Thread(target=peers.watch, daemon=True, name="auditor-peers")
    thread.start()
    last = _FAILED
    try:
        yield
        last = _ENDED
    except KeyboardInterrupt:
        last = _ENDED
        raise
    finally:
        peers.over.set()
        thread.join(_BEAT)
        peers.say(last)


class _Peers:
    def __init__(self, number: int, count: int) -> None:
        self.over = threading.Event()
        self._number, self._count = number, count
        self._round = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self._store = distributed.TCPStore(  # type: ignore[attr-defined]  # public, but not in __all__
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]),
            is_master=False,
            timeout=timedelta(seconds=_GONE),
        )  # a connection of its own: that of the process group is used by the main thread

    def say(self, text: str) -> None:
        """Tell the others; the store may be gone with the process that holds it."""
        with suppress(RuntimeError):
            self._store.set(self._key(self._number), text)

    def watch(self) -> None:
        """Beat, and look at the others, until the block is over."""
        others = {number: ("", time.monotonic()) for number in range(self._count) if number != self._number}
        beats = 0
        while not self.over.wait(_BEAT):
            beats += 1
            try:
                self._store.set(self._key(self._number), str(beats))
                missing = self._missing(others)
            except RuntimeError:  # the process that holds the store has ended, perhaps because all is done
                missing = None if self.over.wait(2 * _BEAT) else 0
            if missing is not None and not self.over.is_set():
                _end(f"process {missing} of {self._count} ended early")

    def _missing(self, others: dict[int, tuple[str, float]]) -> int | None:
        """Return the number of a process that has failed or is gone, and forget those that have ended."""
        for number, (before, when) in list(others.items()):
            key = self._key(number)
            now = self._store.get(key).decode() if self._store.check([key]) else ""
            if now == _ENDED:
                del others[number]
            elif now == _FAILED or (now == before and time.monotonic() - when > _GONE):
                return number
            elif now != before:
                others[number] = now, time.monotonic()
        return None

    def _key(self, number: int) -> str:
        return f"auditor/{self._round}/{number}"


def _end(reason: str) -> None:
    """End the process from this thread; the main thread may wait in the process group or run a check."""
    signs.lost(reason)
    if not signs.supervised():
        say(f"error: {printable(reason)}; there is no verdict", err=True)
    os._exit(_LOST)

"""The part of a file that was read last, kept for the image that is asked for next."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from types import SimpleNamespace
from typing import Any


class Window:
    """Holds one part. Each process has its own: a copy that is sent to another process is empty."""

    def __init__(self) -> None:
        self._lock, self._held = Lock(), SimpleNamespace(key=None, part=None)

    def part(self, key: Any, read: Callable[[Any, Any], Any]) -> Any:
        """Return a part, which is read only if it is not the one that is held.

        Args:
            read: Called with the key and the part that were held before, None at first; returns the new part.

        Raises:
            OSError: It can't be read.
        """
        with self._lock:
            held = self._held
            if held.key != key:
                before, held.key, held.part = (held.key, held.part), None, None
                held.part = read(*before)
                held.key = key
            return held.part

    def __reduce__(self) -> Any:
        return Window, ()

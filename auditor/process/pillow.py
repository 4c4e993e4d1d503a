"""Pillow refuses files that end too early, whatever a library in this process told it.

`ImageFile.LOAD_TRUNCATED_IMAGES` is one switch for the whole process. WeasyPrint turns it on when it is
imported, training code often does too, and from then on the missing part of a photograph is black and nobody
is told.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Switch:
    """Who is reading, and what the switch was before the first of them came."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readers = 0
        self.before = False


_switch = _Switch()


@contextmanager
def refused() -> Iterator[None]:
    """Let truncated files raise an `OSError` meanwhile; threads may be in here together."""
    from PIL import ImageFile

    with _switch.lock:
        if _switch.readers == 0:
            _switch.before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        _switch.readers += 1
    try:
        yield
    finally:
        with _switch.lock:
            _switch.readers -= 1
            if _switch.readers == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = _switch.before

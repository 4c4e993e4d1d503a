"""Make Pillow refuse truncated files, whatever another library has set.

`ImageFile.LOAD_TRUNCATED_IMAGES` is one switch for the whole process. WeasyPrint turns it on when it is
imported, and training code often does too. The missing part of a photograph is then black, without an error.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Switch:
    """The number of readers, and the value of the switch before the first of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readers = 0
        self.before = False


_switch = _Switch()


@contextmanager
def refused() -> Iterator[None]:
    """Let truncated files raise an `OSError` inside the block; several threads may be in it at once."""
    from PIL import ImageFile

    silence("PIL")
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


def silence(package: str) -> None:
    """Keep what a package logs about damaged files off the terminal, unless somebody has asked for its log."""
    logger = logging.getLogger(package)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())

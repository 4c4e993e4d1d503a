"""Let one process at a time write into a folder.

The lock belongs to the folder itself (`flock`). It needs no file, and it ends with the process that holds it, however
that process ends. Where the system or the file system has no such locks, nothing is locked.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Busy(Exception):
    """Another process, or another part of this one, holds the folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder during the block.

    Raises:
        Busy: Another one holds it.
        OSError: There is no such folder.
    """
    held = _Held(folder)
    # a forked process shares the lock, and would go on holding it after the death of this one
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=held.let_go)
    try:
        yield
    finally:
        held.let_go()


class _Held:
    """The handle that holds the lock; a number of -1 means that it is closed."""

    __slots__ = ("_handle",)

    def __init__(self, folder: Path) -> None:
        self._handle = _handle(folder)
        try:
            _lock(self._handle)
        except BaseException:
            self.let_go()
            raise

    def let_go(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def _handle(folder: Path) -> int:
    if not hasattr(os, "O_DIRECTORY"):  # Windows can't open a folder
        return -1
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _lock(handle: int) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Busy from None
    except OSError:  # as on some network file systems
        return

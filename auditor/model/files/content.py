"""The bytes of a file: read once, so that the fingerprint is that of what is used."""

from __future__ import annotations

import ctypes
import hashlib
import mmap
import os
from pathlib import Path
from typing import Final

import torch

from auditor.errors import CheckpointError
from auditor.process import regular_files

_CHUNK: Final = 16 * 2**20
_ALIGNED: Final = 8


class Content:
    """A file in memory.

    Attributes:
        view: Its bytes.
        sha256: Their fingerprint.
    """

    def __init__(self, buffer: mmap.mmap | bytearray, size: int, sha256: str = "") -> None:
        self.buffer = buffer
        self.size = size
        self.sha256 = sha256
        self.view = memoryview(buffer)[:size]
        self._used: list[tuple[int, int]] = []

    def storage(self, start: int, count: int, *, header: bool = True, aligned: int = _ALIGNED) -> torch.UntypedStorage:
        """Return a part as the memory of tensors.

        Args:
            header: The bytes before the part are not those of another tensor: a part that is not aligned is moved into
                them. Otherwise it is copied.
            aligned: The number of bytes of an element.
        """
        if not count:
            return torch.UntypedStorage(0)
        if not header:
            self._used.append((start, start + count))
            whole = torch.frombuffer(self.buffer, dtype=torch.uint8, count=count, offset=start)
            return (whole.clone() if start % aligned else whole).untyped_storage()
        self._used.append((start - start % _ALIGNED, start + count))
        if off := start % _ALIGNED:
            at = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer, start))
            ctypes.memmove(at - off, at, count)
        whole = torch.frombuffer(self.buffer, dtype=torch.uint8, count=count, offset=start - off)
        return whole.untyped_storage()

    def release(self) -> None:
        """Give back the memory of what no storage has, such as the state of an optimizer; it can't be read again."""
        if not isinstance(self.buffer, mmap.mmap) or not hasattr(mmap, "MADV_DONTNEED"):
            return
        place = 0
        for start, end in [*sorted(self._used), (self.size, self.size)]:
            first = -(-place // mmap.PAGESIZE) * mmap.PAGESIZE
            if (length := start // mmap.PAGESIZE * mmap.PAGESIZE - first) > 0:
                self.buffer.madvise(mmap.MADV_DONTNEED, first, length)
            place = max(place, end)


def read(path: Path) -> Content:
    """Return a regular file's bytes with their fingerprint.

    Raises:
        CheckpointError: It can't be read, or is larger than the machine's memory.
    """
    try:
        with regular_files.opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > (most := largest()):
                raise CheckpointError(f"{path} has {size:,} bytes, but this machine has {most:,} bytes of memory")
            buffer = _memory(max(1, size))
            digest = hashlib.sha256()
            place = 0
            with memoryview(buffer) as whole:
                while place < size and (got := file.readinto(whole[place : min(size, place + _CHUNK)])):
                    digest.update(whole[place : place + got])
                    place += got
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror}") from error
    return Content(buffer, place, digest.hexdigest())


def _memory(size: int) -> mmap.mmap:
    """Return memory that begins at a page; what a forked process writes to it stays in that process."""
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


def largest() -> int:
    """Return the size of this machine's memory in bytes."""
    if not hasattr(os, "sysconf"):
        return 2**40
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

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

    def storage(self, start: int, count: int) -> torch.UntypedStorage:
        """Return a part as the memory of tensors; what is not aligned is moved into the bytes before it."""
        if not count:
            return torch.UntypedStorage(0)
        if off := start % _ALIGNED:
            at = ctypes.addressof(ctypes.c_char.from_buffer(self.buffer, start))
            ctypes.memmove(at - off, at, count)
        whole = torch.frombuffer(self.buffer, dtype=torch.uint8, count=count, offset=start - off)
        return whole.untyped_storage()


def read(path: Path) -> Content:
    """Return a regular file's bytes with their fingerprint.

    Raises:
        CheckpointError: It can't be read, or is larger than the machine's memory.
    """
    try:
        with regular_files.opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > (most := _memory()):
                raise CheckpointError(f"{path} has {size:,} bytes, but this machine has {most:,} bytes of memory")
            buffer = mmap.mmap(-1, max(1, size))  # zeroed, and aligned to a page
            digest = hashlib.sha256()
            place = 0
            with memoryview(buffer) as whole:
                while place < size and (got := file.readinto(whole[place : min(size, place + _CHUNK)])):
                    digest.update(whole[place : place + got])
                    place += got
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror}") from error
    return Content(buffer, place, digest.hexdigest())


def _memory() -> int:
    if not hasattr(os, "sysconf"):
        return 2**40
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

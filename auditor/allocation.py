"""How the process keeps the memory that a network's maps take.

glibc gives blocks of more than 32 MiB back to the system as soon as they are free. The maps of a batch are such
blocks, made anew in each pass, and to fetch their pages again and again takes up to a third of the time.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST, _MOST = 2**30, 2**31 - 1  # bytes of a block, and of all that lie free at the end of the heap


def keep_freed() -> None:
    """Let glibc keep what is freed, for what is asked for next; other systems and libraries stay as they are."""
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):  # musl has no such function
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST)
        libc.mallopt(_M_TRIM_THRESHOLD, _MOST)

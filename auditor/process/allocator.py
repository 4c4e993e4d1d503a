"""Freed memory that stays with the process.

glibc hands large blocks back to the system as soon as they are freed, and the system fills them with zeros, page by
page, when the next tensor of that size is made. For a network's activations that is a sixth of all time.
"""

from __future__ import annotations

import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_KEPT = 2**31 - 1  # bytes that may lie idle
_OWN_MAPPINGS = 2**30, 2**25  # blocks over that size do go back; the second is the most for older versions
_SET_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed() -> bool:
    """Let the allocator keep what is freed, and return whether it does: only glibc knows how, and can be told so.

    Whoever has set the allocator's own variables is left alone.
    """
    import ctypes

    if any(name in os.environ for name in _SET_BY_USER):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or none that can be looked into
        return False
    larger = any(mallopt(_MMAP_THRESHOLD, size) for size in _OWN_MAPPINGS)
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT)) and larger

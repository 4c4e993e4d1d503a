"""Keep freed memory in the process.

glibc returns large blocks to the system as soon as they are freed, and the system fills them with zeros, page by
page, when the next tensor of that size is allocated. For a network's activations that takes a sixth of the time.
"""

from __future__ import annotations

import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
_KEPT = 2**31 - 1  # bytes that may stay unused
_OWN_MAPPINGS = 2**30, 2**25  # larger blocks are returned; the second is the maximum of older versions
_SET_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed() -> bool:
    """Make the allocator keep freed memory, and return whether it does: only glibc can.

    Nothing is changed if the environment already sets the allocator's own variables.
    """
    import ctypes

    if any(name in os.environ for name in _SET_BY_USER):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        return False
    larger = any(mallopt(_MMAP_THRESHOLD, size) for size in _OWN_MAPPINGS)
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT)) and larger

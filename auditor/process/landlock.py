"""Landlock of the Linux kernel: a process gives up its access to files, for itself and for good.

The structures and flags are those of `linux/landlock.h`. A kernel of a later ABI knows more rights; all that are listed
here and that the kernel knows are given up.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
_VERSION = 1  # LANDLOCK_CREATE_RULESET_VERSION
_BENEATH = 1  # LANDLOCK_RULE_PATH_BENEATH
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = ((1, 13), (2, 14), (3, 15), (5, 16))  # the number of rights from each ABI on
_TCP, _TCP_FROM = 0b11, 4  # bind and connect
_SCOPES, _SCOPES_FROM = 0b11, 6  # abstract sockets and signals


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """Return the ABI that the kernel offers, 0 for none."""
    return max(0, _call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)))


def restrict(readable: Iterable[Path | int]) -> bool:
    """Give up all access to files but reading some, and TCP; return whether the kernel holds it.

    The restriction covers the calling thread and the threads and processes that it starts, so it has to come before
    any other thread.

    Args:
        readable: Folders with all beneath them, and files, as paths or as open descriptors. Missing ones are left out.
    """
    version = abi()
    if not version:
        return False
    every = (1 << max(count for since, count in _FILE_RIGHTS if since <= version)) - 1
    rules = _Ruleset(every, _TCP if version >= _TCP_FROM else 0, _SCOPES if version >= _SCOPES_FROM else 0)
    size = 8 if version < _TCP_FROM else 16 if version < _SCOPES_FROM else 24
    ruleset = _call(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        added = all(_allow(ruleset, place) for place in readable)
        return added and _call(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)) == 0
    finally:
        os.close(ruleset)


def _allow(ruleset: int, place: Path | int) -> bool:
    if isinstance(place, int):
        return _add(ruleset, place)
    try:
        handle = os.open(place, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # it does not exist on this system
        return True
    try:
        return _add(ruleset, handle)
    finally:
        os.close(handle)


def _add(ruleset: int, handle: int) -> bool:
    folder = os.fstat(handle).st_mode & 0o170000 == 0o040000
    rule = _Beneath(_READ_FILE | _READ_DIR if folder else _READ_FILE, handle)
    return _call(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_BENEATH), ctypes.byref(rule), ctypes.c_uint32(0)) == 0


def _call(number: int, *arguments: object) -> int:
    try:
        call = ctypes.CDLL(None, use_errno=True).syscall
    except (AttributeError, OSError, TypeError):  # not Linux
        return -1
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *arguments))

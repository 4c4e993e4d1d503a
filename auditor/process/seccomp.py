"""A seccomp filter: the system calls that a process which only computes needs, and no others.

It is a list of what is allowed. A list of what is forbidden would be outdated by the next kernel. Every other call
gives `ENOSYS`, as on an older kernel, so that the C library falls back to a call that it knows.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

_SET_FILTER, _ALL_THREADS = 1, 1  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
_ALLOW, _KILL, _REFUSE = 0x7FFF0000, 0x80000000, 0x00050000 | errno.ENOSYS
_LOAD, _EQUAL, _ANY_OF, _AND, _RETURN = 0x20, 0x15, 0x45, 0x54, 0x06  # classic BPF
_NUMBER, _ARCHITECTURE, _FIRST = 0, 4, 16  # offsets in `seccomp_data`; the arguments have 8 bytes each

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_TMPFILE", 0o20200000)
_NOT_A_FOLDER = ~getattr(os, "O_DIRECTORY", 0)  # which is part of O_TMPFILE, but writes nothing
_THREAD = 0x00010000  # CLONE_THREAD
_NAMES = (15, 16)  # prctl: the name of a thread
_DESCRIPTOR = (1, 2, 3)  # fcntl: F_GETFD, F_SETFD, F_GETFL
_TERMINAL = (0x5401, 0x5450, 0x5451)  # ioctl: is it a terminal, close it on exec or not

# Name, number on x86_64, number on aarch64. Reading, memory, threads, clocks and the process's own signals.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "close": (3, 57),
    "fstat": (5, 80), "newfstatat": (262, 79), "statx": (332, 291), "stat": (4, None), "lstat": (6, None),
    "statfs": (137, 43), "fstatfs": (138, 44), "lseek": (8, 62), "readlink": (89, None), "readlinkat": (267, 78),
    "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "getcwd": (79, 17), "getdents64": (217, 61),
    "fadvise64": (221, 223), "poll": (7, None), "ppoll": (271, 73),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216),
    "madvise": (28, 233), "mincore": (27, 232), "membarrier": (324, 283), "get_mempolicy": (239, 236),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "futex": (202, 98), "set_robust_list": (273, 99), "get_robust_list": (274, 100), "set_tid_address": (218, 96),
    "rseq": (334, 293), "arch_prctl": (158, None), "sched_yield": (24, 124), "sched_getaffinity": (204, 123),
    "sched_setaffinity": (203, 122), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120),
    "getcpu": (309, 168), "getpriority": (140, 141), "exit": (60, 93), "exit_group": (231, 94),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153), "getrusage": (98, 165),
    "getrandom": (318, 278), "uname": (63, 160), "sysinfo": (99, 179), "getrlimit": (97, 163),
    "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175),
    "getgid": (104, 176), "getegid": (108, 177),
}  # fmt: skip
_OPEN, _OPENAT, _CLONE, _PRCTL = (2, None), (257, 56), (56, 220), (157, 167)
_FCNTL, _IOCTL, _TGKILL, _PRLIMIT = (72, 25), (16, 29), (234, 131), (302, 261)
_MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}  # column, AUDIT_ARCH, seccomp itself

_Instruction = tuple[int, int, int, int]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def known() -> bool:
    """Whether there is a list for this kind of processor, and the kernel has filters."""
    if platform.machine() not in _MACHINES:
        return False
    status = Path("/proc/self/status")
    return status.is_file() and "\nSeccomp:" in status.read_text()


def restrict() -> bool:
    """Let all threads of this process make only the listed calls, for good; return whether the kernel holds it.

    `no_new_privs` has to be set before.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None or os.name != "posix":
        return False
    column, architecture, number = machine
    code = b"".join(struct.pack("HBBI", *one) for one in _program(column, architecture))
    program = _Program(len(code) // 8, code)
    try:
        call = ctypes.CDLL(None, use_errno=True).syscall
    except (AttributeError, OSError, TypeError):  # not Linux
        return False
    call.restype = ctypes.c_long
    flags = (ctypes.c_uint(_SET_FILTER), ctypes.c_uint(_ALL_THREADS))
    return int(call(ctypes.c_long(number), *flags, ctypes.byref(program))) == 0


def _program(column: int, architecture: int) -> list[_Instruction]:
    """Return the filter; a program for another architecture in the same process is ended."""
    code = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for numbers in _CALLS.values():
        code += _if_called(numbers[column], [(_RETURN, 0, 0, _ALLOW)])
    code += _if_called(_OPEN[column], _without_bits(1, _WRITES & _NOT_A_FOLDER))
    code += _if_called(_OPENAT[column], _without_bits(2, _WRITES & _NOT_A_FOLDER))
    code += _if_called(_CLONE[column], _with_bits(0, _THREAD))
    code += _if_called(_PRCTL[column], _one_of(0, _NAMES))
    code += _if_called(_FCNTL[column], _one_of(1, _DESCRIPTOR))
    code += _if_called(_IOCTL[column], _one_of(1, _TERMINAL))
    code += _if_called(_TGKILL[column], _one_of(0, (os.getpid(),)))  # to abort itself
    code += _if_called(_PRLIMIT[column], _reads_a_limit())
    return [*code, (_RETURN, 0, 0, _REFUSE)]


def _if_called(number: int | None, then: Sequence[_Instruction]) -> Iterable[_Instruction]:
    return [] if number is None else [(_EQUAL, 0, len(then), number), *then]


def _argument(place: int, *, upper: bool = False) -> _Instruction:
    return _LOAD, 0, 0, _FIRST + 8 * place + (4 if upper else 0)  # both architectures are little-endian


def _without_bits(place: int, bits: int) -> list[_Instruction]:
    return [_argument(place), (_ANY_OF, 0, 1, bits), (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]


def _with_bits(place: int, bits: int) -> list[_Instruction]:
    return [_argument(place), (_ANY_OF, 1, 0, bits), (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]


def _one_of(place: int, values: Sequence[int]) -> list[_Instruction]:
    tests = [(_EQUAL, len(values) - i, 0, value) for i, value in enumerate(values)]
    return [_argument(place), *tests, (_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]


def _reads_a_limit() -> list[_Instruction]:
    """Allow `prlimit` of this process if its new limit is a null pointer; root could lift its own limits."""
    return [
        _argument(0), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _REFUSE),
        _argument(2), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _REFUSE),
        _argument(2, upper=True), (_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip

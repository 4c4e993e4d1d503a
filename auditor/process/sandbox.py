"""A process of its own without rights, for code from a file that nobody vouches for.

Such a process computes, reads the installation of Python, and writes to the pipe that it was given. It can't open other
files, connect, start programs or signal others, and it ends with its parent. The measures are:

- Landlock: no access to files but reading the installation, no TCP (Linux 5.13 and later).
- seccomp: only the system calls that computing needs, see `seccomp`. Without it nothing is started.
- Resource limits: memory, no files written, no core dump.

The environment is empty but for what the libraries for arithmetic read, so that they compute as in the parent. The
number of processes has no limit of its own: seccomp allows threads only, and each takes from the memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from auditor.process import landlock, seccomp

_PACKAGE = Path(__file__).parents[1]
_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/proc/self", "/proc/cpuinfo",
    "/proc/meminfo", "/proc/stat", "/sys/devices/system", "/dev/null", "/dev/zero", "/dev/urandom",
)  # fmt: skip
_WRITING = ("dill",)  # packages that torch imports where they are installed, and that open files to write
_ARITHMETIC = ("OMP_", "GOMP_", "KMP_", "MKL_", "DNNL_", "ONEDNN_", "OPENBLAS_", "ATEN_", "MALLOC_", "LD_LIBRARY_PATH")
_NO_NEW_PRIVILEGES, _DEATH_SIGNAL, _DUMPABLE = 38, 1, 4  # of prctl
_PACKAGES = ("site-packages", "dist-packages")
_LEAST_MEMORY = 4 * 2**30  # bytes
_A_THREAD = 2**27  # bytes of addresses that the C library may reserve for a thread

# The package is not looked up in `sys.path`: its folder may be in a project whose other files are nobody's business.
_BOOT = """
import importlib.util, json, sys
said = json.loads(sys.argv[1])
spec = importlib.util.spec_from_file_location("auditor", said["package"] + "/__init__.py",
                                              submodule_search_locations=[said["package"]])
sys.modules["auditor"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["auditor"])
from auditor.process import sandbox
sandbox.begin(said)
"""

Seal = Callable[[int], list[str]]


def available() -> bool:
    """Whether this system can take a process's rights: it is Linux on x86_64 or aarch64, with seccomp."""
    return sys.platform == "linux" and seccomp.known()


def start(module: str, *, descriptors: Sequence[int] = (), folders: Iterable[Path] = ()) -> subprocess.Popen[bytes]:
    """Start the `main(arguments, seal)` of a module in a process without rights, and return the process.

    Its standard input and output are pipes. What it writes to its standard error is dropped.

    Args:
        module: Its `main` receives the descriptors and a function; it imports what it needs, then calls the function
            with a number of bytes that it may still take. The function takes the remaining rights and returns the names
            of the measures that hold. Only then may `main` touch what nobody vouches for.
        descriptors: Open files that the process inherits.
        folders: Where else Python's packages lie, besides the folders of that name which this process uses.
    """
    said = {
        "package": str(_PACKAGE),
        "module": module,
        "descriptors": list(descriptors),
        "folders": [*map(str, folders), *(place for place in sys.path if Path(place).name in _PACKAGES)],
        "parent": os.getpid(),
        "of_main_thread": threading.current_thread() is threading.main_thread(),
    }
    return subprocess.Popen(  # noqa: S603 - this Python and this package
        [sys.executable, "-I", "-B", "-c", _BOOT, json.dumps(said)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
        cwd="/",
        pass_fds=tuple(descriptors),
        start_new_session=True,  # an interrupt of the terminal is for the parent, which ends this process
    )


def begin(said: dict[str, Any]) -> None:
    """Take the rights to files from this process, which `start` has started, and run its module."""
    sys.path += [folder for folder in said["folders"] if folder not in sys.path]
    sys.modules.update(dict.fromkeys(_WRITING))  # type: ignore[arg-type]  # None: as if they were not installed
    if said["of_main_thread"]:  # the signal comes when the thread ends that started this process
        _prctl(_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != said["parent"]:  # the parent ended before the line above
        os._exit(1)
    _offer_to_the_killer()
    _prctl(_NO_NEW_PRIVILEGES, 1)
    _prctl(_DUMPABLE, 0)
    readable = [Path(place) for place in (*_SYSTEM, sys.prefix, sys.base_prefix, said["package"], *sys.path)]
    readable += [Path(place) for place in os.environ.get("LD_LIBRARY_PATH", "").split(":")]
    places = [place for place in readable if place.is_absolute() and place != Path("/")]
    held = [f"Landlock ABI {landlock.abi()}"] if landlock.restrict([*places, *said["descriptors"]]) else []
    import_module(said["module"]).main(said["descriptors"], lambda memory: held + _sealed(memory))


def _sealed(memory: int) -> list[str]:
    """Limit the resources and the system calls; return the names of the measures.

    Raises:
        OSError: The system calls can't be limited.
    """
    import resource

    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    threads = len(os.sched_getaffinity(0)) * _A_THREAD
    limits = {
        resource.RLIMIT_AS: taken + threads + memory,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        resource.RLIMIT_NOFILE: 512,
    }
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    if not seccomp.restrict():
        raise OSError("seccomp can't be had")
    return ["seccomp", "resource limits"]


def memory_for(size: int) -> int:
    """Return how many bytes a program from a file of `size` bytes may take: half of the memory, but not too little."""
    return max(_LEAST_MEMORY + 4 * size, _memory() // 2)


def _memory() -> int:
    """Return the bytes of memory of this machine, or of the container."""
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            found.append(int((Path("/sys/fs/cgroup") / name).read_text()))
        except (OSError, ValueError):
            continue
    return min(found)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(_ARITHMETIC)}
    return {**kept, "LC_ALL": "C.UTF-8", "HOME": "/", "USER": "nobody", "CUDA_VISIBLE_DEVICES": ""}


def _offer_to_the_killer() -> None:
    """If the machine runs out of memory, this process is ended and not the parent."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), 0, 0, 0)

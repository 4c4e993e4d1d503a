"""The global switches of Python, torch and the system: read, compared and put back.

A check that leaves one of them changed would change what the checks after it find.
"""

from __future__ import annotations

import gc
import locale
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, MutableMapping, MutableSequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditor.process.torch_switches import TORCH, Switch

_FOREIGN_THREADS = ("QueueFeederThread", "_pin_memory_loop", "tqdm")  # of libraries, which end them later
_SECONDS = 0.05
_FILTERS = "warnings.filters"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A switch and its value."""

    name: str
    value: Any
    restore: Callable[[Any], object]
    read: Callable[[], Any]

    def put_back(self) -> bool:
        """Put the value back, and return whether it is the same again."""
        with suppress(Exception):
            self.restore(self.value)
        return _same(self.read(), self.value)


class Switches:
    """The values of all switches when it was made."""

    def __init__(self) -> None:
        self._kept = [_Kept(name, read(), put, read) for name, read, put in _readable()]
        self._path = _working_folder()
        self._threads = set(threading.enumerate())
        self._imported = len(sys.modules)

    def restored(self) -> list[str]:
        """Put back what has changed since, and return its names, with a remark where that was not possible."""
        changed = [*self._threads_left(), *self._moved()]
        if len(sys.modules) != self._imported:
            self._drop_filters()
        for kept in self._kept:
            with suppress(Exception):  # one that can't be read must not keep the others
                if not _same(kept.read(), kept.value):
                    changed.append(kept.name if kept.put_back() else f"{kept.name} (could not be put back)")
        return changed

    def _drop_filters(self) -> None:
        """Remove the warning filters that modules have added while they were imported."""
        then = next(kept.value for kept in self._kept if kept.name == _FILTERS)
        if all(one in warnings.filters for one in then[1:]):
            _put_filters(then)

    def _moved(self) -> Iterator[str]:
        """Go back to the working folder, and make it again if it was removed."""
        if self._path and _working_folder() != self._path:
            yield "os.getcwd()"
            with suppress(OSError):
                Path(self._path).mkdir(parents=True, exist_ok=True)
                os.chdir(self._path)

    def _threads_left(self) -> Iterator[str]:
        for thread in set(threading.enumerate()) - self._threads:
            if not any(name in thread.name for name in _FOREIGN_THREADS):
                thread.join(_SECONDS)
                if thread.is_alive():
                    yield f"threading.enumerate(): {thread.name}"


def _readable() -> Iterator[Switch]:
    for name, read, put in (*_PYTHON, *_SYSTEM, *_loaded(), *TORCH):
        try:
            read()
        except Exception:  # noqa: S112 - this version or this machine has no such switch
            continue
        yield name, read, put


def _same(now: Any, then: Any) -> bool:
    return now is then or bool(now == then)


def _working_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - as text, for comparison
    except OSError:
        return ""


def _attribute(owner: Any, name: str) -> Switch:
    label = f"{getattr(owner, '__name__', type(owner).__name__)}.{name}"
    return label, lambda: getattr(owner, name), lambda value: setattr(owner, name, value)


def _filled(place: MutableMapping[Any, Any]) -> Callable[[Any], None]:
    def fill(then: dict[Any, Any]) -> None:
        for key in [key for key in place if key not in then]:
            del place[key]
        for key, value in then.items():
            if place.get(key) is not value:
                place[key] = value

    return fill


@dataclass(frozen=True, slots=True, eq=False)
class _Contents:
    """A list and what was in it; equal only if it is the same list with the same contents."""

    place: MutableSequence[Any]
    items: tuple[Any, ...]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Contents) and self.place is other.place and self.items == other.items

    def __hash__(self) -> int:
        return id(self.place)


def _list(owner: Any, name: str) -> list[Switch]:
    """Return the switches for a list: its contents, and the list itself."""

    def read() -> _Contents:
        place = getattr(owner, name)
        return _Contents(place, tuple(place))

    def put(then: _Contents) -> None:
        then.place[:] = then.items
        setattr(owner, name, then.place)

    return [(f"{owner.__name__}.{name}", read, put)]


def _put_environment(then: dict[str, str]) -> None:
    _filled(os.environ)(then)
    if hasattr(time, "tzset"):
        time.tzset()


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


_SIGNALS = tuple(signal.valid_signals())


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in _SIGNALS}


def _put_handlers(then: dict[int, Any]) -> None:
    for number, handler in then.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _is_armed() -> bool:
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _put_filters(then: tuple[Any, ...]) -> None:
    warnings.filters[:] = then[1:]  # type: ignore[index]
    getattr(warnings, "_filters_mutated", lambda: None)()


def _levels() -> dict[str, Any]:
    root = logging.getLogger()
    names = ("auditor", "torch", "PIL", "matplotlib")
    return {"disable": root.manager.disable, "": (root.level, tuple(root.handlers))} | {
        name: logging.getLogger(name).level for name in names
    }


def _put_levels(then: dict[str, Any]) -> None:
    root = logging.getLogger()
    level, handlers = then[""]
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.disable(then["disable"])
    for name in then.keys() - {"", "disable"}:
        logging.getLogger(name).setLevel(then[name])


def _limits() -> dict[str, Any]:
    import resource

    return {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource) if n.startswith("RLIMIT_")}


def _put_limits(then: dict[str, Any]) -> None:
    import resource

    for name, limits in then.items():
        with suppress(OSError, ValueError):  # a hard limit can't be raised again
            resource.setrlimit(getattr(resource, name), limits)


def _loaded() -> Iterator[Switch]:
    """Yield the switches of libraries that are loaded."""
    if numpy := sys.modules.get("numpy"):
        yield "numpy.geterr()", numpy.geterr, lambda then: numpy.seterr(**then)
        yield "numpy.get_printoptions()", numpy.get_printoptions, lambda then: numpy.set_printoptions(**then)
    for name, attribute in (
        ("PIL.Image", "MAX_IMAGE_PIXELS"),
        ("PIL.ImageFile", "LOAD_TRUNCATED_IMAGES"),
        ("PIL.ImageFile", "MAXBLOCK"),
    ):
        if module := sys.modules.get(name):
            yield _attribute(module, attribute)
    if matplotlib := sys.modules.get("matplotlib"):
        parameters = matplotlib.rcParams
        names = [name for name in dict.keys(parameters) if name != "backend"]
        yield (
            "matplotlib.rcParams",
            lambda: {name: dict.__getitem__(parameters, name) for name in names},
            lambda then: [dict.__setitem__(parameters, name, value) for name, value in then.items()],
        )
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        yield (
            "matplotlib.pyplot.get_fignums()",
            pyplot.get_fignums,
            lambda then: [pyplot.close(n) for n in pyplot.get_fignums() if n not in then],
        )


_PYTHON: tuple[Switch, ...] = (
    *(_attribute(sys, name) for name in ("stdin", "stdout", "stderr", "excepthook", "displayhook", "argv")),
    *(_attribute(sys, name) for name in ("unraisablehook", "breakpointhook", "dont_write_bytecode")),
    *_list(sys, "path"),
    *_list(sys, "meta_path"),
    *_list(sys, "path_hooks"),
    ("sys.argv[:]", lambda: list(sys.argv), lambda then: sys.argv.__setitem__(slice(None), then)),
    ("sys.getrecursionlimit()", sys.getrecursionlimit, sys.setrecursionlimit),
    ("sys.getswitchinterval()", sys.getswitchinterval, sys.setswitchinterval),
    ("sys.gettrace()", sys.gettrace, sys.settrace),
    ("sys.getprofile()", sys.getprofile, sys.setprofile),
    ("gc.isenabled()", gc.isenabled, lambda on: gc.enable() if on else gc.disable()),
    ("gc.get_threshold()", gc.get_threshold, lambda then: gc.set_threshold(*then)),
    (_FILTERS, lambda: (0, *warnings.filters), _put_filters),
    _attribute(warnings, "showwarning"),
    ("logging", _levels, _put_levels),
    ("locale.setlocale()", lambda: locale.setlocale(locale.LC_ALL), lambda then: locale.setlocale(locale.LC_ALL, then)),
    ("threading.excepthook", lambda: threading.excepthook, lambda then: setattr(threading, "excepthook", then)),
)

_SYSTEM: tuple[Switch, ...] = (
    ("os.environ", lambda: dict(os.environ), _put_environment),
    ("os.umask()", _umask, os.umask),
    ("signal handlers", _handlers, _put_handlers),
    (
        "signal.getitimer()",
        _is_armed,
        lambda armed: None if armed else signal.setitimer(signal.ITIMER_REAL, 0),
    ),
    (
        "signal.pthread_sigmask()",
        lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()),
        lambda then: signal.pthread_sigmask(signal.SIG_SETMASK, then),
    ),
    ("resource.getrlimit()", _limits, _put_limits),
)

"""The functions that an audit calls, in modules and classes: which were replaced, and those from before.

A check that replaces `torch.nn.functional.softmax`, a method of a layer or a function of this package would change
what the checks after it find. Identities are compared, not code.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from typing import Any

_WATCHED = (
    *("auditor", "builtins", "hashlib", "io", "json", "math", "numpy", "os", "pathlib", "pickle", "PIL", "random"),
    *("scipy", "tempfile", "time", "torch", "torchvision"),
)
_DEEP = ("auditor", "torch.nn", "torch.utils.data", "torchvision.transforms", "PIL")  # with all modules below
_FLAT = (
    *("torch", "torch.functional", "torch._tensor", "torch.autograd", "torch.autograd.function", "torch.random"),
    *(
        "torch.linalg",
        "torch.fft",
        "torch.special",
        "torch.serialization",
        "os.path",
        "posixpath",
        "scipy.stats",
        "numpy.linalg",
        "numpy.fft",
        "numpy.random",
    ),
)
_MISSING = object()

Owner = types.ModuleType | type
_Print = list[Any]


class Functions:
    """The functions of all watched modules and classes that were loaded when it was made or extended."""

    def __init__(self) -> None:
        self._modules: dict[str, types.ModuleType] = {}
        self._kept: dict[int, tuple[Owner, dict[str, Any], _Print]] = {}
        self.extend()

    def extend(self) -> None:
        """Add what has been loaded since."""
        for name, module in list(sys.modules.items()):
            if name not in self._modules and isinstance(module, types.ModuleType):
                self._modules[name] = module
                if _is_watched(name):
                    self._add(module)
                    for value in list(vars(module).values()):
                        if isinstance(value, type) and value.__module__ == name:
                            self._add(value)

    def restored(self) -> list[str]:
        """Put back what was replaced, and return its names."""
        return [*self._replaced_modules(), *self._replaced_functions()]

    def _add(self, owner: Owner) -> None:
        names = vars(owner)
        self._kept[id(owner)] = owner, {name: value for name, value in names.items() if _is_code(value)}, _print(owner)

    def _replaced_modules(self) -> Iterator[str]:
        for name, module in self._modules.items():
            if sys.modules.get(name) is not module:
                yield f"sys.modules[{name!r}]"
                sys.modules[name] = module

    def _replaced_functions(self) -> Iterator[str]:
        for owner, kept, before in list(self._kept.values()):
            if _alike(_print(owner), before):
                continue
            names = vars(owner)
            for name, value in kept.items():
                if names.get(name, _MISSING) is not value:
                    yield _label(owner, name)
                    _put(owner, name, value)
            yield from self._added(owner, kept)
            self._kept[id(owner)] = owner, kept, _print(owner)

    def _added(self, owner: Owner, kept: dict[str, Any]) -> Iterator[str]:
        """Remove what hides a function: an added method of a class, or a name of a builtin in a module."""
        hidden = _BUILTINS if isinstance(owner, types.ModuleType) else None
        for name, value in list(vars(owner).items()):
            if name not in kept and _is_code(value) and (hidden is None or name in hidden):
                yield _label(owner, name)
                delattr(owner, name)


_BUILTINS = frozenset(vars(sys.modules["builtins"]))


def _print(owner: Owner) -> _Print:
    """Return what differs once anything in a module or class is replaced, added or removed."""
    return [*vars(owner).values()]


def _alike(now: _Print, before: _Print) -> bool:
    try:
        return now == before  # which compares identities first, and is fast where nothing has changed
    except Exception:  # other people's objects may refuse to be compared
        return False


def _is_watched(name: str) -> bool:
    if name in _WATCHED or name in _FLAT:
        return True
    return any(name.startswith(f"{deep}.") for deep in _DEEP)


def _is_code(value: Any) -> bool:
    return callable(value) or isinstance(value, property | classmethod | staticmethod)


def _label(owner: Owner, name: str) -> str:
    place = owner.__name__ if isinstance(owner, types.ModuleType) else f"{owner.__module__}.{owner.__qualname__}"
    return f"{place}.{name}"


def _put(owner: Owner, name: str, value: Any) -> None:
    try:
        setattr(owner, name, value)
    except (AttributeError, TypeError):  # an extension type, which can't have been changed from Python either
        return

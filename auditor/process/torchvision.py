"""The one place where torchvision is imported: when something of it is asked for, and so that the import succeeds.

Its wheel on the package index is built for CUDA. With a CPU torch its compiled operators don't load, and the
import fails because it describes operators that are not declared. An audit calls none of them. So the missing
ones are declared, without an implementation, and the import is tried again, whoever imports it.

It is imported late because it takes as long as torch itself, and many an audit needs nothing of it.
"""

from __future__ import annotations

import importlib
import re
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_MISSING = re.compile(r"operator torchvision::(\w+) does not exist")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class _Declaring(Loader):
    """Runs the code of the package again after each operator that was missing."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        declared: set[str] = set()
        while True:
            try:
                return self._loader.exec_module(module)
            except RuntimeError as error:
                missing = _MISSING.search(str(error))
                if missing is None or missing[1] in declared:
                    raise
                declared.add(missing[1])
                _declare(missing[1])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)  # resources and sources are found as without it


def _declare(operator: str) -> None:
    import torch

    torch.library.define(f"torchvision::{operator}", _SCHEMA)
    for name in [n for n in sys.modules if n.startswith("torchvision.")]:  # they are half imported
        del sys.modules[name]


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == "torchvision" else None
        if spec and spec.loader:
            spec.loader = _Declaring(spec.loader)
        return spec


class _Late:
    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("torchvision"), name)


sys.meta_path.insert(0, _Finder())

torchvision: Any = _Late()

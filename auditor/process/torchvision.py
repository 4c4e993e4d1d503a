"""The one place where torchvision is imported.

Its wheel on the package index is built for CUDA. With a CPU torch its compiled operators don't load, and the
import fails because it describes operators that are not declared. An audit calls none of them. So the missing
ones are declared, without an implementation, and the import is tried again.
"""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType

import torch

_MISSING = re.compile(r"operator torchvision::(\w+) does not exist")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _imported() -> ModuleType:
    declared: set[str] = set()
    while True:
        try:
            return importlib.import_module("torchvision")
        except RuntimeError as error:
            missing = _MISSING.search(str(error))
            if missing is None or missing[1] in declared:
                raise
            declared.add(missing[1])
            torch.library.define(f"torchvision::{missing[1]}", _SCHEMA)
            _forget_half_imported()


def _forget_half_imported() -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


torchvision = _imported()

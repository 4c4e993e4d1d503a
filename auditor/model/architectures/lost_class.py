"""What helps where a module was pickled whole, its tensors fit no known network, and its class is not there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from auditor.model.architectures.build_errors import LARGEST_SOURCE
from auditor.model.files.checkpoint import Checkpoint
from auditor.process import regular_files

_MOST_FILES: Final = 200


def advice(kind: str, checkpoint: Checkpoint) -> str:
    """Return what helps where a module was pickled whole and its tensors fit no known network."""
    if origin := checkpoint.metadata.get("origin"):
        return f"{checkpoint.path} is {origin.what}: its tensors are read, but its network is not known; {origin.way}"
    what = (
        f"{checkpoint.path} holds a whole {kind}, and no torchvision network has its {len(checkpoint.tensors)} tensors"
    )
    module, _dot, name = kind.rpartition(".")
    near = _source_of(name, (checkpoint.path.resolve().parent, Path.cwd()))
    arch = f"give its class with --arch {near or 'path/to/file.py'}:{name}"
    lost = checkpoint.metadata.get("lost")
    if lost and module == "__main__":
        which = "its class was defined in the script that ran (__main__), which the file does not hold"
        return f"{what}; {which}; {arch}, with --arch module:{name} and PYTHONPATH, or save the state dict"
    if lost:
        return f"{what}; it can't be imported: {lost}; {arch}, set PYTHONPATH to its folder, or save the state dict"
    return f"{what}; {arch}, or pass --trust-checkpoint if you trust its author"


def _source_of(name: str, folders: Sequence[Path]) -> str:
    """Return the only file of some folders that defines a class, without running any; empty if none or several do."""
    if not name.isidentifier():
        return ""
    defines = re.compile(rf"^class {name}\b".encode(), re.MULTILINE)
    found = {file.resolve(): file for folder in folders for file in islice(folder.glob("*.py"), _MOST_FILES)}
    having = [file for file in found.values() if defines.search(_source(file))]
    return _relative(having[0]) if len(having) == 1 else ""


def _source(file: Path) -> bytes:
    try:
        return regular_files.content(file, most=LARGEST_SOURCE)
    except OSError:
        return b""


def _relative(file: Path) -> str:
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)

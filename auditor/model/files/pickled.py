"""Files of `torch.save`: only tensors and plain containers are read, and no code in the file is executed."""

from __future__ import annotations

import argparse
import pathlib
import pickle
import pickletools
import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from auditor.errors import CheckpointError, UnsafeCheckpoint
from auditor.model.files.format import first_line

# Containers of strings and numbers that training scripts save with the weights; creating one runs no code.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    pathlib.PurePosixPath,
    pathlib.PosixPath,
    pathlib.PureWindowsPath,
    pathlib.WindowsPath,
]
_GLOBAL = re.compile(r"(?:GLOBAL|Unsupported class|global:?) ([A-Za-z_][\w.]*\.\w*)")
_REFUSED = re.compile(r"Unsupported class|Trying to call reduce|Can only (?:build|create)")
_COMPLAINT = re.compile(r"WeightsUnpickler error:\s+(.+?)(?:\. |$)", re.MULTILINE)


def load(path: Path, *, trust: bool) -> tuple[Any, bool]:
    """Return the saved object, and whether reading it required trust.

    Raises:
        UnsafeCheckpoint: Reading it would run code, and `trust` is False.
        CheckpointError: The file is damaged, or needs code that can't be imported.
    """
    with safe_globals(_HARMLESS):
        try:
            return _read(path, weights_only=True), False
        except Exception as error:  # a damaged pickle may raise any exception
            if not (trust and isinstance(error, pickle.UnpicklingError)):
                raise _refused(path, str(error), first_line(error)) from error
    return _trusted(path), True


def _refused(path: Path, message: str, line: str) -> CheckpointError:
    offending = _offending(path, message)
    if offending or _REFUSED.search(message):
        return UnsafeCheckpoint(_refusal(path, offending))
    complaint = _COMPLAINT.search(message)
    return CheckpointError(f"{path} is damaged or truncated: {complaint[1].strip() if complaint else line}")


def _read(path: Path, *, weights_only: bool) -> Any:
    with warnings.catch_warnings(), torch.sparse.check_sparse_tensor_invariants():
        warnings.simplefilter("ignore")  # torch warns about old formats
        return torch.load(path, map_location="cpu", weights_only=weights_only)


def _trusted(path: Path) -> Any:
    try:
        return _read(path, weights_only=False)
    except (ImportError, AttributeError) as error:
        raise CheckpointError(
            f"{path} needs code that can't be imported: {first_line(error)}; run auditor where the code is installed"
        ) from error
    except Exception as error:  # the file's own code runs here
        raise CheckpointError(f"{path} can't be unpickled: {first_line(error)}") from error


def _refusal(path: Path, offending: list[str]) -> str:
    what = f"it uses {', '.join(offending[:3])}" if offending else "it holds more than tensors"
    more = f" and {len(offending) - 3} more" if len(offending) > 3 else ""
    return (
        f"{path} is a pickle that would run code: {what}{more}; save `model.state_dict()` instead, "
        "or pass --trust-checkpoint if you trust its author"
    )


def _offending(path: Path, message: str) -> list[str]:
    """Return the names of the globals that weights-only loading refuses."""
    if zipfile.is_zipfile(path):
        try:
            return sorted(get_unsafe_globals_in_checkpoint(path))
        except Exception:  # a damaged pickle can't be disassembled; use the message
            return sorted(set(_GLOBAL.findall(message)))
    content = path.read_bytes()
    found = [name for name in _GLOBAL.findall(message) if _is_whole(name, content)]
    return sorted(set(found or (_globals(content) if "Unsupported operand" in message else [])))


def _is_whole(name: str, content: bytes) -> bool:
    """Return whether a pickle has a global of this name; in a truncated file the name may be cut."""
    parts = name.encode().split(b".")
    return any(b".".join(parts[:i]) + b"\n" + b".".join(parts[i:]) + b"\n" in content for i in range(1, len(parts)))


def _globals(content: bytes) -> Iterator[str]:
    """Yield the globals of a bare pickle of a newer protocol, which torch's own reader does not support."""
    words: list[str] = []
    try:
        for code, argument, _ in pickletools.genops(content):
            if code.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
            elif code.name == "STACK_GLOBAL" and len(words) > 1:
                yield ".".join(words[-2:])
            elif isinstance(argument, str):
                words.append(argument)
    except ValueError:
        return

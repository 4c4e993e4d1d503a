"""Files that `torch.save` wrote. Only tensors and plain containers are read; nothing in the file is executed."""

from __future__ import annotations

import argparse
import pathlib
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
from auditor.model.format import told

# Containers of strings and numbers that training scripts save beside the weights; building one runs no code.
_HARMLESS: list[Any] = [
    argparse.Namespace,
    pathlib.PurePosixPath,
    pathlib.PosixPath,
    pathlib.PureWindowsPath,
    pathlib.WindowsPath,
]
_GLOBAL = re.compile(r"(?:GLOBAL|Unsupported class|global:?) ([A-Za-z_][\w.]*\.\w+)")
_REFUSED = ("Unsupported", "not an allowed global", "not allowed", "Trying to", "weights_only=True")


def load(path: Path, *, trust: bool) -> tuple[Any, bool]:
    """Return what was saved, and whether trust was needed to read it.

    Raises:
        UnsafeCheckpoint: Reading it would run code, and `trust` is False.
        CheckpointError: The file is damaged, or needs code that isn't here.
    """
    with safe_globals(_HARMLESS):
        try:
            return _read(path, weights_only=True), False
        except Exception as error:  # a damaged pickle may raise anything
            offending = _offending(path, str(error))
            if not offending and not any(word in str(error) for word in _REFUSED):
                raise CheckpointError(f"{path} is damaged or truncated: {told(error)}") from error
    if not trust:
        raise UnsafeCheckpoint(_refusal(path, offending))
    return _trusted(path), True


def _read(path: Path, *, weights_only: bool) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about how old the file's way of saving is
        return torch.load(path, map_location="cpu", weights_only=weights_only)


def _trusted(path: Path) -> Any:
    try:
        return _read(path, weights_only=False)
    except (ImportError, AttributeError) as error:
        raise CheckpointError(
            f"{path} needs code that isn't importable here: {told(error)}; run where it is"
        ) from error
    except Exception as error:  # the file's own code runs here
        raise CheckpointError(f"{path} can't be unpickled: {told(error)}") from error


def _refusal(path: Path, offending: list[str]) -> str:
    what = f"it uses {', '.join(offending[:3])}" if offending else "it holds more than tensors"
    more = f" and {len(offending) - 3} more" if len(offending) > 3 else ""
    return (
        f"{path} is a pickle that would run code: {what}{more}; save `model.state_dict()` instead, "
        "or pass --trust-checkpoint if you trust who wrote it"
    )


def _offending(path: Path, message: str) -> list[str]:
    """Name the globals that weights-only loading refuses."""
    if zipfile.is_zipfile(path):
        try:
            return sorted(get_unsafe_globals_in_checkpoint(path))
        except Exception:  # a damaged pickle can't be disassembled; the message must do
            return sorted(set(_GLOBAL.findall(message)))
    found = _GLOBAL.findall(message)
    return sorted(set(found or _unknown_globals(path)))


def _unknown_globals(path: Path) -> Iterator[str]:
    """Disassemble a bare pickle of a newer protocol, which torch's own reader stops at."""
    words: list[str] = []
    try:
        for code, argument, _ in pickletools.genops(path.read_bytes()):
            if code.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
            elif code.name == "STACK_GLOBAL" and len(words) > 1:
                yield ".".join(words[-2:])
            elif isinstance(argument, str):
                words.append(argument)
    except ValueError:
        return

"""Files of `torch.save`: what they hold, without running code of the file, or as torch reads them if it is trusted."""

from __future__ import annotations

import importlib
import struct
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from auditor.errors import CheckpointError
from auditor.model.files import saved
from auditor.model.files.content import Content
from auditor.model.files.format import first_line

_INVALID = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, struct.error, RuntimeError)


def load(path: Path, content: Content) -> saved.Object:
    """Return the saved object; no code of the file is executed.

    Raises:
        CheckpointError: The file is damaged.
    """
    with damage_told(path):
        return saved.read(content)


@contextmanager
def damage_told(path: Path, *, what: str = "is damaged or truncated") -> Iterator[None]:
    """Report what is wrong with a file inside the block in one line.

    Raises:
        CheckpointError: Its contents contradict each other.
    """
    try:
        yield
    except MemoryError:
        raise CheckpointError(f"{path} does not fit into the memory of this machine") from None
    except _INVALID as error:
        raise CheckpointError(f"{path} {what}: {first_line(error)[:300]}; copy or save it again") from error


def trusted(path: Path) -> Any:
    """Return the object as torch reads it: the file's own code runs.

    Its classes are also looked for in the working directory and in the folder of the file.

    Raises:
        ImportError, AttributeError: A class can't be found.
        CheckpointError: The file's code raises.
    """
    try:
        with _importable(Path.cwd(), path.resolve().parent), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about old formats
            with torch.sparse.check_sparse_tensor_invariants():
                return torch.load(path, map_location="cpu", weights_only=False)
    except (ImportError, AttributeError):
        raise
    except Exception as error:  # the file's own code runs here
        raise CheckpointError(f"{path} can't be unpickled: {first_line(error)}") from error


@contextmanager
def _importable(*folders: Path) -> Iterator[None]:
    """Look for modules in the folders, too, after all other places."""
    added = [str(folder) for folder in folders]
    sys.path.extend(added)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for folder in added:
            if folder in sys.path:
                del sys.path[len(sys.path) - 1 - sys.path[::-1].index(folder)]

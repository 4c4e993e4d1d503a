"""The files that a checkpoint consists of, and one digest over all of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from auditor.errors import CheckpointError
from auditor.process import regular_files

MOST_FILES: Final = 10_000
_LARGEST_JSON: Final = 64 * 2**20


@dataclass(frozen=True, slots=True)
class UsedFile:
    """A file that was read.

    Attributes:
        name: Its path inside of the model folder.
        sha256: The digest of the bytes that were used.
    """

    name: str
    sha256: str
    bytes: int


def digest(files: Iterable[UsedFile]) -> str:
    """Return the SHA-256 of the lines that `sha256sum` prints for the files, in the order of their names."""
    lines = [f"{file.sha256}  {file.name}\n" for file in sorted(files, key=lambda file: file.name)]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def inside(folder: Path, name: object, *, named_in: str = "") -> Path:
    """Return the path of a file that lies directly in a folder.

    Links of the Hugging Face cache lead from `snapshots` to `blobs` beside it, and are followed.

    Args:
        named_in: The file that names it.

    Raises:
        CheckpointError: The name leads to another folder, or the file is a link out of the folder.
    """
    if not isinstance(name, str) or not 0 < len(name) <= 255 or name in (".", "..") or set(name) & set("/\\\0"):
        raise CheckpointError(
            f"{folder / named_in} names the file {str(name)[:80]!r}; expected the name of a file in the same folder"
        )
    path = folder / name
    try:
        target, root = path.resolve(), folder.resolve()
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f"{path} is a link that leads nowhere ({type(error).__name__})") from error
    root = root.parents[1] if root.parent.name == "snapshots" else root
    if not target.is_relative_to(root):
        raise CheckpointError(f"{path} is a link out of its folder, to {target}; put the file itself there")
    return path


def names_in(folder: Path) -> list[str]:
    """Return the names of the entries of a folder, sorted; at most `MOST_FILES`.

    Raises:
        CheckpointError: The folder can't be read.
    """
    try:
        return sorted(path.name for path in islice(folder.iterdir(), MOST_FILES))
    except OSError as error:
        raise CheckpointError(f"{folder} can't be read: {error.strerror}") from error


def json_file(folder: Path, name: str) -> tuple[Mapping[str, Any], UsedFile]:
    """Return the object in a JSON file of a folder, and the file.

    Raises:
        CheckpointError: It can't be read, or is no JSON object.
    """
    path = inside(folder, name)
    try:
        content = regular_files.content(path, most=_LARGEST_JSON)
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror}") from error
    try:
        value = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise CheckpointError(f"{path} is damaged: it is not JSON; copy or save it again") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds {type(value).__name__}; expected a JSON object")
    return value, UsedFile(name, hashlib.sha256(content).hexdigest(), len(content))

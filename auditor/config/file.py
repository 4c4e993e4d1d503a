"""The configuration file: `auditor.toml`, or `[tool.auditor]` in `pyproject.toml`."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.config import options
from auditor.errors import UsageError
from auditor.process.regular_files import content

_LARGEST = 2**24  # bytes


@dataclass(frozen=True, slots=True)
class File:
    """The table of a configuration file, keys with underscores; empty if there is no file."""

    path: Path | None = None
    table: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plugins(self) -> tuple[str, ...]:
        """The plugins to load first, because they add names that the rest of the file may use."""
        with naming(self.path):
            return tuple(options.coerce("plugin", self.table.get("plugin", ()), tuple[str, ...]))


def find(start: Path | None = None) -> File:
    """Return the nearest configuration file in the folder `start` or above it; an empty `File` if there is none."""
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if (own := folder / "auditor.toml").is_file():
            return read(own)
        project = folder / "pyproject.toml"
        if project.is_file() and "auditor" in parsed(project).get("tool", {}):
            return read(project)
    return File()


def read(path: Path) -> File:
    """Return the settings in a file: `[tool.auditor]` of `pyproject.toml`, or all of any other file.

    Raises:
        UsageError: The file is missing or is not valid TOML.
    """
    table = parsed(path)
    if path.name == "pyproject.toml":
        table = table.get("tool", {}).get("auditor", {})
    if not isinstance(table, Mapping):
        raise UsageError(f"{shown(path)}: tool.auditor is {table!r}, but has to be a table")
    return File(path, underscored(table))


def parsed(path: Path) -> dict[str, Any]:
    """Return the table in a TOML or JSON file.

    Raises:
        UsageError: The file can't be read, is not valid, or does not contain a table.
    """
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = content(path, most=_LARGEST).decode("utf-8")
        table = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{shown(path)} can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{shown(path)} is not valid {kind}: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(f"{shown(path)} contains {table!r}, but has to contain a table")
    return table


def underscored(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table with hyphens in its keys replaced: `batch-size` becomes `batch_size`."""
    return {key.replace("-", "_"): value for key, value in table.items()}


def shown(path: Path) -> str:
    """Return a path relative to the working directory if it lies inside it, else as it is."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


@contextmanager
def naming(path: Path | None) -> Iterator[None]:
    """Prefix errors with the name of the file they are about."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{shown(path)}: {error}" if path else str(error)) from error

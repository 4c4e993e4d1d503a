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


@dataclass(frozen=True, slots=True)
class File:
    """A configuration file's table, keys with underscores; empty where there is no file."""

    path: Path | None = None
    table: Mapping[str, Any] = field(default_factory=dict)

    @property
    def plugins(self) -> tuple[str, ...]:
        """The modules to load before the names in the rest of the file can be known."""
        with told_by(self.path):
            return tuple(options.coerce("plugin", self.table.get("plugin", ()), tuple[str, ...]))


def find(start: Path | None = None) -> File:
    """Return the nearest configuration file from the folder `start` upwards, or an empty one."""
    start = (start or Path.cwd()).absolute()
    for folder in (start, *start.parents):
        if (own := folder / "auditor.toml").is_file():
            return read(own)
        project = folder / "pyproject.toml"
        if project.is_file() and "auditor" in parsed(project).get("tool", {}):
            return read(project)
    return File()


def read(path: Path) -> File:
    """Return the settings in a file: its `[tool.auditor]` when it has one, else all of it.

    Raises:
        UsageError: The file is missing or no valid TOML.
    """
    table = parsed(path)
    if path.name == "pyproject.toml":
        table = table.get("tool", {}).get("auditor", {})
    if not isinstance(table, Mapping):
        raise UsageError(f"{shown(path)}: tool.auditor is {table!r}, but has to be a table")
    return File(path, underscored(table))


def parsed(path: Path) -> dict[str, Any]:
    """Return what a TOML or JSON file says.

    Raises:
        UsageError: The file can't be read, is not valid, or holds no table.
    """
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = path.read_text(encoding="utf-8")
        table = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{shown(path)} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{shown(path)} is no valid {kind}: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(f"{shown(path)} holds {table!r}, but has to hold a table")
    return table


def underscored(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with `batch-size` spelled `batch_size`."""
    return {key.replace("-", "_"): value for key, value in table.items()}


def shown(path: Path) -> str:
    """Return a path as short as it can be told from the working directory."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


@contextmanager
def told_by(path: Path | None) -> Iterator[None]:
    """Put the file's name before what is wrong in it."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{shown(path)}: {error}" if path else str(error)) from error

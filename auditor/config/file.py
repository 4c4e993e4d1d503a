"""The configuration file: `auditor.toml`, or `[tool.auditor]` in `pyproject.toml`."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from auditor.config import lookup, options
from auditor.errors import UsageError
from auditor.process.regular_files import content

_DEEPEST = 32  # levels of tables and lists
_LONGEST = 600  # letters of an error, which may quote the file

# the time to parse a key with dots grows with the square of its parts, to hours
_LONG_KEY = re.compile(rf"(?<![\w-])(?:[\w-]++[ \t]*+\.[ \t]*+){{{_DEEPEST}}}")
_TEXT = re.compile(
    "|".join(
        (
            r'"""(?:[^"\\]|\\.|"(?!""))*+"""',
            r"'''(?:[^']|'(?!''))*+'''",
            r'"(?:[^"\\\n]|\\.)*+"',
            r"'[^'\n]*+'",
            r"#[^\n]*+",
        )
    ),
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class File:
    """The table of a configuration file, keys with underscores; empty if there is no file.

    Attributes:
        above: Whether it was found in a folder above the working directory.
    """

    path: Path | None = None
    table: Mapping[str, Any] = field(default_factory=dict)
    above: bool = False

    @property
    def plugins(self) -> tuple[str, ...]:
        """The plugins to load first, because they add names that the rest of the file may use."""
        with naming(self.path):
            return tuple(options.coerce("plugin", self.table.get("plugin", ()), tuple[str, ...]))

    def without_plugins(self) -> File:
        """Return the file without the plugins that it names."""
        return replace(self, table={key: value for key, value in self.table.items() if key != "plugin"})


def find(start: Path | None = None) -> File:
    """Return the nearest configuration file in the folder `start` or above it, up to the root of the project.

    It is an empty `File` if there is none.

    Raises:
        UsageError: The file can't be read, is not valid, or another user can change it.
    """
    start = (start or lookup.working_folder()).absolute()
    for folder in lookup.folders(start):
        for name in ("auditor.toml", "pyproject.toml"):
            if lookup.is_there(folder / name) and (found := _found(folder / name, start)) is not None:
                return found
    return File()


def _found(path: Path, start: Path) -> File | None:
    """Return the settings in a file that nobody named; None for a `pyproject.toml` without any, whoever owns it."""
    refusal = None
    with _reading(path):
        try:
            data = lookup.content(path, start=start)
        except UsageError as error:
            refusal, data = error, content(path, most=lookup.LARGEST)
    table = _settings(path, _parsed(path, data))
    if table is None:
        return None
    if refusal:
        raise refusal
    return File(path, underscored(table), above=path.parent != start)


def read(path: Path) -> File:
    """Return the settings in a file: `[tool.auditor]` of `pyproject.toml`, or all of any other file.

    Raises:
        UsageError: The file is missing or is not valid TOML.
    """
    return File(path, underscored(_settings(path, parsed(path)) or {}))


def _settings(path: Path, whole: dict[str, Any]) -> Mapping[str, Any] | None:
    """Return the settings in a parsed file; None if it is a `pyproject.toml` without any."""
    if path.name != "pyproject.toml":
        return whole
    tools = whole.get("tool", {})
    if not isinstance(tools, Mapping) or "auditor" not in tools:
        return None
    if not isinstance(tools["auditor"], Mapping):
        raise UsageError(f"{shown(path)}: tool.auditor is {tools['auditor']!r}, but has to be a table")
    return tools["auditor"]


def parsed(path: Path) -> dict[str, Any]:
    """Return the table in a TOML or JSON file.

    Raises:
        UsageError: The file can't be read, is too large, is not valid, or does not contain a table.
    """
    with _reading(path):
        data = content(path, most=lookup.LARGEST)
    return _parsed(path, data)


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    kind = "JSON" if path.suffix == ".json" else "TOML"
    try:
        text = data.decode()
        if kind == "TOML" and _LONG_KEY.search(_TEXT.sub("text", text)):
            raise UsageError(f"{shown(path)} has a key of more than {_DEEPEST} parts")
        table = json.loads(text) if kind == "JSON" else tomllib.loads(text)
    except RecursionError:
        raise UsageError(f"{shown(path)} is not valid {kind}: it is nested too deep") from None
    except ValueError as error:
        raise UsageError(f"{shown(path)} is not valid {kind}: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(f"{shown(path)} contains a {type(table).__name__}, but has to contain a table")
    if _depth(table) > _DEEPEST:
        raise UsageError(f"{shown(path)} is nested more than {_DEEPEST} levels deep")
    return table


def _depth(table: dict[str, Any]) -> int:
    """Return how deep tables and lists are nested, counted no further than is allowed."""
    level: list[Any] = [table]
    for depth in range(_DEEPEST + 1):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return depth
    return _DEEPEST + 1


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason, name = getattr(error, "strerror", None) or error, shown(path)
        raise UsageError(f"{name if len(name) < 300 else f'{name[:100]}…'} can't be read: {reason}") from error


def underscored(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table with hyphens in its keys replaced: `batch-size` becomes `batch_size`."""
    return {key.replace("-", "_"): value for key, value in table.items()}


def shown(path: Path) -> str:
    """Return a path relative to the working directory if it lies inside it, else as it is."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except (OSError, ValueError):  # no working directory, or the path lies elsewhere
        return str(path)


@contextmanager
def naming(path: Path | None) -> Iterator[None]:
    """Prefix errors with the name of the file they are about."""
    try:
        yield
    except UsageError as error:
        text = str(error)
        short = text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-_LONGEST // 2 :]}"
        raise UsageError(f"{shown(path)}: {short}" if path else text) from error

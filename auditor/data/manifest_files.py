"""The files that the paths of a manifest mean."""

from __future__ import annotations

import os
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, NamedTuple

from auditor.data import label_columns
from auditor.data.assumption import Assumption
from auditor.data.folder_tree import tree
from auditor.errors import DataError
from auditor.language import many
from auditor.process.regular_files import expanded

_TAIL: Final = 8  # parts of a path
_SEARCHED: Final = 2000  # folders
_ASKED: Final = 5  # missing files


@dataclass
class Places:
    """The files that paths mean under one root, and how many of them were not found as they are written.

    Attributes:
        given: Whether the root was given by the user. Only then are absolute paths of another machine looked for in it.
    """

    root: Path
    given: bool = False
    changed: Counter[str] = field(default_factory=Counter)

    def below(self, paths: Iterable[str]) -> Iterator[str]:
        """Yield the file of each path as text: relative to the root if it lies there, otherwise absolute.

        Raises:
            DataError: An identifier is the name of several files.
        """
        for path in paths:
            if _is_plain(path) and not self._odd(path):
                yield path  # a Path for each of a million files takes a minute
                continue
            file = self._file(path)
            yield str(file.relative_to(self.root) if file.is_relative_to(self.root) else file)

    @property
    def assumptions(self) -> Iterator[Assumption]:
        """What was changed to find the files."""
        if n := self.changed["windows"]:
            yield Assumption(
                many(
                    "in {count} path a backslash separates folders", "in {count} paths backslashes separate folders", n
                )
            )
        if n := self.changed["identifier"]:
            yield Assumption(
                many(
                    "{count} identifier is the name of a file without its suffix",
                    "{count} identifiers are the names of files without their suffix",
                    n,
                )
            )
        if n := self.changed["elsewhere"]:
            yield Assumption(
                many(
                    "{count} absolute path of another place was found under the root",
                    "{count} absolute paths of another place were found under the root",
                    n,
                )
            )

    def _file(self, path: str) -> Path:
        written = self.root / expanded(Path(path))
        if not self._odd(path) or present(written):
            return written
        for kind, file in self._candidates(path):
            if file is not None and present(file):
                self.changed[kind] += 1
                return file
        return written

    def _odd(self, path: str) -> bool:
        """Return whether a path could mean another file than the one that it names: only then it is looked for."""
        return "\\" in path or not label_columns.is_image(path) or (self.given and _is_absolute(path))

    def _candidates(self, path: str) -> Iterator[tuple[str, Path | None]]:
        if "\\" in path:
            yield "windows", self.root / path.replace("\\", "/")
        if self.given and _is_absolute(path):
            for tail in _tails(path):
                yield "elsewhere", self.root / tail
        if not label_columns.is_image(path):
            yield "identifier", self._by_stem(path)

    def _by_stem(self, identifier: str) -> Path | None:
        """Return the only image file of this name without its suffix; one directly under the root comes first."""
        found = self._stems.get(PurePosixPath(identifier.replace("\\", "/")).as_posix(), [])
        direct = [name for name in found if "/" not in name]
        named = direct or found
        if len(named) > 1:
            raise DataError(
                f"the identifier {identifier!r} is the name of {len(named)} files under {self.root}: {named[0]}, "
                f"{named[1]}; give --root with the folder of one of them"
            )
        return self.root / named[0] if named else None

    @cached_property
    def _stems(self) -> dict[str, list[str]]:
        stems = defaultdict[str, list[str]](list)
        for name in tree(self.root).images if self.root.is_dir() else ():
            whole = PurePosixPath(name).with_suffix("").as_posix()
            stems[whole].append(name)
            if "/" in whole:
                stems[whole.rpartition("/")[2]].append(name)
        return stems


class Whereabouts(NamedTuple):
    """Where a missing file of a manifest was found: the end of its path, and the folder to give as `--root`."""

    path: str
    folder: str


def whereabouts(paths: Sequence[str], root: Path) -> Whereabouts | None:
    """Return the folder under which missing paths are found; None if none near the root has them."""
    some = [paths[len(paths) * i // _ASKED] for i in range(_ASKED)]
    first = _found(some[0], root)
    if first is None:
        return None
    if label_columns.is_image(some[0]):
        folder = first[1]
    else:  # identifiers may lie in one folder for each class
        folder = Path(os.path.commonpath([one[1].absolute() for path in some if (one := _found(path, root))]))
    return Whereabouts(first[0], _relative(folder))


def _found(path: str, root: Path) -> tuple[str, Path] | None:
    """Return the end of a path and the folder near the root that has it."""
    tails = list(_tails(path)) if _is_absolute(path) else [path.replace("\\", "/")]
    for folder in _near(root):
        for tail in tails:
            if present(folder / tail) or _has_stem(folder, tail):
                return tail, folder
    return None


def present(path: Path) -> bool:
    """Return whether there is something at a path, which may be one that no file can have."""
    try:
        path.stat()
    except (OSError, ValueError):
        return False
    return True


def _has_stem(folder: Path, tail: str) -> bool:
    return not label_columns.is_image(tail) and any(present(folder / f"{tail}{suffix}") for suffix in _USUAL)


_USUAL: Final = (".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG", ".tif", ".bmp", ".webp")


def _near(root: Path) -> Iterator[Path]:
    """Yield the folders below the root, its parent and the working folder, the nearest first, up to a number."""
    seen = set[str]()
    parent = root.absolute().parent
    waiting = deque([root, *([parent] if parent.name else []), Path()])
    while waiting and len(seen) < _SEARCHED:
        folder = waiting.popleft()
        here = os.path.realpath(folder)
        if here in seen:
            continue
        seen.add(here)
        yield folder
        try:
            with os.scandir(folder) as entries:
                names = [e.name for e in entries if e.is_dir(follow_symlinks=False)]
        except OSError:
            continue
        waiting.extend(folder / name for name in sorted(names) if not name.startswith("."))


def _relative(folder: Path) -> str:
    return os.path.relpath(folder) if len(os.path.relpath(folder)) < len(str(folder)) else str(folder)


def _is_plain(path: str) -> bool:
    """Return whether a relative path is written as `Path` would write it."""
    return path[:1] not in ("", "/", ".", "~") and not path.endswith("/") and "/." not in path and "//" not in path


def _is_absolute(path: str) -> bool:
    return PurePosixPath(path).is_absolute() or bool(PureWindowsPath(path).drive) or path.startswith("~")


def _tails(path: str) -> Iterator[str]:
    """Yield the ends of an absolute path, the longest first."""
    parts = _parts(path)
    for first in range(max(0, len(parts) - _TAIL), len(parts)):
        yield "/".join(parts[first:])


def _parts(path: str) -> Sequence[str]:
    parts = path.replace("\\", "/").split("/")
    return [part for part in parts if part not in ("", ".", "..", "~") and not part.endswith(":")]

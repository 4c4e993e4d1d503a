"""What `--data` names, where it is not a folder of image files: recognised by its contents, or by its address."""

from __future__ import annotations

import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from auditor.data import manifest
from auditor.data.sources import archives, arrow, layout, parquet, remote
from auditor.data.sources.inventory import Inventory
from auditor.data.sources.location import LocalFile, Location, unreadable
from auditor.data.sources.remote import ADDRESS, RemoteFile
from auditor.data.suffixes import readable
from auditor.errors import DataError
from auditor.process.regular_files import expanded

KINDS: Final = {".tar": "tar", ".zip": "zip", ".parquet": "parquet", ".pq": "parquet", ".arrow": "arrow"}

_BRACES: Final = re.compile(r"\{([^{}]*)\}")
_RANGE: Final = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})", re.ASCII)
_MOST_SHARDS: Final = 1_000_000
_DEEPEST: Final = 3
_LARGEST_MANIFEST: Final = 2**28


def recognised(source: str, *, split: str | None = None) -> Inventory | None:
    """Return what an archive, a table, a folder of shards or an address holds; None for anything else.

    Raises:
        DataError: It can't be read, it has no images, or a library for it is missing.
    """
    if ADDRESS.match(source) and not source.startswith("file://"):
        return _of_address(source, split=split)
    path = expanded(Path(source.removeprefix("file://")))
    if _BRACES.search(source) and not path.exists():
        locations = [LocalFile(Path(one)) for one in _expanded(str(path))]
        return _of_files(locations, source, split=split)
    if path.is_dir():
        return _of_folder(path, split=split)
    if path.is_file() and path.suffix.lower() not in manifest.TABLES and (kind := _kind(LocalFile(path))):
        return _of_kind(kind, [LocalFile(path)], str(path), split=split)
    return None


def _expanded(pattern: str) -> Iterator[str]:
    """Yield the names that a pattern with `{000..003}` or `{a,b}` means, as a shell would.

    Raises:
        DataError: They are too many.
    """
    choices = [_choices(found) for found in _BRACES.findall(pattern)]
    total = 1
    for one in choices:
        total *= len(one)
    if total > _MOST_SHARDS:
        raise DataError(f"data {pattern} means {total:,} files; expected at most {_MOST_SHARDS:,}")
    between = _BRACES.sub("\0", pattern).split("\0")
    for chosen in itertools.product(*choices):
        yield "".join(itertools.chain(*itertools.zip_longest(between, chosen, fillvalue="")))


def _choices(inside: str) -> Sequence[str]:
    found = _RANGE.fullmatch(inside)
    if not found:
        return inside.split(",")
    width = len(found[1]) if found[1].startswith("0") else 0
    return _Numbers(range(int(found[1]), int(found[2]) + 1), width)


@dataclass(frozen=True, slots=True)
class _Numbers(Sequence[str]):
    """The numbers of shards, which are written only when they are asked for."""

    numbers: range
    width: int

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, place: int) -> str:  # type: ignore[override]
        return f"{self.numbers[place]:0{self.width}}"


def _kind(location: Location) -> str | None:
    """Return the kind of a file by its first bytes, or by its suffix.

    Raises:
        DataError: It can't be read, or it has to be unpacked first.
    """
    try:
        head = location.read(0, 512)
    except OSError as error:
        raise unreadable("data", location, error) from error
    if head[:2] == b"\x1f\x8b" or head[:3] == b"BZh" or head[:6] == b"\xfd7zXZ\0" or head[:4] == b"\x28\xb5\x2f\xfd":
        raise DataError(
            f"data {location.address} is compressed as a whole, so that no image can be read by itself; unpack it: "
            f"tar -xf {location.path.name}, and give the folder"
        )
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if head[257:262] == b"ustar":
        return "tar"
    if head[:4] == b"PAR1":
        return "parquet"
    if head[:6] == b"ARROW1" or head[:4] == b"\xff\xff\xff\xff":
        return "arrow"
    return KINDS.get(location.path.suffix.lower())


def _of_files(locations: Sequence[Location], source: str, *, split: str | None) -> Inventory:
    """Return the images of shards of one kind."""
    if not locations:
        raise DataError(f"data {source} means no file; expected a range such as {{000..003}}")
    kind = _kind(locations[0])
    if kind is None:
        raise DataError(f"data {source} has no archives or tables; expected files such as shard-000.tar")
    return _of_kind(kind, locations, source, split=split)


def _of_kind(kind: str, locations: Sequence[Location], source: str, *, split: str | None) -> Inventory:
    if kind == "tar":
        return archives.of_tars(locations, f"tar archive {source}", split=split)
    if kind == "zip":
        return archives.of_zips(locations, f"zip archive {source}", split=split)
    if split is not None and len(locations) == 1:
        raise DataError(f"{source} has no splits, but --split {split} was given; leave it out")
    if kind == "parquet":
        return parquet.of_parquet(locations, f"Parquet data {source}")
    local = [location for location in locations if isinstance(location, LocalFile)]
    if len(local) < len(locations):
        raise DataError(f"data {source} is Arrow data at an address, which is not read; copy it to this machine")
    return arrow.of_arrow(local, f"Arrow data {source}")


def _of_folder(folder: Path, *, split: str | None) -> Inventory | None:
    """Return the images of a folder of shards; None for a folder with image files, or with nothing that is known."""
    if (folder / arrow.DATASETS).exists() or (folder / arrow.DATASET).exists():
        return arrow.of_folder(folder, split=split)
    kinds: dict[str, list[str]] = {}
    for name in _walk(folder, ""):
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in readable() or (suffix in manifest.TABLES and "/" not in name):
            return None
        if suffix in KINDS:
            kinds.setdefault(KINDS[suffix], []).append(name)
    if not kinds:
        return None
    return _of_shards(kinds, str(folder), lambda name: LocalFile(folder / name), split=split)


def _walk(folder: Path, prefix: str) -> Iterator[str]:
    """Yield the files below a folder, those of the folder itself first."""
    try:
        with os.scandir(folder) as entries:
            folders = []
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    folders.append(entry.name)
                else:
                    yield f"{prefix}{entry.name}"
    except OSError as error:
        raise DataError(f"folder {folder} can't be read: {error.strerror}") from error
    if prefix.count("/") < _DEEPEST:
        for name in folders:
            yield from _walk(folder / name, f"{prefix}{name}/")


def _of_shards(
    kinds: dict[str, list[str]], source: str, at: Callable[[str], Location], *, split: str | None
) -> Inventory:
    """Return the images of the shards below a folder, which are of one kind and of one split."""
    if len(kinds) > 1:
        found = ", ".join(f"{len(names)} x {kind}" for kind, names in kinds.items())
        raise DataError(f"data {source} has files of several kinds: {found}; give one kind")
    ((kind, names),) = kinds.items()
    chosen = layout.of_split(names, f"data {source}", split=split)
    return _of_kind(kind, [at(name) for name in chosen], source, split=None)


def _of_address(address: str, *, split: str | None) -> Inventory:
    """Return the images at an address: of an archive, a table, a manifest, or below a folder."""
    remote.file_system(address)  # refused here, where a library is missing
    if _BRACES.search(address):
        return _of_files([RemoteFile(one) for one in _expanded(address)], address, split=split)
    suffix = PurePosixPath(address).suffix.lower()
    if suffix in manifest.TABLES:
        return _of_manifest(RemoteFile(address))
    if suffix in KINDS:
        return _of_kind(_kind(RemoteFile(address)) or KINDS[suffix], [RemoteFile(address)], address, split=split)
    below = remote.listed(address)
    if below is None:
        kind = _kind(RemoteFile(address))
        if kind is None:
            raise DataError(f"data {address} is no archive, no table and no manifest; expected one, or a folder")
        return _of_kind(kind, [RemoteFile(address)], address, split=split)
    return _below(address, below, split=split)


def _below(address: str, below: Sequence[str], *, split: str | None) -> Inventory:
    scheme, _mark, inner = address.partition("://")
    root = inner.strip("/")
    base = f"{scheme}://{root}" if root else f"{scheme}:/"
    names = [one.partition("://")[2].lstrip("/").removeprefix(f"{root}/") for one in below]
    images = [name for name in names if PurePosixPath(name).suffix.lower() in readable() and not _is_hidden(name)]
    if images:
        found = layout.class_folders(images, (), f"data {address}", split=split)
        chosen = [images[index] for index in found.chosen]
        return Inventory(remote.RemoteImages(base, chosen), chosen, found.labels, found.folders)
    kinds: dict[str, list[str]] = {}
    for name in names:
        if kind := KINDS.get(PurePosixPath(name).suffix.lower()):
            kinds.setdefault(kind, []).append(name)
    if not kinds:
        others = Counter(PurePosixPath(name).suffix.lower() or "no suffix" for name in names)
        raise DataError(layout.no_images(f"data {address}", others))
    return _of_shards(kinds, address, lambda name: RemoteFile(f"{base}/{name}"), split=split)


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _of_manifest(location: RemoteFile) -> Inventory:
    """Return the images of a manifest at an address; its paths are relative to it.

    Raises:
        DataError: It can't be read, or a path leads out of its folder.
    """
    try:
        found = location.content(most=_LARGEST_MANIFEST)
    except OSError as error:
        raise unreadable("manifest", location, error) from error
    entries = manifest.read(location.path, found=found).entries
    for entry in entries:
        if "://" in entry.path or entry.path.startswith("/") or ".." in entry.path.split("/"):
            raise DataError(
                f"manifest {location.address} names {entry.path!r}; expected paths below the folder of the manifest"
            )
    names = [entry.path for entry in entries]
    base = location.address.rpartition("/")[0]
    return Inventory(remote.RemoteImages(base, names), names, [entry.label for entry in entries])

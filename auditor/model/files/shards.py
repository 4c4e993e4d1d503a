"""Checkpoints that are split into several files, with an index that says which tensor lies in which file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auditor.errors import CheckpointError
from auditor.model.files import content, pickled, safetensors
from auditor.model.files.content import Content
from auditor.model.files.format import sniff
from auditor.model.files.used_files import MOST_FILES, UsedFile, inside, json_file

INDEX: Final = ".index.json"
_SHARD = re.compile(r".+-(\d{5,6})-of-(\d{5,6})\.\w+", re.ASCII)


@dataclass(frozen=True)
class Joined:
    """The tensors of several files.

    Attributes:
        format: That of the files.
        tensors: By name, as they stand in the files.
        unknown: The classes and functions that the files name.
        files: The index and the shards.
        contents: What the tensors are views of.
    """

    format: str
    tensors: Mapping[str, Any]
    unknown: tuple[str, ...]
    files: tuple[UsedFile, ...]
    contents: tuple[Content, ...]


def refuse_lone(path: Path) -> None:
    """Refuse a single shard, which is only a part of a network.

    Raises:
        CheckpointError: The file is one of several.
    """
    found = _SHARD.fullmatch(path.name)
    if found and int(found[2]) > 1 and path.is_file():
        raise CheckpointError(
            f"{path}: this is shard {int(found[1])} of {int(found[2])}: give the folder ({path.parent}), "
            "which joins them"
        )


def read(index: Path) -> Joined:
    """Return the tensors of all files that an index names.

    Raises:
        CheckpointError: A file is missing, damaged, or lies elsewhere.
    """
    said, own = json_file(index.parent, index.name)
    places = _places(index, said)
    paths = _present(index, sorted(set(places.values())))
    tensors: dict[str, Any] = {}
    unknown, files, contents = dict[str, None](), [own], []
    for name, path in paths.items():
        kind = sniff(path)
        read_content = content.read(path)
        found, named = _tensors(path, kind, read_content)
        if twice := sorted(tensors.keys() & found.keys()):
            raise CheckpointError(f"{index} is damaged: two of its shards hold {twice[0][:80]!r}")
        tensors |= found
        unknown |= dict.fromkeys(named)
        files.append(UsedFile(name, read_content.sha256, read_content.size))
        contents.append(read_content)
    if lost := sorted(places.keys() - tensors.keys()):
        raise CheckpointError(
            f"{index.parent / places[lost[0]]} is not the shard of {index.name}: it lacks {lost[0][:80]!r}; "
            "copy all shards of one checkpoint again"
        )
    return Joined(kind, tensors, tuple(unknown), tuple(files), tuple(contents))


def _places(index: Path, said: Mapping[str, Any]) -> dict[str, str]:
    """Return the file of each tensor."""
    places = said.get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{index} has no weight_map; expected the index of a checkpoint in shards")
    for name in dict.fromkeys(map(str, places.values())):
        inside(index.parent, name, named_in=index.name)
    if any(not isinstance(name, str) for name in places.values()):
        raise CheckpointError(f"{index} is damaged: its weight_map names no files")
    if (count := len(set(places.values()))) > MOST_FILES:
        raise CheckpointError(f"{index} names {count:,} shards; expected at most {MOST_FILES:,}")
    return places


def _present(index: Path, names: list[str]) -> dict[str, Path]:
    """Return the path of each shard; all of them together have to fit into memory."""
    paths = {name: inside(index.parent, name) for name in names}
    missing = [name for name, path in paths.items() if not path.exists()]
    if missing:
        place, total = _numbered(missing[0], names)
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CheckpointError(
            f"{index.parent}: shard {place} of {total} is missing ({missing[0]!r}){more}; copy the folder again"
        )
    size = sum(path.stat().st_size for path in paths.values())
    if size > (most := content.largest()):
        raise CheckpointError(f"the shards of {index} have {size:,} bytes, but this machine has {most:,} of memory")
    return paths


def _numbered(name: str, names: list[str]) -> tuple[int, int]:
    found = _SHARD.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else (names.index(name) + 1, len(names))


def _tensors(path: Path, kind: str, read_content: Content) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    if kind == "safetensors":
        with pickled.damage_told(path, what="can't be read as safetensors"):
            return safetensors.read(read_content)["state_dict"], ()
    if kind != "state dict":
        raise CheckpointError(f"{path} is {kind}; expected a shard: safetensors or a state dict")
    saved = pickled.load(path, read_content)
    if not isinstance(saved.value, dict):
        raise CheckpointError(f"{path} holds no state dict; expected a shard of one")
    return saved.value, saved.unknown

"""Folders of `torch.distributed.checkpoint`: a pickle of places, and files in which tensors lie in pieces.

Both are read by this package's own reader of pickles. Each piece of a tensor is a file of `torch.save` inside of a
`.distcp` file, and is read when the tensor is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from auditor.errors import CheckpointError
from auditor.model.files import content, pickled, saved
from auditor.model.files.content import Content
from auditor.model.files.opcodes import Malformed
from auditor.model.files.stand_in import Key, StandIn
from auditor.model.files.storages import Saved, sizes
from auditor.model.files.used_files import MOST_FILES, UsedFile, inside

METADATA: Final = ".metadata"
CONVERTER: Final = "torch.distributed.checkpoint.format_utils.dcp_to_torch_save"
_MOST_PIECES: Final = 1_000_000
_DEEPEST: Final = 16


@dataclass(frozen=True)
class Distributed:
    """The contents of a folder.

    Attributes:
        value: The saved dict.
        contents: What its tensors are views of.
    """

    value: dict[Any, Any]
    files: tuple[UsedFile, ...]
    contents: tuple[Content, ...]


@dataclass(frozen=True)
class _Piece:
    """Where a piece of a tensor, or an object, lies.

    Attributes:
        offsets: Where the piece begins in the tensor.
    """

    file: str
    offset: int
    length: int
    offsets: tuple[int, ...]


def read(folder: Path) -> Distributed:
    """Return what was saved, with tensors that are put together when they are needed.

    Raises:
        CheckpointError: A file is missing or damaged, or the pieces are stored in a way that only torch can read.
    """
    metadata = inside(folder, METADATA)
    if not metadata.exists():
        raise CheckpointError(f"{folder} is a torch.distributed.checkpoint without {METADATA}; copy the folder again")
    index = content.read(metadata)
    said = pickled.load(metadata, index).value
    files = [UsedFile(METADATA, index.sha256, index.size)]
    try:
        with pickled.damage_told(metadata):
            entries, paths, pieces = _declared(said)
            contents = _contents(folder, pieces, files)
            value = _nested(entries, paths, pieces, contents)
    except _Foreign as error:
        raise CheckpointError(
            f"{folder} is a torch.distributed.checkpoint {error}; convert it with {CONVERTER}"
        ) from None
    return Distributed(value, tuple(files), tuple(contents.values()))


class _Foreign(Exception):
    """The folder is stored in a way that is not known here."""


def _declared(said: Any) -> tuple[dict[str, Any], Mapping[Any, Any], dict[str, list[_Piece]]]:
    """Return the entries, the path of each in the saved dict, and its pieces."""
    attributes = said.attributes if isinstance(said, StandIn) else {}
    entries, places = attributes.get("state_dict_metadata"), attributes.get("storage_data")
    if not isinstance(entries, dict) or not isinstance(places, dict):
        raise _Foreign("without the places of its tensors")
    if len(places) > _MOST_PIECES:
        raise Malformed(f"it has {len(places):,} pieces; expected at most {_MOST_PIECES:,}")
    pieces: dict[str, list[_Piece]] = {}
    for key, place in places.items():
        name, piece = _piece(key, place)
        pieces.setdefault(name, []).append(piece)
    paths = attributes.get("planner_data")
    return entries, paths if isinstance(paths, dict) else {}, pieces


def _piece(key: Any, place: Any) -> tuple[str, _Piece]:
    named = key.state if isinstance(key, Key) and isinstance(key.state, dict) else {}
    where = place.attributes if isinstance(place, StandIn) else {}
    name, file, offset, length = named.get("fqn"), *(where.get(k) for k in ("relative_path", "offset", "length"))
    if not isinstance(name, str) or not isinstance(file, str):
        raise _Foreign("whose tensors lie elsewhere")
    if where.get("transform_descriptors"):
        raise _Foreign("with compressed pieces")
    begin, size = sizes((offset, length))
    return name, _Piece(file, begin, size, sizes(named.get("offset") or ()))


def _contents(folder: Path, pieces: Mapping[str, list[_Piece]], files: list[UsedFile]) -> dict[str, Content]:
    """Return the bytes of each file; the files are added to those that were used."""
    names = sorted({piece.file for each in pieces.values() for piece in each})
    if len(names) > MOST_FILES:
        raise Malformed(f"it names {len(names):,} files; expected at most {MOST_FILES:,}")
    paths = {name: inside(folder, name, named_in=METADATA) for name in names}
    if missing := [name for name, path in paths.items() if not path.exists()]:
        raise CheckpointError(
            f"{folder}: {len(missing)} of the {len(names)} files of this torch.distributed.checkpoint are missing "
            f"({missing[0]!r}); copy the folder again"
        )
    if (size := sum(path.stat().st_size for path in paths.values())) > (most := content.largest()):
        raise CheckpointError(f"the files of {folder} have {size:,} bytes, but this machine has {most:,} of memory")
    found = {name: content.read(path) for name, path in paths.items()}
    files += [UsedFile(name, each.sha256, each.size) for name, each in found.items()]
    return found


def _nested(
    entries: Mapping[Any, Any],
    paths: Mapping[Any, Any],
    pieces: Mapping[str, list[_Piece]],
    contents: Mapping[str, Content],
) -> dict[Any, Any]:
    """Return the saved dict, in which dicts hold dicts again."""
    whole: dict[Any, Any] = {}
    for name, entry in entries.items():
        if not isinstance(name, str) or not isinstance(entry, StandIn):
            raise Malformed("it holds an entry without a name")
        path = paths.get(name)
        path = path if isinstance(path, tuple) and 0 < len(path) <= _DEEPEST else (name,)
        inner = whole
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise Malformed(f"its entry {name[:80]!r} lies inside of a tensor")
        inner[path[-1]] = _value(name, entry, pieces.get(name, []), contents)
    return whole


def _value(name: str, entry: StandIn, pieces: Sequence[_Piece], contents: Mapping[str, Content]) -> Any:
    if "size" in entry.attributes:
        shape = sizes(entry.attributes["size"])
        return Saved(shape, partial(_assembled, name, shape, pieces, contents))
    try:
        return _stored(pieces[0], contents) if len(pieces) == 1 else None
    except (Malformed, ValueError):
        return None  # the state of a loader or a generator, which is no part of the network


def _assembled(name: str, shape: tuple[int, ...], pieces: Sequence[_Piece], contents: Mapping[str, Content]) -> Tensor:
    """Return a tensor that its pieces fill exactly: as many elements, and none twice.

    Raises:
        Malformed: They overlap, leave gaps, or lie outside.
    """
    parts = [(piece.offsets or (0,) * len(shape), _tensor(name, piece, contents)) for piece in pieces]
    if len(parts) == 1 and tuple(parts[0][1].shape) == shape:
        return parts[0][1]
    dtypes = {part.dtype for _, part in parts}
    if len(dtypes) != 1 or sum(part.numel() for _, part in parts) != math.prod(shape):
        raise Malformed(f"the pieces of its tensor {name[:80]!r} of size {list(shape)} do not fill it")
    whole, filled = torch.empty(shape, dtype=dtypes.pop()), torch.zeros(shape, dtype=torch.bool)
    for offsets, part in parts:
        if len(offsets) != len(shape) or part.dim() != len(shape):
            raise Malformed(f"a piece of its tensor {name[:80]!r} has another number of dimensions")
        region = tuple(slice(begin, begin + length) for begin, length in zip(offsets, part.shape, strict=True))
        if whole[region].shape != part.shape or bool(filled[region].any()):
            raise Malformed(f"the pieces of its tensor {name[:80]!r} overlap or lie outside of it")
        whole[region], filled[region] = part, True
    return whole


def _tensor(name: str, piece: _Piece, contents: Mapping[str, Content]) -> Tensor:
    value = _stored(piece, contents)
    if isinstance(value, dict):  # the writer for safetensors gives each file a header
        value = next(iter(_tensors(value)), None)
    if not isinstance(value, Saved | Tensor):
        raise Malformed(f"its tensor {name[:80]!r} is stored in a form that only torch can read")
    return value.tensor if isinstance(value, Saved) else value


def _tensors(value: Mapping[Any, Any]) -> Iterator[Saved | Tensor]:
    return (each for each in value.values() if isinstance(each, Saved | Tensor))


def _stored(piece: _Piece, contents: Mapping[str, Content]) -> Any:
    """Return the object in a part of a file."""
    whole = contents[piece.file]
    if piece.offset + piece.length > whole.size:
        raise Malformed(f"its file {piece.file[:80]!r} has {whole.size:,} bytes, fewer than it names")
    part = bytearray(whole.view[piece.offset : piece.offset + piece.length])
    return saved.read(Content(part, len(part))).value

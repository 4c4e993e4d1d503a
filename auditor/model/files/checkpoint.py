"""A checkpoint file, read without running any code in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from auditor.errors import CheckpointError, UnsafeCheckpoint
from auditor.model.files import (
    distributed_checkpoint,
    metadata,
    model_folder,
    module_state,
    pickled,
    program,
    safetensors,
    shards,
)
from auditor.model.files.content import Content
from auditor.model.files.content import read as read_content
from auditor.model.files.format import first_line, sniff
from auditor.model.files.model_folder import Located
from auditor.model.files.sandboxed import measures
from auditor.model.files.stand_in import readable
from auditor.model.files.unwrap import Contents, unwrap
from auditor.model.files.used_files import UsedFile, digest
from auditor.process import regular_files

_WORDS = {
    "torch._utils._rebuild_meta_tensor_no_storage": "meta tensors",
    "torch._utils._rebuild_nested_tensor": "nested tensors",
    "torch._utils._rebuild_wrapper_subclass": "tensors of a subclass",
    "torch._utils._rebuild_device_tensor_from_numpy": "tensors of another device",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "tensors of another device",
}


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint: of a file, or of a folder.

    Attributes:
        sha256: The digest of the file; of a folder, that of its files' names and digests, as `used_files.digest` says.
        format: `state dict`, `safetensors`, `TorchScript`, `torch.export`, `pickled module` or
            `torch.distributed.checkpoint`.
        tensors: By name, without wrappers and prefixes, in their own types; empty if `module` is given.
        module: The network itself, if the file holds one.
        metadata: Everything else, under one name each: `arch`, `arch_args`, `classes`, `preprocess`, other
            plain values unchanged, `prefix` (the prefix that was removed), `weights` (the keys that led to the
            tensors), `left_out` (the tensors of a loss or a metric), `objects` (the classes and functions that the
            file names and whose objects were left out), `class` (that of a module whose tensors these are) and `lost`
            (why that class can't be imported).
        trusted: Code of the file was run in this process, which the user has allowed.
        sandbox: The measures that hold where a program of the file runs in a process without rights.
        files: The files that were read, where these are more than the one that was named.
        config: What `config.json` says about the network, if it is that of transformers or timm; else None.
        processor: What `preprocessor_config.json` says; else None.
    """

    path: Path
    sha256: str
    bytes: int
    format: str
    tensors: Mapping[str, Tensor]
    module: nn.Module | None
    metadata: Mapping[str, Any]
    trusted: bool = False
    sandbox: tuple[str, ...] = ()
    files: tuple[UsedFile, ...] = ()
    config: Mapping[str, Any] | None = None
    processor: Mapping[str, Any] | None = None


def read(path: Path, *, trust: bool = False, named: bool = False) -> Checkpoint:
    """Read a checkpoint of any format: a file, or the folder of a network.

    A pickle is read without running its code. Only with `trust` is a module that was pickled whole unpickled, or a
    file whose tensors can't be found otherwise.

    Args:
        named: The architecture is given, so that the tensors of a module are enough.

    Raises:
        CheckpointError: It is missing, damaged, of another format, or holds no network.
        UnsafeCheckpoint: Reading it would run code, and `trust` is False.
    """
    where = model_folder.located(path)
    if where.kind == "shards":
        return _of_shards(path, where)
    if where.kind == "distributed":
        return _distributed(path)
    found = _of_file(where.weights, trust=trust, named=named)
    if not where.folder:
        files = (UsedFile(path.name, found.sha256, found.bytes), *where.described) if where.described else ()
        return replace(found, files=files, config=where.config, processor=where.processor)
    weights = UsedFile(where.weights.relative_to(path).as_posix(), found.sha256, found.bytes)
    return _of_files(path, found, (*where.described, weights), where)


def _of_file(path: Path, *, trust: bool, named: bool) -> Checkpoint:
    kind = sniff(path)
    if kind in ("TorchScript", "torch.export"):
        sha256, size = _fingerprint(path)
        module = program.read(path, kind, trust=trust)
        _refuse_exchanged(path, sha256)
        return Checkpoint(path, sha256, size, kind, {}, module, {}, trusted=trust, sandbox=measures(module))
    content = read_content(path)
    file = Checkpoint(path, content.sha256, content.size, kind, {}, None, {})
    if kind == "safetensors":
        with pickled.damage_told(path, what="can't be read as safetensors"):
            saved = safetensors.read(content)
        return _unwrapped(file, saved)
    return _pickled(file, content, trust=trust, named=named)


def _of_shards(path: Path, where: Located) -> Checkpoint:
    joined = shards.read(where.weights)
    file = Checkpoint(where.weights, "", 0, joined.format, {}, None, {})
    with pickled.damage_told(where.weights):
        found = _unwrapped(file, {"state_dict": joined.tensors}, unknown=joined.unknown)
    for content in joined.contents:
        content.release()
    found = replace(found, metadata={**found.metadata, "weights": ""})
    return _of_files(path, found, (*where.described, *joined.files), where)


def _distributed(path: Path) -> Checkpoint:
    saved = distributed_checkpoint.read(path)
    file = Checkpoint(path, "", 0, "torch.distributed.checkpoint", {}, None, {})
    with pickled.damage_told(path):
        found = _unwrapped(file, saved.value)
    for content in saved.contents:
        content.release()
    return _of_files(path, found, saved.files)


def _of_files(path: Path, found: Checkpoint, files: tuple[UsedFile, ...], where: Located | None = None) -> Checkpoint:
    """Return a checkpoint of several files: one digest and the sum of their bytes stand for all."""
    return replace(
        found,
        path=path,
        sha256=digest(files),
        bytes=sum(file.bytes for file in files),
        files=files,
        config=where.config if where else None,
        processor=where.processor if where else None,
    )


def _fingerprint(path: Path) -> tuple[str, int]:
    with regular_files.opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def _refuse_exchanged(path: Path, sha256: str) -> None:
    """Refuse a file that is not the one whose digest the report gives: torch opens it a second time."""
    if _fingerprint(path)[0] != sha256:
        raise CheckpointError(f"{path} changed while it was read; audit it again when it is complete")


def _pickled(file: Checkpoint, content: Content, *, trust: bool, named: bool) -> Checkpoint:
    saved = pickled.load(file.path, content)
    found: Checkpoint | None = None
    try:
        with pickled.damage_told(file.path):
            found = _unwrapped(file, saved.value, unknown=saved.unknown)
    except UnsafeCheckpoint:
        if not trust:
            raise
    if found is not None and (not trust or named or found.format != "pickled module"):
        content.release()
        return found
    return _trusted(file, found)


def _trusted(file: Checkpoint, found: Checkpoint | None) -> Checkpoint:
    """Return what torch unpickles; where only the class of a module is lost, the tensors of the module."""
    try:
        saved = pickled.trusted(file.path)
        _refuse_exchanged(file.path, file.sha256)
        return _unwrapped(replace(file, trusted=True), saved)
    except (ImportError, AttributeError) as error:
        if found is not None:
            return replace(found, trusted=True, metadata={**found.metadata, "lost": first_line(error)})
        raise CheckpointError(
            f"{file.path} needs code that can't be imported: {first_line(error)}; set PYTHONPATH to the folder that "
            "has it, or save `model.state_dict()` there"
        ) from error


def _unwrapped(file: Checkpoint, saved: object, *, unknown: Sequence[str] = ()) -> Checkpoint:
    try:
        contents = unwrap(saved)
    except CheckpointError as error:
        what = f"{file.path} is not a checkpoint of a network: {error}"
        raise (UnsafeCheckpoint(f"{what}; {_unexecuted(unknown)}") if unknown else CheckpointError(what)) from None
    said = metadata.normalised(contents.said)
    said |= {"prefix": contents.prefix, "weights": "" if file.format == "safetensors" else contents.taken}
    said |= {"left_out": contents.left_out} if contents.left_out else {}
    objects = _objects(unknown, contents)
    said |= {"objects": objects} if objects else {}
    said |= {"class": readable(contents.of.name)} if contents.of is not None else {}
    whole = contents.module is not None or contents.of is not None
    kind = "pickled module" if whole else file.format
    return replace(file, format=kind, tensors=contents.tensors, module=contents.module, metadata=said)


def _objects(unknown: Sequence[str], contents: Contents) -> tuple[str, ...]:
    """Return the names of classes and functions whose objects are no part of what is audited."""
    parts = module_state.classes(contents.of) if contents.of is not None else set()
    return tuple(_WORDS.get(name, readable(name)) for name in unknown if name not in parts)


def _unexecuted(unknown: Sequence[str]) -> str:
    """Return what may be why there are no tensors, and what to do."""
    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    return (
        f"its pickle would run code, which was not executed: {', '.join(map(readable, unknown[:3]))}{more}; save "
        "`model.state_dict()` instead, or pass --trust-checkpoint if you trust its author"
    )

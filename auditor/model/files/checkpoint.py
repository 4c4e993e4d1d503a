"""A checkpoint file, read without running any code in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from auditor.errors import CheckpointError, UnsafeCheckpoint
from auditor.model.files import (
    distributed_checkpoint,
    extra_files,
    metadata,
    model_folder,
    module_state,
    packed_weights,
    pickled,
    program,
    safetensors,
    shards,
)
from auditor.model.files.content import Content
from auditor.model.files.content import read as read_content
from auditor.model.files.foreign import objects
from auditor.model.files.format import EXPECTED, first_line, sniff
from auditor.model.files.model_folder import Located
from auditor.model.files.packed_weights import NotPlain
from auditor.model.files.sandboxed import measures
from auditor.model.files.stand_in import StandIn, readable
from auditor.model.files.unwrap import Contents, unwrap
from auditor.model.files.used_files import UsedFile, digest
from auditor.model.files.weight_sets import UNNAMED, NoSuchWeights
from auditor.process import regular_files

LIVE = "live module"
"""The format of a network in the memory of a program."""

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
        format: `state dict`, `safetensors`, `TorchScript`, `torch.export`, `pickled module`,
            `torch.distributed.checkpoint` or `live module`.
        tensors: By name, without wrappers and prefixes, in their own types; empty if `module` is given.
        module: The network itself, if the file holds one.
        metadata: Everything else, under one name each: `arch`, `arch_args`, `classes`, `preprocess`, other
            plain values unchanged, `prefix` (the prefix that was removed), `weights` (the keys that led to the
            tensors), `left_out` (the tensors of a loss or a metric), `objects` (the classes and functions that the
            file names and whose objects were left out), `class` (that of a module whose tensors these are) and `lost`
            (why that class can't be imported), and `origin` (the library that the class is of).
        others: The other sets of weights of the same network, by the names that `--weights` takes.
        unsplit: All tensors, where several sets lie side by side in one dict; a network may really have them all.
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
    others: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    unsplit: Mapping[str, Tensor] = field(default_factory=dict)

    files: tuple[UsedFile, ...] = ()
    config: Mapping[str, Any] | None = None
    processor: Mapping[str, Any] | None = None

    @property
    def is_live(self) -> bool:
        """Whether this stands for a network in memory, and no file was read."""
        return self.format == LIVE

    @property
    def weights(self) -> str:
        """The name of the set of weights that was taken, where the file holds several; "" otherwise."""
        return (self.metadata.get("weights") or UNNAMED) if self.others else ""


def read(path: Path, *, trust: bool = False, named: bool = False, weights: str | None = None) -> Checkpoint:
    """Read a checkpoint of any format: a file, or the folder of a network.

    A pickle is read without running its code. Only with `trust` is a module that was pickled whole unpickled, or a
    file whose tensors can't be found otherwise.

    Args:
        named: The architecture is given, so that the tensors of a module are enough.
        weights: The name of the set of weights to take, where the file holds several; None takes the plain ones.

    Raises:
        CheckpointError: It is missing, damaged, of another format, or holds no network.
        UnsafeCheckpoint: Reading it would run code, and `trust` is False.
    """
    where = model_folder.located(path)
    if where.kind == "shards":
        return _of_shards(path, where, weights)
    if where.kind == "distributed":
        return _distributed(path, weights)
    found = _of_file(where.weights, trust=trust, named=named, weights=weights)
    if not where.folder:
        files = (UsedFile(path.name, found.sha256, found.bytes), *where.described) if where.described else ()
        return replace(found, files=files, config=where.config, processor=where.processor)
    own = UsedFile(where.weights.relative_to(path).as_posix(), found.sha256, found.bytes)
    return _of_files(path, found, (*where.described, own), where)


def _of_file(path: Path, *, trust: bool, named: bool, weights: str | None) -> Checkpoint:
    kind = sniff(path)
    if kind in ("TorchScript", "torch.export"):
        if weights is not None:
            raise CheckpointError(f"{path} is a program ({kind}) with one set of weights; leave out --weights")
        sha256, size = _fingerprint(path)
        module = program.read(path, kind, trust=trust)
        _refuse_exchanged(path, sha256)
        said = metadata.normalised(extra_files.read(path))
        return Checkpoint(path, sha256, size, kind, {}, module, said, trusted=trust, sandbox=measures(module))
    content = read_content(path)
    file = Checkpoint(path, content.sha256, content.size, kind, {}, None, {})
    if kind == "safetensors":
        with pickled.damage_told(path, what="can't be read as safetensors"):
            saved = safetensors.read(content)
        return _unwrapped(file, saved, weights=weights)
    return _pickled(file, content, trust=trust, named=named, weights=weights)


def _of_shards(path: Path, where: Located, weights: str | None) -> Checkpoint:
    joined = shards.read(where.weights)
    file = Checkpoint(where.weights, "", 0, joined.format, {}, None, {})
    with pickled.damage_told(where.weights):
        found = _unwrapped(file, {"state_dict": joined.tensors}, unknown=joined.unknown, weights=weights)
    for content in joined.contents:
        content.release()
    found = replace(found, metadata={**found.metadata, "weights": ""})
    return _of_files(path, found, (*where.described, *joined.files), where)


def _distributed(path: Path, weights: str | None) -> Checkpoint:
    saved = distributed_checkpoint.read(path)
    file = Checkpoint(path, "", 0, "torch.distributed.checkpoint", {}, None, {})
    with pickled.damage_told(path):
        found = _unwrapped(file, saved.value, weights=weights)
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


def _pickled(file: Checkpoint, content: Content, *, trust: bool, named: bool, weights: str | None) -> Checkpoint:
    saved = pickled.load(file.path, content)
    found: Checkpoint | None = None
    try:
        with pickled.damage_told(file.path):
            found = _unwrapped(file, saved.value, unknown=saved.unknown, weights=weights)
    except UnsafeCheckpoint:
        if not trust:
            raise
    if found is not None and (not trust or named or found.format != "pickled module"):
        content.release()
        return found
    return _trusted(file, found, weights)


def _trusted(file: Checkpoint, found: Checkpoint | None, weights: str | None) -> Checkpoint:
    """Return what torch unpickles; where only the class of a module is lost, the tensors of the module."""
    try:
        saved = pickled.trusted(file.path)
        _refuse_exchanged(file.path, file.sha256)
        return _unwrapped(replace(file, trusted=True), saved, weights=weights)
    except (ImportError, AttributeError) as error:
        if found is not None:
            return replace(found, trusted=True, metadata={**found.metadata, "lost": first_line(error)})
        raise CheckpointError(
            f"{file.path} needs code that can't be imported: {first_line(error)}; set PYTHONPATH to the folder that "
            "has it, or save `model.state_dict()` there"
        ) from error


def _unwrapped(
    file: Checkpoint, saved: object, *, unknown: Sequence[str] = (), weights: str | None = None
) -> Checkpoint:
    try:
        contents = unwrap(saved, weights=weights)
        packed_weights.refuse_modules(unknown if contents.of is not None else ())
    except (NoSuchWeights, NotPlain) as error:
        raise CheckpointError(f"{file.path}: {error}") from None
    except CheckpointError as error:
        if (foreign := objects.without_network(saved)) is not None:
            raise CheckpointError(f"{file.path} is {foreign.what}; expected {EXPECTED}; {foreign.way}") from None
        what = f"{file.path} is not a checkpoint of a network: {error}"
        raise (UnsafeCheckpoint(f"{what}; {_unexecuted(unknown)}") if unknown else CheckpointError(what)) from None
    if task := objects.no_classifier(contents.of):
        raise CheckpointError(
            f"{file.path} holds {task}; expected an image classifier, which gives a score for each class"
        )
    said = metadata.normalised({**_attributes(contents.of), **contents.said})
    said |= {"prefix": contents.prefix, "weights": _inside(contents.taken, file.format)}
    said |= {"left_out": contents.left_out} if contents.left_out else {}
    unknown_objects = _objects(unknown, contents)
    said |= {"objects": unknown_objects} if unknown_objects else {}
    said |= {"class": readable(contents.of.name)} if contents.of is not None else {}
    origin = objects.origin(saved, contents.of)
    said |= {"origin": origin} if origin is not None else {}
    whole = contents.module is not None or contents.of is not None
    kind = "pickled module" if whole else file.format
    return replace(
        file,
        format=kind,
        tensors=contents.tensors,
        module=contents.module,
        metadata=said,
        others={_inside(name, kind): tensors for name, tensors in contents.others.items()},
        unsplit=contents.unsplit,
    )


def _attributes(of: StandIn | None) -> dict[str, Any]:
    """Return what a module that was pickled whole keeps as attributes, such as the names of its classes."""
    attributes = of.attributes if of is not None else {}
    return {key: value for key, value in attributes.items() if isinstance(key, str) and not key.startswith("_")}


def _inside(name: str, kind: str) -> str:
    """Return the name of a set of weights; of safetensors without the key under which our reader has all tensors."""
    return name.removeprefix("state_dict").removeprefix(".") if kind == "safetensors" else name


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

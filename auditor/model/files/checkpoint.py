"""A checkpoint file, read without running any code in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from auditor.errors import CheckpointError
from auditor.model.files import metadata, pickled, program
from auditor.model.files.format import sniff
from auditor.model.files.sandboxed import measures
from auditor.model.files.unwrap import unwrap


@dataclass(frozen=True)
class Checkpoint:
    """The contents of a checkpoint file.

    Attributes:
        format: `state dict`, `safetensors`, `TorchScript`, `torch.export` or `pickled module`.
        tensors: By name, without wrappers and prefixes, in their own types; empty if `module` is given.
        module: The network itself, if the file holds one.
        metadata: Everything else, under one name each: `arch`, `arch_args`, `classes`, `preprocess`, other
            plain values unchanged, `prefix` (the prefix that was removed), `weights` (the keys that led to the
            tensors) and `left_out` (the tensors of a loss or a metric).
        trusted: Reading the file runs code in this process, and the user has allowed it.
        sandbox: The measures that hold where a program of the file runs in a process without rights.
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


def read(path: Path, *, trust: bool = False) -> Checkpoint:
    """Read a checkpoint of any format.

    Raises:
        CheckpointError: It is missing, damaged, of another format, or holds no network.
        UnsafeCheckpoint: Reading it would run code, and `trust` is False.
    """
    kind = sniff(path)
    sha256, size = _fingerprint(path)
    if kind in ("TorchScript", "torch.export"):
        module = program.read(path, kind, trust=trust)
        return Checkpoint(path, sha256, size, kind, {}, module, {}, trusted=trust, sandbox=measures(module))
    if kind == "safetensors":
        saved, trusted = _safetensors(path), False
    else:
        saved, trusted = pickled.load(path, trust=trust)
    return _unwrapped(Checkpoint(path, sha256, size, kind, {}, None, {}, trusted), saved)


def _fingerprint(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


def _safetensors(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            said = file.metadata() or {}
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} can't be read as safetensors: {error}; check that it was copied completely"
        ) from error
    return {name: _decoded(text) for name, text in said.items()} | {"state_dict": tensors}


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _unwrapped(file: Checkpoint, saved: object) -> Checkpoint:
    try:
        contents = unwrap(saved)
    except CheckpointError as error:
        raise CheckpointError(f"{file.path} is not a checkpoint of a network: {error}") from None
    said = metadata.normalised(contents.said)
    said |= {"prefix": contents.prefix, "weights": "" if file.format == "safetensors" else contents.taken}
    said |= {"left_out": contents.left_out} if contents.left_out else {}
    kind = "pickled module" if contents.module is not None else file.format
    return Checkpoint(
        file.path, file.sha256, file.bytes, kind, contents.tensors, contents.module, said, trusted=file.trusted
    )

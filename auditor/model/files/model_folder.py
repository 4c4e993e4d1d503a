"""Folders of a network: which of their files has the weights, and which describe the network.

They are those of transformers, of timm, of `torch.distributed.checkpoint`, of DeepSpeed, and of training code that
saves under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from auditor.errors import CheckpointError
from auditor.model.files import distributed_checkpoint, shards
from auditor.model.files.format import EXPECTED, refuse_foreign_folder
from auditor.model.files.used_files import UsedFile, inside, json_file, names_in
from auditor.process import regular_files

CONFIG: Final = "config.json"
_PROCESSORS: Final = ("preprocessor_config.json", "processor_config.json")
_WHOLE: Final = ("model.safetensors", "pytorch_model.bin")
_WEIGHTS: Final = tuple(name + ending for name in _WHOLE for ending in ("", shards.INDEX))
_SUFFIXES: Final = {".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pt2", ".h5", ".msgpack", ".onnx", ".tar", ".pkl"}
_TO_FP32: Final = "zero_to_fp32.py"
_STATES: Final = "_model_states.pt"


@dataclass(frozen=True)
class Located:
    """Where the parts of a checkpoint lie.

    Attributes:
        kind: Whether the weights are in one file, in the shards of an index, or in a distributed checkpoint.
        weights: The file, the index or the folder.
        config: What `config.json` says, if it is that of transformers or of timm.
        processor: What `preprocessor_config.json` says.
        described: The two files, where they were read.
        folder: Whether the checkpoint is a folder, and not a file of the user's choice.
    """

    kind: Literal["file", "shards", "distributed"]
    weights: Path
    config: Mapping[str, Any] | None = None
    processor: Mapping[str, Any] | None = None
    described: tuple[UsedFile, ...] = ()
    folder: bool = False


def located(path: Path) -> Located:
    """Return where the parts of a checkpoint lie.

    Raises:
        CheckpointError: The file is a part of something larger, or the folder is not one of a network.
    """
    if path.is_dir():
        return _of_folder(path)
    if path.name.endswith(shards.INDEX):
        return _described(Located("shards", path, folder=True), path.parent)
    if path.suffix == ".distcp" or (path.name == distributed_checkpoint.METADATA and path.is_file()):
        raise CheckpointError(f"{path} is a part of a torch.distributed.checkpoint: give the folder ({path.parent})")
    if path.name.startswith("zero_pp_rank_"):
        raise CheckpointError(f"{path} is a part of a DeepSpeed checkpoint: {_converted(path.parent)}")
    shards.refuse_lone(path)
    return _described(Located("file", path), path.parent)


def is_of_timm(config: Mapping[str, Any]) -> bool:
    """Return whether a `config.json` is that of a timm network, which transformers may have wrapped."""
    return isinstance(config.get("architecture"), str) and isinstance(config.get("pretrained_cfg"), dict)


def _of_folder(folder: Path) -> Located:
    names = set(names_in(folder))
    if distributed_checkpoint.METADATA in names or any(name.endswith(".distcp") for name in names):
        return Located("distributed", folder, folder=True)
    if weights := _weights(folder, names):
        kind: Literal["file", "shards"] = "shards" if weights.name.endswith(shards.INDEX) else "file"
        return _described(Located(kind, weights, folder=True), folder)
    if "latest" in names or _TO_FP32 in names or any(name.endswith(_STATES) for name in names):
        return Located("file", _of_deepspeed(folder, names), folder=True)
    refuse_foreign_folder(folder)
    raise CheckpointError(_unknown(folder, names))


def _weights(folder: Path, names: set[str]) -> Path | None:
    """Return the file with the weights, or their index; safetensors is preferred to pickles."""
    usual = [name for name in _WEIGHTS if name in names]
    indices = [name for name in sorted(names) if name.endswith(shards.INDEX)]
    found = usual[:1] or (indices if len(indices) == 1 else [])
    return inside(folder, found[0]) if found else None


def _described(where: Located, folder: Path) -> Located:
    """Return the place together with what `config.json` and `preprocessor_config.json` say.

    Beside a file of the user's choice, a `config.json` of something else is no concern.
    """
    try:
        config, own = json_file(folder, CONFIG) if (folder / CONFIG).exists() else ({}, None)
        known = _is_of_transformers(config) or is_of_timm(config)
        name = next((name for name in _PROCESSORS if known and (folder / name).exists()), None)
        processor, other = json_file(folder, name) if name else (None, None)
    except CheckpointError:
        if where.folder or where.weights.name in _WHOLE:
            raise
        return where
    if processor and isinstance(inner := processor.get("image_processor"), dict):
        processor = inner
    files = tuple(file for file in (own, other) if file is not None) if known else ()
    return Located(where.kind, where.weights, config if known else None, processor, files, where.folder)


def _is_of_transformers(config: Mapping[str, Any]) -> bool:
    return isinstance(config.get("model_type"), str) or isinstance(config.get("architectures"), list)


def _of_deepspeed(folder: Path, names: set[str]) -> Path:
    """Return the file with the whole weights of a DeepSpeed checkpoint.

    Raises:
        CheckpointError: The weights are spread over several files.
    """
    states = folder
    if "latest" in names:
        states = inside(folder, _latest(inside(folder, "latest")), named_in="latest")
    if not states.is_dir():
        raise CheckpointError(f"{folder} is a DeepSpeed checkpoint without its folder {states.name!r}; copy it again")
    models = [name for name in names_in(states) if name.endswith(_STATES)]
    if models != [f"mp_rank_00{_STATES}"]:
        raise CheckpointError(
            f"{folder} is a DeepSpeed checkpoint with weights spread over {len(models)} files: {_converted(folder)}"
        )
    return inside(states, models[0])


def _latest(path: Path) -> str:
    try:
        return regular_files.content(path, most=1000).decode("utf-8", "replace").strip()
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror}") from error


def _converted(folder: Path) -> str:
    return f"join them with `python {_TO_FP32} {folder} FOLDER`, which DeepSpeed wrote beside them, and audit FOLDER"


def _unknown(folder: Path, names: set[str]) -> str:
    """Return what a folder holds that is not one of a network."""
    if "adapter_config.json" in names:
        return (
            f"{folder} is a folder with an adapter (LoRA), without the network that it changes: save the network after "
            "`merge_and_unload()`"
        )
    weights = [name for name in sorted(names) if Path(name).suffix.lower() in _SUFFIXES]
    inner = [name for name in sorted(names) if (folder / name).is_dir() and _is_model(folder / name)]
    listed = [repr(name) for name in (*weights, *inner)]
    more = f" and {len(listed) - 6} more" if len(listed) > 6 else ""
    if listed:
        return f"{folder} is a folder; did you mean one of these in it: {', '.join(listed[:6])}{more}?"
    expected = f"config.json with {_WHOLE[0]} or {_WHOLE[1]}"
    return f"{folder} is a folder without weights; expected a folder with {expected}, or a file: {EXPECTED}"


def _is_model(folder: Path) -> bool:
    try:
        names = set(names_in(folder))
    except CheckpointError:
        return False
    return bool(names & {*_WEIGHTS, distributed_checkpoint.METADATA})

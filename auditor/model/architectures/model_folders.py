"""What the files beside the weights say: the network, its preprocessing and its class names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from auditor.errors import ArchitectureError, CheckpointError
from auditor.model import declared_preprocessing
from auditor.model.architectures import builders, image_processors, pretrained
from auditor.model.architectures.builders import Builder
from auditor.model.files import metadata
from auditor.model.files.checkpoint import Checkpoint
from auditor.model.files.declared_classes import class_names
from auditor.model.files.model_folder import CONFIG, is_of_timm

_PLACEHOLDER = re.compile(r"LABEL_\d+")
_PROCESSOR = "preprocessor_config.json"


def described(checkpoint: Checkpoint) -> Checkpoint:
    """Return a checkpoint whose metadata has the class names and the preprocessing of the files beside the weights.

    Names and preprocessing in the weights themselves are kept where the files have none. A preprocessing that can't
    be expressed is a `preprocess_problem`.
    """
    config = checkpoint.config
    if config is None:
        return checkpoint
    timm = is_of_timm(config)
    said = _of_timm(config) if timm else _of_transformers(config, checkpoint)
    found = {key: value for key, value in said.items() if value}
    return replace(checkpoint, metadata={**checkpoint.metadata, **found})


def builder(checkpoint: Checkpoint) -> tuple[Builder, dict[str, Any]]:
    """Return the builder of the network that `config.json` describes, and its arguments.

    Raises:
        ArchitectureError: Its library is missing, or does not have the network.
    """
    config = checkpoint.config or {}
    where = _where(checkpoint)
    if not is_of_timm(config):
        return pretrained.builder(config, checkpoint.tensors, where=where), {}
    name = str(config["architecture"])[:200]
    try:
        found = builders.timm_builder(name)
    except ArchitectureError as error:
        raise ArchitectureError(f"{where} describes a network of timm: {error}") from error
    said = metadata.arguments(config.get("model_args")) or {}
    classes = config.get("num_classes")
    said |= {"num_classes": classes} if isinstance(classes, int) and 0 <= classes <= metadata.LARGEST_ARGUMENT else {}
    return found, builders.harmless(said)


def _where(checkpoint: Checkpoint) -> str:
    folder = checkpoint.path if checkpoint.path.is_dir() else checkpoint.path.parent
    return str(folder / CONFIG)


def _of_timm(config: Mapping[str, Any]) -> dict[str, Any]:
    pretrained_cfg = config["pretrained_cfg"]
    names = config.get("label_names") or pretrained_cfg.get("label_names")
    return {
        "classes": class_names(names),
        "preprocess": declared_preprocessing.of_timm(pretrained_cfg),
        "preprocess_source": CONFIG,
    }


def problem_type(checkpoint: Checkpoint) -> str:
    """Return the `problem_type` of the configuration of transformers; empty if it says none."""
    said = (checkpoint.config or {}).get("problem_type")
    return said if isinstance(said, str) else ""


def _of_transformers(config: Mapping[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "classes": _names(config.get("id2label")),
        "problem_type": problem_type(checkpoint) or None,
        **_preprocessing(config, checkpoint),
    }


def _names(said: Any) -> tuple[str, ...] | None:
    """Return the class names; transformers writes `LABEL_0` where it was given none."""
    names = class_names(said)
    return None if names and all(map(_PLACEHOLDER.fullmatch, names)) else names


def _preprocessing(config: Mapping[str, Any], checkpoint: Checkpoint) -> dict[str, Any]:
    channels = config.get("num_channels")
    channels = channels if isinstance(channels, int) and 0 < channels <= 1000 else 3
    if checkpoint.processor is None:
        size = _image_size(config)
        said = {"crop": size, "color": "gray" if channels == 1 else "rgb"} if size else None
        return {"preprocess": said, "preprocess_source": CONFIG, "preprocess_uncertain": said is not None}
    where = str((checkpoint.path if checkpoint.path.is_dir() else checkpoint.path.parent) / _PROCESSOR)
    try:
        kind = str(config.get("model_type"))
        said = image_processors.preprocessing(checkpoint.processor, model_type=kind, channels=channels, where=where)
    except CheckpointError as error:
        return {"preprocess_problem": str(error)}
    return {"preprocess": said, "preprocess_source": _PROCESSOR}


def _image_size(config: Mapping[str, Any]) -> int | list[int] | None:
    inner = config.get("vision_config")
    size = config.get("image_size") or (inner.get("image_size") if isinstance(inner, dict) else None)
    if isinstance(size, list):
        return size if len(size) == 2 and all(isinstance(side, int) for side in size) else None
    return size if isinstance(size, int) else None

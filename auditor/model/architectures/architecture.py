"""The network of a checkpoint, filled with its weights and frozen."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from torch import Tensor, nn

from auditor.errors import ArchitectureError
from auditor.language import _, marked, some
from auditor.model import declared_preprocessing
from auditor.model.architectures import builders, inference, lost_class, model_folders, naming
from auditor.model.architectures.builders import Schemes
from auditor.model.architectures.coverage import Coverage, fill
from auditor.model.architectures.inference import Match
from auditor.model.files.checkpoint import Checkpoint
from auditor.model.frozen import frozen
from auditor.process.torchvision import torchvision

__all__ = ["Architecture", "Coverage", "build"]

LARGEST_DECLARED: Final = 2_000_000_000
"""Elements of a network that is built because a checkpoint declares it: the largest of torchvision has 0.6 billion."""


@dataclass(frozen=True)
class Architecture:
    """The network that is audited.

    Attributes:
        source: Its library, and how it was found.
        module: The network with the checkpoint's weights: on the CPU, in float32 (half precision is converted), in
            eval mode, without gradients for its parameters.
        classes: The names in the checkpoint; without any, those of the library's weights if the head has as many
            outputs.
        preprocess: Keys of `[preprocess]`, None if neither the checkpoint nor the library has any.
        preprocess_certain: False if the library has several weights with different preprocessing, and the
            checkpoint is none of them.
        all_sets: The network itself has all sets of weights of the file as its parts, such as student and teacher.
        preprocess_problem: Why the declared preprocessing can't be followed; empty if it can.
    """

    name: str
    source: str
    module: nn.Module
    coverage: Coverage
    classes: tuple[str, ...] | None = None
    preprocess: Mapping[str, Any] | None = None
    preprocess_source: str = ""
    preprocess_certain: bool = True
    all_sets: bool = False
    preprocess_problem: str = ""


@dataclass(frozen=True)
class _Declared:
    """The preprocessing and the classes that a library declares for its weights."""

    preprocess: Mapping[str, Any] | None = None
    source: str = ""
    certain: bool = True
    classes: tuple[str, ...] | None = None


def build(
    checkpoint: Checkpoint,
    arch: str | None = None,
    *,
    arch_args: Mapping[str, Any] | None = None,
    schemes: Schemes | None = None,
) -> Architecture:
    """Build the network of a checkpoint and load the tensors that fit.

    If the file holds a network, that network is used, unless `arch` names another one for its weights.

    Args:
        arch: The value of `--arch`; None uses `config.json`, the checkpoint's metadata, then its names and shapes.
        arch_args: Arguments of the builder; they take precedence over those in the checkpoint.
        schemes: The builders of plugins by scheme.

    Raises:
        ArchitectureError: There is no such builder, it fails, or no known network fits.
    """
    given = dict(arch_args or {})
    checkpoint = model_folders.described(checkpoint)
    if arch is None and checkpoint.module is not None:
        return _itself(checkpoint, checkpoint.module)
    tensors = checkpoint.tensors if checkpoint.module is None else _state(checkpoint.module)
    match = _named(arch, tensors, given, schemes or {}, checkpoint) if arch is not None else _found(checkpoint, given)
    match = _with_changes(_with_input_scaling(match, checkpoint.sha256))
    module = match.builder(match.arguments)
    prefix = checkpoint.metadata.get("prefix", "")
    whole = bool(checkpoint.unsplit) and naming.fits_better(module, checkpoint.unsplit, tensors, prefix=prefix)
    coverage = fill(module, checkpoint.unsplit if whole else tensors, prefix=prefix)
    return replace(_architecture(checkpoint, match, frozen(module), coverage), all_sets=whole)


def _itself(checkpoint: Checkpoint, module: nn.Module) -> Architecture:
    name = getattr(module, "original_name", "") or type(module).__name__
    if checkpoint.format == "torch.export":
        name = checkpoint.path.stem
    said = checkpoint.metadata.get("preprocess")
    source = marked("checkpoint metadata") if said else ""
    classes = checkpoint.metadata.get("classes")
    return Architecture(name, checkpoint.format, frozen(module), Coverage(), classes, said, source)


def _state(module: nn.Module) -> dict[str, Tensor]:
    state = {key: value for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    return {key.removeprefix("program."): value for key, value in state.items()}


def _named(
    arch: str, tensors: Mapping[str, Tensor], given: dict[str, Any], schemes: Schemes, checkpoint: Checkpoint
) -> Match:
    builder = builders.named(arch, schemes)
    if not builder.library:
        return Match(builder, given)
    return inference.compare(builder, tensors, prefix=checkpoint.metadata.get("prefix", ""), given=given)


def _found(checkpoint: Checkpoint, given: dict[str, Any]) -> Match:
    """Return the network that the metadata names; if it is unknown or does not fit, the one inferred from tensors."""
    prefix = checkpoint.metadata.get("prefix", "")
    if checkpoint.config is not None:
        return _described(checkpoint, given)
    recorded = _recorded(checkpoint, given)
    if recorded and not recorded[0].differing:
        return _named_by_checkpoint(recorded[0])
    try:
        match = inference.infer(checkpoint.tensors, prefix=prefix)
    except ArchitectureError as error:
        if recorded:
            return _named_by_checkpoint(recorded[0])
        if kind := checkpoint.metadata.get("class"):
            raise ArchitectureError(lost_class.advice(kind, checkpoint)) from None
        name = checkpoint.metadata.get("arch")
        raise ArchitectureError(f"{error} (the checkpoint itself names {name!r})" if name else str(error)) from None
    if given:
        plain = replace(match.builder, changes=())
        match = inference.compare(plain, checkpoint.tensors, prefix=prefix, given=given)
    return _with_source(match, _("{source} (inferred from the checkpoint's keys)", source=match.builder.source))


def _described(checkpoint: Checkpoint, given: dict[str, Any]) -> Match:
    """Return the network that `config.json` describes, whether or not the tensors fit it."""
    builder, said = model_folders.builder(checkpoint)
    match = Match(builder, said | given)
    if builder.library == "timm":
        prefix = checkpoint.metadata.get("prefix", "")
        match = inference.compare(builder, checkpoint.tensors, prefix=prefix, given=said | given)
    if match.elements > LARGEST_DECLARED:
        raise ArchitectureError(f"config.json describes a network of {match.elements:,} elements; expected fewer")
    return _with_source(match, _("{source} (described by config.json)", source=builder.source))


def _recorded(checkpoint: Checkpoint, given: dict[str, Any]) -> list[Match]:
    name = checkpoint.metadata.get("arch")
    said = builders.harmless(checkpoint.metadata.get("arch_args", {}))
    prefix = checkpoint.metadata.get("prefix", "")
    matches = []
    for builder in builders.recorded(name) if name else []:
        try:
            matches.append(inference.compare(builder, checkpoint.tensors, prefix=prefix, given=said | given))
        except ArchitectureError:
            continue  # the recorded arguments belong to another library's builder
    return sorted((m for m in matches if m.elements <= LARGEST_DECLARED), key=lambda m: m.differing)


def _with_input_scaling(match: Match, sha256: str) -> Match:
    """Set whether GoogLeNet and Inception scale their input, which their tensors do not show.

    torchvision's own weights need it; for other weights only their author knows.
    """
    builder = match.builder
    scales = builder.library == "torchvision" and builder.name in inference.AUXILIARY
    if not scales or "transform_input" in match.arguments:
        return match
    if any(_is_published_as(w.url, sha256) for w in torchvision.models.get_model_weights(builder.name)):
        return replace(match, arguments={**match.arguments, "transform_input": True})
    source = _(
        "{source}, without input scaling; fine-tuned torchvision weights need --arch-arg transform_input=true",
        source=builder.source,
    )
    return _with_source(match, source)


def _with_changes(match: Match) -> Match:
    """Say in the source what was changed in the network so that the tensors fit."""
    if not match.adapted.words:
        return match
    words = some(match.adapted.words)
    return _with_source(match, _("{source}, changed: {words}", source=match.builder.source, words=words))


def _named_by_checkpoint(match: Match) -> Match:
    return _with_source(match, _("{source} (named by the checkpoint)", source=match.builder.source))


def _with_source(match: Match, source: str) -> Match:
    return replace(match, builder=replace(match.builder, source=source))


def _architecture(checkpoint: Checkpoint, match: Match, module: nn.Module, coverage: Coverage) -> Architecture:
    declared = _adapted(_declared(match, module, checkpoint.sha256), match)
    classes = _class_names(checkpoint, match, declared)
    said = checkpoint.metadata.get("preprocess")
    if said:
        source = checkpoint.metadata.get("preprocess_source") or marked("checkpoint metadata")
        declared = _Declared(said, source, not checkpoint.metadata.get("preprocess_uncertain"))
    return Architecture(
        name=match.builder.name,
        source=match.builder.source,
        module=module,
        coverage=coverage,
        classes=classes,
        preprocess=declared.preprocess,
        preprocess_source=declared.source,
        preprocess_certain=declared.certain,
        preprocess_problem=checkpoint.metadata.get("preprocess_problem", ""),
    )


def _adapted(declared: _Declared, match: Match) -> _Declared:
    """Return the preprocessing for another number of channels or another size; that of the library is a guess then."""
    if match.adapted.channels or declared.preprocess is None:
        return replace(declared, preprocess=None, source="") if match.adapted.channels else declared
    if not match.adapted.side:
        return declared
    side = match.adapted.side
    sized = {**declared.preprocess, "resize": [side, side], "crop": [side, side]}
    return replace(declared, preprocess=sized, certain=False)


def _class_names(checkpoint: Checkpoint, match: Match, declared: _Declared) -> tuple[str, ...] | None:
    said: tuple[str, ...] | None = checkpoint.metadata.get("classes")
    if said or declared.classes is None:
        return said
    outputs = match.arguments.get("num_classes", len(declared.classes))
    return declared.classes if outputs == len(declared.classes) else None


def _declared(match: Match, module: nn.Module, sha256: str) -> _Declared:
    """Return what the library declares, for the size and the channels with which the network was built."""
    builder, found = match.builder, _Declared()
    if builder.library == "torchvision":
        found = _of_torchvision(builder.name, sha256)
    if builder.library == "timm":
        found = _of_timm(builder.name, module)
    if found.preprocess is None:
        return found
    said = declared_preprocessing.at_size(found.preprocess, match.arguments)
    return replace(found, preprocess=said, certain=found.certain and len(said["mean"]) == len(found.preprocess["mean"]))


def _of_torchvision(name: str, sha256: str) -> _Declared:
    """Return what torchvision declares for these weights, found by the hash in their URL; else for IMAGENET1K_V1."""
    every = list(torchvision.models.get_model_weights(name))
    same = [w for w in every if _is_published_as(w.url, sha256)]
    plausible = next((w for w in every if w.name == "IMAGENET1K_V1"), every[0])
    chosen = same[0] if same else plausible
    recipes = [declared_preprocessing.of_torchvision(w.transforms()) for w in every]
    certain = bool(same) or all(r == recipes[0] for r in recipes)
    described = declared_preprocessing.of_torchvision(chosen.transforms())
    return _Declared(described, f"torchvision {chosen}", certain, tuple(chosen.meta["categories"]))


def _is_published_as(url: str, sha256: str) -> bool:
    published = re.search(r"-([0-9a-f]{8,})\.\w+$", url)
    return published is not None and sha256.startswith(published[1])


def _of_timm(name: str, module: nn.Module) -> _Declared:
    timm = importlib.import_module("timm")
    data = importlib.import_module("timm.data")
    described = declared_preprocessing.of_timm(data.resolve_data_config({}, model=module))
    if described is None:
        return _Declared()
    tags = timm.list_pretrained(f"{name.partition('.')[0]}.*") if "." not in name else []
    others = [declared_preprocessing.of_timm(timm.get_pretrained_cfg(tag).to_dict()) for tag in tags]
    return _Declared(described, "timm pretrained_cfg", all(other == described for other in others))

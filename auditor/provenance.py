"""What was audited, with what, and how."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

import torch

from auditor.collectors import ChannelStatistics, Collector
from auditor.collectors.image_predictions import ImagePredictions
from auditor.config.settings import Settings
from auditor.context import Context
from auditor.language import current
from auditor.model.network import Network
from auditor.results import (
    Answer,
    ArchitectureFacts,
    CheckpointFacts,
    DataFacts,
    FileFacts,
    LayerFacts,
    Provenance,
    Recorded,
)

_PACKAGES = ("torch", "torchvision", "numpy", "pillow", "weasyprint")


def provenance(
    context: Context,
    settings: Settings,
    started: str,
    *,
    unreadable: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
) -> Provenance:
    """Return the facts about an audit.

    Args:
        started: When it began, ISO 8601.
        unreadable: Files that can't be read, with the reason.
        notes: Sentences about what was done otherwise than asked.
    """
    file, network = context.checkpoint, context.network
    checkpoint = CheckpointFacts(
        file.path.name or file.path.resolve().name,
        file.sha256,
        file.bytes,
        file.format,
        context.architecture.coverage.loaded,
        trusted=file.trusted,
        sandbox=file.sandbox,
        weights=file.weights,
        others=tuple(file.others),
        files=tuple(FileFacts(used.name, used.sha256, used.bytes) for used in file.files),
    )
    architecture = ArchitectureFacts(
        context.architecture.name,
        context.architecture.source,
        network.parameters,
        _layers(network),
        str(network.output),
    )
    return Provenance(
        checkpoint,
        architecture,
        _data(context, settings, tuple(sorted({*context.unreadable, *unreadable}))),
        {**context.preprocess.settings(), "source": context.preprocess.source, "assumed": context.preprocess.assumed},
        _device(network.device),
        settings.seed,
        _settings(settings),
        _versions(),
        started,
        tuple(dict.fromkeys(note for note in (context.misnamed, *notes) if note)),
        current().name,
    )


def _layers(network: Network) -> tuple[LayerFacts, ...]:
    fields = network.receptive_fields
    return tuple(layer.facts(fields[layer.name].facts() if layer.name in fields else None) for layer in network.layers)


def _data(context: Context, settings: Settings, unreadable: Sequence[tuple[str, str]]) -> DataFacts:
    images = context.images
    if images is None:
        return DataFacts(0, context.classes, task=context.task.name, task_source=context.task.reason)
    return DataFacts(
        len(images) - len(unreadable),
        context.classes,
        tuple(unreadable),
        images.listing.fingerprint,
        settings.data or "",
        images.labels.known > 0,
        context.task.name,
        context.task.reason,
    )


def _device(device: torch.device) -> str:
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"


def _settings(settings: Settings) -> Mapping[str, Any]:
    """Return the settings that affect the findings, and the branding of the report."""
    chosen: dict[str, Any] = {
        "amp": settings.amp,
        "arch": settings.arch,
        "arch_args": dict(settings.arch_args),
        "batch_size": settings.batch_size,
        "checks": list(settings.checks),
        "classes": settings.classes and settings.classes.name,
        "expression": settings.expression,
        "junit_warnings": settings.junit_warnings if settings.junit_warnings != "passed" else None,
        "levels": dict(settings.levels),
        "loaded": list(settings.loaded),
        "plugins": list(settings.plugins),
        "output": settings.output,
        "options": {check: dict(options) for check, options in settings.options.items()},
        "report": settings.report.as_settings(),
        "root": settings.root and settings.root.name,
        "samples": settings.samples,
        "split": settings.split,
        "strict": settings.strict,
        "run_blocked": settings.run_blocked,
        "threads": settings.threads,
        "weights": settings.weights,
        "within": settings.within or None,
    }
    return {name: value for name, value in chosen.items() if value not in (None, "", False, [], {})}


def _versions() -> dict[str, str]:
    import auditor

    versions = {"auditor": auditor.__version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


_DIGEST = 12  # hexadecimal digits: in a million images two digests are equal in 1 of 500 data sets


def recorded(context: Context, predictions: ImagePredictions, collectors: Iterable[Collector]) -> Recorded:
    """Return the prediction for each image, and the channels that are dead on all images."""
    return Recorded(tuple(_answers(context, predictions)), _dead(collectors))


def _answers(context: Context, predictions: ImagePredictions) -> Iterable[Answer]:
    if context.images is None:
        return
    listing = context.images.listing
    for place, label, predicted, confidence in predictions.rows:
        index = int(place)
        yield Answer(
            listing.names[index],
            listing.digests[index][:_DIGEST],
            int(label) if label >= 0 else None,
            int(predicted) if predicted >= 0 else None,
            round(float(confidence), 6),
        )


def _dead(collectors: Iterable[Collector]) -> dict[str, tuple[int, ...]]:
    return {
        layer.name: tuple(seen.dead(layer).tolist())
        for seen in collectors
        if isinstance(seen, ChannelStatistics) and seen.images
        for layer in seen.layers
        if layer.rectified and not layer.linear
    }

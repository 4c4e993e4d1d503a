"""Load what the settings name into the context that every check shares: network, images, preprocessing, labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from auditor.config.settings import Settings
from auditor.context import Context
from auditor.data import dataset
from auditor.data.dataset import ImageData
from auditor.data.preprocessing import IMAGENET, Preprocess, preset
from auditor.data.sampling import spread
from auditor.errors import CheckpointError, DataError, UsageError
from auditor.language import marked
from auditor.model.architectures import architecture
from auditor.model.architectures.architecture import Architecture
from auditor.model.files import checkpoint
from auditor.model.network import Network, device_named
from auditor.process.torchvision import torchvision

Schemes = Mapping[str, Callable[..., Any]]


def assemble(settings: Settings, *, architectures: Schemes, sources: Schemes) -> Context:
    """Load everything that the settings name.

    Args:
        architectures, sources: The schemes that plugins add for `--arch scheme:...` and `--data scheme:...`.

    Raises:
        AuditorError: A file can't be read, or the files don't fit together.
    """
    device = device_named(settings.device)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    listing = dataset.listing(settings.data, schemes=sources, split=settings.split) if settings.data else None
    file = checkpoint.read(settings.checkpoint, trust=settings.trust_checkpoint, named=settings.arch is not None)
    built = architecture.build(file, settings.arch, arch_args=settings.arch_args, schemes=architectures)
    preprocess = preprocessing(settings, built)
    network = Network.of(built.module, preprocess.input_shape, device, amp=settings.amp)
    names, named = class_names(settings, built, network.outputs)
    fitted = dataset.fit(listing, outputs=network.outputs, names=names if named else None) if listing else None
    images = ImageData(listing, fitted, preprocess) if listing and fitted else None
    chosen, unreadable = explained(images, settings) if images else ((), ())
    return Context(
        network=network,
        checkpoint=file,
        architecture=built,
        preprocess=preprocess,
        classes=tuple(fitted.classes) if fitted else names,
        named=named or (fitted is not None and fitted.names_source != "numbers"),
        seed=settings.seed,
        images=images,
        data_problem=fitted.problem if fitted else "",
        chosen=chosen,
        unreadable=unreadable,
        batch_size=min(8, settings.batch_size or 8),
    )


def preprocessing(settings: Settings, built: Architecture) -> Preprocess:
    """Return the preprocessing of the settings; without one the network's own, or else ImageNet's."""
    asked = settings.preprocess
    if isinstance(asked, str):
        return preset(asked)
    if asked is not None:
        return Preprocess.of(asked, source=marked("configuration"))
    if built.preprocess is not None:
        return _declared(built.preprocess, built)
    if _channels(built.module) == 1:
        return replace(Preprocess.of({"color": "gray"}), source=marked("ImageNet's, in grey"), assumed=True)
    return replace(IMAGENET, assumed=True)


def _declared(said: Mapping[str, Any], built: Architecture) -> Preprocess:
    """Return the preprocessing that the checkpoint or the library declares.

    Raises:
        CheckpointError: It is impossible.
    """
    try:
        return Preprocess.of(said, source=built.preprocess_source, assumed=not built.preprocess_certain)
    except UsageError as error:
        raise CheckpointError(
            f"the checkpoint declares an impossible preprocessing: {error}; give --preprocess"
        ) from None


def _channels(module: nn.Module) -> int:
    """Return 1 if the first kernels take one channel and no kernels take three, as for colour images; else 3."""
    channels = [p.shape[1] for p in module.parameters() if p.ndim == 4]
    return 1 if channels and channels[0] == 1 and 3 not in channels else 3


def class_names(settings: Settings, built: Architecture, outputs: int) -> tuple[tuple[str, ...], bool]:
    """Return a name for each output, and whether the names are more than numbers.

    Raises:
        DataError: `--classes` names more or fewer classes than the network has.
    """
    if settings.classes:
        names = dataset.class_names(settings.classes)
        if len(names) != outputs:
            raise DataError(
                f"{settings.classes} names {len(names)} classes, but the network has {outputs} outputs; "
                "give one name for each output, in the same order"
            )
        return names, True
    if built.classes and len(built.classes) == outputs:
        return built.classes, True
    if outputs == 1000:
        return _imagenet_classes(), True
    return tuple(str(i) for i in range(outputs)), False


def explained(images: ImageData, settings: Settings) -> tuple[tuple[int, ...], tuple[tuple[str, str], ...]]:
    """Return the images to explain, as indices: readable, spread over the classes, at most `settings.samples`.

    The second value has the files that were tried and can't be read, with the reason.

    Raises:
        DataError: None of the files is a readable image.
    """
    usable, unreadable = list(range(len(images))), dict[str, str]()
    while usable:
        labels = [images.labels.indices[i] for i in usable]
        chosen = [usable[place] for place in spread(labels, settings.samples, settings.seed)]
        broken = {i: tried.reason for i in chosen if (tried := images[i]).tensor is None}
        if not broken:
            return tuple(chosen), tuple(sorted(unreadable.items()))
        unreadable |= {images.listing.names[i]: reason for i, reason in broken.items()}
        usable = [i for i in usable if i not in broken]
    raise DataError(f"none of the {len(images)} files in {settings.data} is a readable image")


def _imagenet_classes() -> tuple[str, ...]:
    return tuple(torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"])

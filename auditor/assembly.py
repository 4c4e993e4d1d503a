"""Load what the settings name into the context that every check shares: network, images, preprocessing, labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from auditor.config.settings import Settings
from auditor.context import Context
from auditor.data import dataset, label_sets
from auditor.data.dataset import ImageData, Labels, Listing
from auditor.data.decoding.stored import MAX_BANDS
from auditor.data.label_sets import LabelLists
from auditor.data.loaders import Loaded
from auditor.data.preprocessing import IMAGENET, Preprocess, preset
from auditor.data.sampling import spread
from auditor.data.task import Task, decided
from auditor.errors import CheckpointError, DataError, UsageError
from auditor.language import _, chained, many, marked, short
from auditor.model import live_module
from auditor.model.architectures import architecture
from auditor.model.architectures.architecture import Architecture
from auditor.model.architectures.model_folders import problem_type
from auditor.model.files import checkpoint
from auditor.model.files.checkpoint import Checkpoint
from auditor.model.network import Network, device_named
from auditor.process.torchvision import torchvision

Schemes = Mapping[str, Callable[..., Any]]

_WHITE = 0.99  # the quantile of an image that is white
_DARK = 0.5  # of full intensity: pictures of brighter images are shown as they are


@dataclass(frozen=True, slots=True)
class Given:
    """What a program gives itself, and the settings do not name.

    Attributes:
        module: A live network in place of a checkpoint.
        loaded: The images of a loader in place of files.
        classes: The class names in place of a file of them.
    """

    module: nn.Module | None = None
    loaded: Loaded | None = None
    classes: tuple[str, ...] = ()


NOTHING = Given()


def assemble(settings: Settings, *, architectures: Schemes, sources: Schemes, given: Given = NOTHING) -> Context:
    """Load everything that the settings name.

    Args:
        architectures, sources: The schemes that plugins add for `--arch scheme:...` and `--data scheme:...`.
        given: What a program gives, which is taken in place of what the settings name.

    Raises:
        AuditorError: A file can't be read, or the files don't fit together.
    """
    device = device_named(settings.device)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    listing = given.loaded.listing if given.loaded else listed(settings, sources) if settings.data else None
    file, built = _network(settings, architectures, given.module)
    applied = given.loaded.preprocess(settings.preprocess) if given.loaded else None
    preprocess = applied or preprocessing(settings, built)
    asked = given.classes or (dataset.class_names(settings.classes) if settings.classes else ())
    network = Network.of(
        built.module,
        preprocess.input_shape,
        device,
        amp=settings.amp,
        output=settings.output,
        classes=_expected(asked, built, listing),
    )
    lists = file.metadata.get("class_lists", ())
    names, named = class_names(asked, built, network.outputs, lists, source=str(settings.classes or "classes"))
    found = label_sets.read(listing, outputs=network.outputs, names=names if named else None) if listing else None
    outputs = 1 if network.single else network.outputs
    task = decided(
        settings.task,
        outputs=outputs,
        ending=network.ending.value,
        several=found.example if found else "",
        declared=problem_type(file),
    )
    fitted = _labels(found, task, network.outputs) if found else None
    images = ImageData(listing, fitted, preprocess) if listing and fitted else None
    chosen, unreadable = explained(images, settings) if images else ((), ())
    if images and not preprocess.applied:
        preprocess = images.preprocess = replace(preprocess, white=brightest(images, chosen))
    return Context(
        network=network,
        checkpoint=file,
        architecture=built,
        preprocess=preprocess,
        classes=tuple(fitted.classes) if fitted else names,
        named=named or (fitted is not None and fitted.names_source != "numbers"),
        seed=settings.seed,
        images=images,
        task=task,
        data_problem=fitted.problem if fitted else "",
        chosen=chosen,
        unreadable=unreadable,
        misnamed="" if asked else misnamed(file, network.outputs, _source(fitted, named=named)),
        batch_size=min(8, settings.batch_size or 8),
    )


def _network(settings: Settings, schemes: Schemes, module: nn.Module | None) -> tuple[Checkpoint, Architecture]:
    if module is not None:
        return live_module.checkpoint_of(module), live_module.architecture_of(module)
    file = checkpoint.read(
        settings.checkpoint, trust=settings.trust_checkpoint, named=settings.arch is not None, weights=settings.weights
    )
    built = architecture.build(file, settings.arch, arch_args=settings.arch_args, schemes=schemes)
    return (replace(file, others={}) if built.all_sets else file), built


def listed(settings: Settings, sources: Schemes) -> Listing:
    """Return the images that the settings name.

    Raises:
        DataError: There are none, or several splits and none was asked for.
    """
    return dataset.listing(settings.data or "", schemes=sources, split=settings.split, root=settings.root)


def _source(fitted: Labels | None, *, named: bool) -> str:
    """Return where the class names are from; without labels they are numbers, unless they are known."""
    return fitted.names_source if fitted else "class names" if named else "numbers"


def _labels(found: LabelLists, task: Task, outputs: int) -> Labels:
    if task.multilabel:
        return label_sets.fit(found, outputs=outputs, complete=task.asked)
    return label_sets.single(found, outputs=outputs)


def preprocessing(settings: Settings, built: Architecture) -> Preprocess:
    """Return the preprocessing of the settings; without one the network's own, or else ImageNet's."""
    asked, channels = settings.preprocess, first_channels(built.module)
    if isinstance(asked, str):
        return preset(asked)
    if asked is not None:
        own = {} if {"channels", "color"} & asked.keys() or _counts(asked, 3) else {"channels": channels}
        return Preprocess.of({**own, **asked}, source=marked("configuration"))
    if built.preprocess_problem:
        raise CheckpointError(built.preprocess_problem)
    if built.preprocess is not None:
        return _declared(built.preprocess, built, channels)
    if channels == 1:
        return replace(Preprocess.of({"color": "gray"}), source=marked("ImageNet's, in grey"), assumed=True)
    if channels != 3:
        return Preprocess.of({"channels": channels}, source=marked("ImageNet's, without mean and std"), assumed=True)
    return replace(IMAGENET, assumed=True)


def _counts(keys: Mapping[str, Any], channels: int) -> bool:
    """Return whether mean or std of some keys are for so many channels."""
    return any(isinstance(keys.get(key), list | tuple) and len(keys[key]) == channels for key in ("mean", "std"))


def _declared(said: Mapping[str, Any], built: Architecture, channels: int) -> Preprocess:
    """Return the preprocessing that the checkpoint or the library declares.

    What it declares for colours is left out where the network takes another number of channels.

    Raises:
        CheckpointError: It is impossible.
    """
    if channels not in (1, 3) and "channels" not in said:
        kept = {key: value for key, value in said.items() if key not in ("mean", "std", "color")}
        return Preprocess.of({**kept, "channels": channels}, source=built.preprocess_source, assumed=True)
    try:
        return Preprocess.of(said, source=built.preprocess_source, assumed=not built.preprocess_certain)
    except UsageError as error:
        raise CheckpointError(
            f"the checkpoint declares an impossible preprocessing: {error}; give --preprocess"
        ) from None


def first_channels(module: nn.Module) -> int:
    """Return the number of channels of the images: of the first kernels, or 3 if any kernels take as many."""
    channels = [p.shape[1] for p in module.parameters() if p.ndim == 4]
    return 3 if not channels or 3 in channels or channels[0] > MAX_BANDS else int(channels[0])


def brightest(images: ImageData, chosen: Sequence[int]) -> float:
    """Return the share of full intensity that is white in pictures: of dark images of 16 bits or floats their own.

    Without this, pictures of values that fill a small part of their range would be black.
    """
    steps, highest = images.preprocess, list[float]()
    for index in chosen:
        stored = images.stored(index)
        if stored.picture is not None:
            return 1.0
        shares = stored.shares(steps.limits)
        seen = shares[..., list(steps.shown)] if shares.shape[2] > max(steps.shown) else shares
        highest.append(float(np.quantile(seen, _WHITE)))
    top = max(highest, default=1.0)
    return top if 0 < top < _DARK else 1.0


def class_names(
    asked: Sequence[str],
    built: Architecture,
    outputs: int,
    lists: Sequence[tuple[str, ...]] = (),
    *,
    source: str = "--classes",
) -> tuple[tuple[str, ...], bool]:
    """Return a name for each output, and whether the names are more than numbers.

    Args:
        asked: The names that the user gives; () for none.
        lists: Every list of class names in the checkpoint, where it has several.
        source: Where the user's names are from, for the message.

    Raises:
        DataError: `--classes` names more or fewer classes than the network has.
    """
    if asked:
        if len(asked) != outputs:
            raise DataError(
                f"{source} names {len(asked)} classes, but the network has {outputs} outputs; "
                "give one name for each output, in the same order"
            )
        return tuple(asked), True
    if built.classes and len(built.classes) == outputs:
        return built.classes, True
    if fitting := [names for names in lists if len(names) == outputs]:
        return fitting[0], True
    if outputs == 1000:
        return _imagenet_classes(), True
    return tuple(str(i) for i in range(outputs)), False


def misnamed(file: Checkpoint, outputs: int, source: str) -> str:
    """Return a sentence if the class names in the checkpoint are more or fewer than the network's outputs.

    Args:
        source: Where the names are taken from instead: `folders` or `labels` of the data, `numbers` or `class names`.
    """
    declared = file.metadata.get("classes", ())
    lists = file.metadata.get("class_lists", (declared,))
    if not declared or any(len(names) == outputs for names in lists):
        return ""
    taken = {
        "folders": marked("the folders' names are taken"),
        "labels": marked("the names of the labels are taken"),
        "class names": marked("the names of ImageNet's classes are taken"),
        "numbers": marked("the classes are numbered"),
    }
    counts = many(
        "the file names {count} class, the network has {outputs} outputs",
        "the file names {count} classes, the network has {outputs} outputs",
        len(declared),
        outputs=outputs,
    )
    return chained(counts, _(taken.get(source, taken["numbers"])))


def _expected(asked: Sequence[str], built: Architecture, listing: Listing | None) -> int | None:
    """Return the number of classes, as far as it is known before the network has run."""
    if asked:
        return len(asked)
    if built.classes:
        return len(built.classes)
    if listing is None:
        return None
    return len(listing.folders) or len({label for label in listing.labels if label is not None}) or None


def explained(images: ImageData, settings: Settings) -> tuple[tuple[int, ...], tuple[tuple[str, str], ...]]:
    """Return the images to explain, as indices: readable, spread over the classes, at most `settings.samples`.

    The second value has the files that were tried and can't be read, with the reason.

    Raises:
        DataError: None of the files is a readable image.
    """
    usable, unreadable = list(range(len(images))), dict[str, str]()
    while usable:
        groups = images.labels.groups
        labels = [groups[i] for i in usable]
        chosen = [usable[place] for place in spread(labels, settings.samples, settings.seed)]
        broken = {i: tried.reason for i in chosen if (tried := images[i]).tensor is None}
        if not broken:
            return tuple(chosen), tuple(sorted(unreadable.items()))
        unreadable |= {images.listing.names[i]: reason for i, reason in broken.items()}
        usable = [i for i in usable if i not in broken]
    why = _first_unreadable(images, unreadable)
    raise DataError(f"none of the {len(images)} files in {settings.data} is a readable image; {why}")


def _first_unreadable(images: ImageData, reasons: Mapping[str, str]) -> str:
    listing = images.listing
    path, reason = listing.source.path(0).absolute(), reasons[listing.names[0]]
    found = listing.whereabouts(listing.names)
    hint = f"; {found.path} lies under {found.folder}: give --root {found.folder}" if found else ""
    return f"the first one is {short(str(path), 200)}: {reason}{hint}"


def _imagenet_classes() -> tuple[str, ...]:
    return tuple(torchvision.models.ResNet18_Weights.DEFAULT.meta["categories"])

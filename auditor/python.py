"""Audits from Python: of a checkpoint or a live network, on a folder or a loader."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import nn

from auditor import comparison, report, runner
from auditor.assembly import Given
from auditor.config import settings as config
from auditor.config.settings import Settings
from auditor.data.loaders import count_of, loaded
from auditor.errors import UsageError
from auditor.language import speaking
from auditor.model import live_module
from auditor.observer import Silent
from auditor.plugins import Plugins, load
from auditor.process.isolation import surroundings
from auditor.progress import shown
from auditor.report.folder import claimed
from auditor.results import Audit

if TYPE_CHECKING:
    from torch.utils.data import Dataset

_OF_FILES: Final = ("arch", "arch_arg", "weights", "trust_checkpoint")
_OF_FOLDERS: Final = ("split", "root", "workers")


def run(
    model_or_path: nn.Module | str | Path,
    data: str | Path | Iterable[Any] | Dataset[Any] | None = None,
    *,
    progress: bool = True,
    classes: str | Path | Sequence[str] | None = None,
    **settings: Any,
) -> Audit:
    """Audit a checkpoint, or a network in memory.

        audit = auditor.run("resnet18.pt", "photos/", samples=4, checks={"filters": {"dead_warn": 0.1}})
        audit = auditor.run(model, loader, classes=["cat", "dog"])
        assert audit.verdict <= auditor.Verdict.WARN

    Args:
        model_or_path: The path of a checkpoint, or a live network. The network is audited in eval mode on its own
            device, in float32. It is handed back as it was: values, gradients, modes, flags and hooks.
        data: A folder, a manifest or another source that `--data` takes; or a DataLoader, a list of batches, or a
            Dataset. Tensors count as preprocessed; pictures of Pillow are preprocessed as files are. The data are read
            several times, so they have to come in the same order each time, and no generator is taken.
        progress: Show the progress, if stderr is a terminal or this is a notebook.
        classes: The class names, in the order of the outputs, or the file that has them.
        settings: The keys of `[tool.auditor]`; no configuration file is read. With `out` the report is written to that
            folder, in the formats of `format`; without it nothing is written. Where the data give tensors, `preprocess`
            takes the `mean` and `std` that the loader has applied, for the pictures of the report.

    The audit runs in this process. What ends the process, as `os._exit` in a check, ends the program; the command
    `auditor run` supervises its process and survives that.

    Raises:
        AuditorError: The input can't be used, or no check is selected.
    """
    named = settings.get("plugin", ())
    plugins = load([named] if isinstance(named, str) else named)
    names = () if classes is None or isinstance(classes, str | os.PathLike) else _names(classes)
    if not names and classes is not None:
        settings["classes"] = classes
    observer = shown(wanted=progress)
    if not isinstance(model_or_path, nn.Module):
        chosen = _settings(_path(model_or_path), data, settings, plugins)
        with surroundings(chosen.seed, "audit", torch.device("cpu")), _stream_kept(data):
            return _audited(chosen, plugins, observer, _given(chosen, data, names, observer))
    _refuse(settings, _OF_FILES, "of checkpoints, and a live network was given")
    module = live_module.unwrapped(model_or_path)
    settings.setdefault("device", live_module.device_of(module))
    chosen = replace(_settings(Path(type(module).__qualname__), data, settings, plugins), cache=False)
    with surroundings(chosen.seed, "audit", torch.device(live_module.device_of(module))), _stream_kept(data):
        given = replace(_given(chosen, data, names, observer), module=module)
        with live_module.handed_back(module):
            return _audited(chosen, plugins, observer, given)


@contextmanager
def _stream_kept(data: Any) -> Iterator[None]:
    """Restore the random stream of a loader, which every pass draws from; the loader of training may share it."""
    generator = getattr(data, "generator", None)
    if not isinstance(generator, torch.Generator):
        yield
        return
    state = generator.get_state()
    try:
        yield
    finally:
        generator.set_state(state)


def _path(given: Any) -> Path:
    if isinstance(given, str | os.PathLike):
        return Path(given)
    raise UsageError(
        f"auditor.run was given a {type(given).__name__}; expected the path of a checkpoint or a torch.nn.Module"
        + ("; build the network and load this state dict into it" if isinstance(given, Mapping) else "")
    )


def _names(classes: Any) -> tuple[str, ...]:
    names = tuple(classes) if isinstance(classes, Iterable) else ()
    if not names or not all(isinstance(name, str) for name in names):
        raise UsageError(
            f"classes is a {type(classes).__name__}; expected a list of names, or the path of a file that has them"
        )
    return names


def _settings(checkpoint: Path, data: Any, settings: Mapping[str, Any], plugins: Plugins) -> Settings:
    asked = {name: str(value) if isinstance(value, os.PathLike) else value for name, value in settings.items()}
    if data is not None and _is_loader(data):
        _refuse(settings, _OF_FOLDERS, "of files, and a loader was given")
    elif data is not None:
        asked["data"] = str(data)
    asked.setdefault("workers", 0)  # worker processes would run the caller's script again
    chosen = config.load(checkpoint, asked, checks=plugins.checks, beside=comparison.DECLARED)
    return replace(chosen, loaded=plugins.loaded)


def _is_loader(data: Any) -> bool:
    return not isinstance(data, str | os.PathLike)


def _refuse(settings: Mapping[str, Any], names: Sequence[str], why: str) -> None:
    if found := [name for name in names if settings.get(name) is not None]:
        raise UsageError(f"{found[0]} is a setting {why}; leave it out")


def _given(settings: Settings, data: Any, classes: tuple[str, ...], observer: Silent) -> Given:
    if data is None or not _is_loader(data):
        return Given(classes=classes)
    count = count_of(data)
    progress = observer.sweeping(count) if count else nullcontext()
    with speaking(settings.language), progress as seen:
        return Given(loaded=loaded(data, several=settings.task == "multilabel", seen=seen), classes=classes)


def _audited(settings: Settings, plugins: Plugins, observer: Silent, given: Given) -> Audit:
    if given.loaded:
        settings = replace(settings, data=re.sub(r"\s+", " ", given.loaded.name), cache=False)
    baseline = comparison.read(settings.baseline) if settings.baseline else None
    if settings.out is None:
        return runner.run(settings, plugins, observer, baseline=baseline, given=given).audit
    with claimed(settings.out, keeps=not settings.overwrite) as claim:
        done = runner.run(settings, plugins, observer, baseline=baseline, begin=claim.begin, given=given)
        report.write(
            report.presented(done.audit, redact=settings.redacts),
            settings.out,
            formats=settings.written,
            templates=[settings.templates, *plugins.templates] if settings.templates else plugins.templates,
            arrays=done.arrays if settings.save_arrays else None,
            extra=plugins.formats,
            claim=claim,
        )
    return done.audit

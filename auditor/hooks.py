"""The hooks of a plugin: signatures and docstrings only. `plugins` finds their implementations.

    from auditor import hookimpl

    @hookimpl
    def auditor_checks():
        return [my_check]

A scheme is the word before the colon in `--arch scheme:rest` and `--data scheme:rest`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import torch

    from auditor.check import Check
    from auditor.data.sources import Inventory
    from auditor.results import Audit

hookspec = pluggy.HookspecMarker("auditor")
hookimpl = pluggy.HookimplMarker("auditor")


@hookspec
def auditor_checks() -> Iterable[Check]:
    """Return checks to add to the built-in ones."""
    raise NotImplementedError


@hookspec
def auditor_architectures() -> Mapping[str, Callable[..., torch.nn.Module]]:
    """Return builders by scheme: `builder(rest, **arch_args)` returns the network without weights."""
    raise NotImplementedError


@hookspec
def auditor_data() -> Mapping[str, Callable[[str], Inventory | Iterable[tuple[Path, str | int | None]]]]:
    """Return data sources by scheme: `source(rest)` yields image files with their labels.

    Images that are not files are given as an `auditor.data.sources.Inventory`: their names and labels, and a source
    that has `__len__`, `path(index)` and `content(index, *, most)`, which returns the bytes of one image.
    """
    raise NotImplementedError


@hookspec
def auditor_formats() -> Mapping[str, Callable[[Audit, Path], Any]]:
    """Return report formats by name: `write(audit, folder)` writes the report's files into the folder."""
    raise NotImplementedError


@hookspec
def auditor_templates() -> Iterable[Path]:
    """Return folders of Jinja2 templates; a template there replaces the built-in one of the same name."""
    raise NotImplementedError

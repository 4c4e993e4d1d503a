"""What a plugin may provide. Signatures and docstrings only; `plugins` finds who implements them.

    from auditor import hookimpl

    @hookimpl
    def auditor_checks():
        return [my_check]

Schemes are the word before the colon in `--arch scheme:rest` and `--data scheme:rest`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import torch

    from auditor.check import Check
    from auditor.results import Audit

hookspec = pluggy.HookspecMarker("auditor")
hookimpl = pluggy.HookimplMarker("auditor")


@hookspec
def auditor_checks() -> Iterable[Check]:
    """Return checks to add to the built-in ones."""
    raise NotImplementedError


@hookspec
def auditor_architectures() -> Mapping[str, Callable[..., torch.nn.Module]]:
    """Return builders by scheme: `builder(rest, **arch_args)` makes the network without weights."""
    raise NotImplementedError


@hookspec
def auditor_data() -> Mapping[str, Callable[[str], Iterable[tuple[Path, str | int | None]]]]:
    """Return data sources by scheme: `source(rest)` lists image files with their labels."""
    raise NotImplementedError


@hookspec
def auditor_formats() -> Mapping[str, Callable[[Audit, Path], Any]]:
    """Return report formats by name: `write(audit, folder)` writes its files into the folder."""
    raise NotImplementedError


@hookspec
def auditor_templates() -> Iterable[Path]:
    """Return folders of Jinja2 templates that stand before the built-in ones."""
    raise NotImplementedError

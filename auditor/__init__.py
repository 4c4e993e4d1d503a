"""The words of a check's author. Importing them loads no torch, but for `Context` and `run`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from auditor.version import __version__ as __version__

if TYPE_CHECKING:
    from auditor.check import Check, Count, Layers, Share, Steps
    from auditor.config.options import Range
    from auditor.context import Context
    from auditor.errors import AuditorError, Skip
    from auditor.hooks import hookimpl
    from auditor.judging.rule import Rule
    from auditor.python import run
    from auditor.results import (
        Arrays,
        Audit,
        Figure,
        Finding,
        Gallery,
        Item,
        Scale,
        Table,
        Verdict,
        at_least,
        at_most,
    )
    from auditor.unit import Unit


__all__ = [
    "Arrays",
    "Audit",
    "AuditorError",
    "Check",
    "Context",
    "Count",
    "Figure",
    "Finding",
    "Gallery",
    "Item",
    "Layers",
    "Range",
    "Rule",
    "Scale",
    "Share",
    "Skip",
    "Steps",
    "Table",
    "Unit",
    "Verdict",
    "at_least",
    "at_most",
    "hookimpl",
    "run",
]


_HOMES = {
    "auditor.check": ("Check", "Count", "Layers", "Share", "Steps"),
    "auditor.context": ("Context",),
    "auditor.errors": ("AuditorError", "Skip"),
    "auditor.hooks": ("hookimpl",),
    "auditor.config.options": ("Range",),
    "auditor.judging.rule": ("Rule",),
    "auditor.python": ("run",),
    "auditor.unit": ("Unit",),
}
_RESULTS = "auditor.results"  # the home of all others


def __getattr__(name: str) -> Any:
    """Load a word only when it is asked for: pytest imports this package for everybody who has it installed."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((module for module, names in _HOMES.items() if name in names), _RESULTS)
    return getattr(import_module(home), name)

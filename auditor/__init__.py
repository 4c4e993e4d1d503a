"""The words of a check's author. Importing them loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from auditor.check import Check, Count, Layers, Share, Steps
from auditor.errors import AuditorError, Skip
from auditor.hooks import hookimpl
from auditor.options import Range
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

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.runner import audit as run

__version__ = "0.1.0"

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


def __getattr__(name: str) -> Any:
    """Load what needs more than the standard library only when it is asked for."""
    if name == "Context":
        from auditor.context import Context

        return Context
    if name == "run":
        from auditor.runner import audit

        return audit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

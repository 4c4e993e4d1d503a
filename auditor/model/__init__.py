"""From a file to a frozen network, its layers and its preprocessing.

The functions that describe a network's structure are loaded on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.model.fields.receptive_fields import ReceptiveField, receptive_field

__all__ = ["ReceptiveField", "receptive_field"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from auditor.model.fields import receptive_fields

        return getattr(receptive_fields, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

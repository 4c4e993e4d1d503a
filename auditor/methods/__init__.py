"""Methods that explain a network: tensors in, tensors out.

No files, no settings, and nothing left behind in the model. `model` is anything that turns images
`[n, c, h, w]` into scores `[n, k]`. Everything is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.methods.calibration import calibration_of
    from auditor.methods.gradients import gradient, saliency
    from auditor.methods.kernels import chance_pairs, dead, duplicates
    from auditor.methods.proportion import wilson

__all__ = ["calibration_of", "chance_pairs", "dead", "duplicates", "gradient", "saliency", "wilson"]

_HOMES = {
    "calibration": ("calibration_of",),
    "gradients": ("gradient", "saliency"),
    "kernels": ("chance_pairs", "dead", "duplicates"),
    "proportion": ("wilson",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

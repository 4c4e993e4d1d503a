"""Methods that explain an image classifier: tensors in, tensors out.

    >>> import torch
    >>> from torch import nn
    >>> from auditor import methods
    >>> _ = torch.manual_seed(0)
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
    >>> images = torch.rand(2, 3, 8, 8)
    >>> methods.saliency(model, images, 5).shape  # one map of pixels for each image
    torch.Size([2, 8, 8])

`model` is a callable that turns images `[n, c, h, w]` into scores `[n, k]`. Where it gives a dict, a tuple or a
dataclass, the scores are found in it as `auditor run` finds them: the output called `logits`, or the only one that no
other is computed from. If several may be the scores, a ValueError names them. Images are preprocessed, and the model is
in eval mode. No method reads files or settings, and each leaves the model as it was. Modules are imported on first
use, so that `import auditor.methods` does not import torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.methods.attribution.attribution_maps import heat_maps
    from auditor.methods.attribution.averaged import integrated_gradients, smooth_grad
    from auditor.methods.attribution.cam import (
        Location,
        after_activation,
        enlarged,
        grad_cam,
        guided_grad_cam,
        last_maps,
    )
    from auditor.methods.attribution.contributions import channel_contributions
    from auditor.methods.attribution.explanation import Explanation, explain
    from auditor.methods.attribution.gradients import (
        deconvnet,
        gradient,
        guided_backprop,
        input_x_gradient,
        saliency,
    )
    from auditor.methods.attribution.rectifiers import Activations, NoRectifier
    from auditor.methods.attribution.targets import locate
    from auditor.methods.layers.borders import Border, border
    from auditor.methods.layers.initialisation import (
        Freshness,
        default_bound,
        drawn_by_default,
        freshness,
        published_limit,
        variance_entropy,
    )
    from auditor.methods.layers.input_statistics import Departure, departure
    from auditor.methods.layers.kernels import (
        by_similarity,
        chance_pairs,
        confirmed,
        dead,
        duplicates,
        norms,
    )
    from auditor.methods.layers.top_activations import Top, top_activations
    from auditor.methods.occlusion.coarse_to_fine import RefinedMap, coarser_than, refine, refined_occlusion
    from auditor.methods.occlusion.occluded import Feature, OcclusionMap, occlude, occlusion
    from auditor.methods.occlusion.occluder import How, Occluder
    from auditor.methods.sanity.faithfulness import (
        area_under,
        cells_of,
        losses,
        random_orders,
        ranked_cells,
        replaced,
    )
    from auditor.methods.sanity.randomization import Cascade, cascading, layers_used
    from auditor.methods.sanity.ssim import structural_similarity
    from auditor.methods.synthesis.objectives import Diversity
    from auditor.methods.synthesis.preset import NATURAL, SIMONYAN, Preset
    from auditor.methods.synthesis.regularizers import squared_norm, total_variation
    from auditor.methods.synthesis.result import Synthesis
    from auditor.methods.synthesis.synthesis import synthesize
    from auditor.methods.synthesis.transforms import Jitter
    from auditor.methods.synthesis.trigger import Triggers, reverse_trigger
    from auditor.statistics.calibration import calibration_of
    from auditor.statistics.class_order import Reordered, reordered
    from auditor.statistics.correlation import rank_correlation
    from auditor.statistics.outliers import chances_below
    from auditor.statistics.proportion import holm, majority, never, wilson
    from auditor.statistics.wilcoxon import above_others, fewest, median_interval
    from auditor.unit import Unit

__all__ = [
    "NATURAL",
    "SIMONYAN",
    "Activations",
    "Border",
    "Cascade",
    "Departure",
    "Diversity",
    "Explanation",
    "Feature",
    "Freshness",
    "How",
    "Jitter",
    "Location",
    "NoRectifier",
    "Occluder",
    "OcclusionMap",
    "Preset",
    "RefinedMap",
    "Reordered",
    "Synthesis",
    "Top",
    "Triggers",
    "Unit",
    "above_others",
    "after_activation",
    "area_under",
    "border",
    "by_similarity",
    "calibration_of",
    "cascading",
    "cells_of",
    "chance_pairs",
    "chances_below",
    "channel_contributions",
    "coarser_than",
    "confirmed",
    "dead",
    "deconvnet",
    "default_bound",
    "departure",
    "drawn_by_default",
    "duplicates",
    "enlarged",
    "explain",
    "fewest",
    "freshness",
    "grad_cam",
    "gradient",
    "guided_backprop",
    "guided_grad_cam",
    "heat_maps",
    "holm",
    "input_x_gradient",
    "integrated_gradients",
    "last_maps",
    "layers_used",
    "locate",
    "losses",
    "majority",
    "median_interval",
    "never",
    "norms",
    "occlude",
    "occlusion",
    "published_limit",
    "random_orders",
    "rank_correlation",
    "ranked_cells",
    "refine",
    "refined_occlusion",
    "reordered",
    "replaced",
    "reverse_trigger",
    "saliency",
    "smooth_grad",
    "squared_norm",
    "structural_similarity",
    "synthesize",
    "top_activations",
    "total_variation",
    "variance_entropy",
    "wilson",
]

_HOMES = {
    "methods.attribution.attribution_maps": ("heat_maps",),
    "methods.attribution.averaged": ("integrated_gradients", "smooth_grad"),
    "methods.attribution.cam": ("Location", "after_activation", "enlarged", "grad_cam", "guided_grad_cam", "last_maps"),
    "methods.attribution.contributions": ("channel_contributions",),
    "methods.attribution.explanation": ("Explanation", "explain"),
    "methods.attribution.gradients": ("deconvnet", "gradient", "guided_backprop", "input_x_gradient", "saliency"),
    "methods.attribution.rectifiers": ("Activations", "NoRectifier"),
    "methods.attribution.targets": ("locate",),
    "methods.layers.borders": ("Border", "border"),
    "methods.layers.initialisation": (
        "Freshness",
        "default_bound",
        "drawn_by_default",
        "freshness",
        "published_limit",
        "variance_entropy",
    ),
    "methods.layers.input_statistics": ("Departure", "departure"),
    "methods.layers.kernels": ("by_similarity", "chance_pairs", "confirmed", "dead", "duplicates", "norms"),
    "methods.layers.top_activations": ("Top", "top_activations"),
    "methods.occlusion.coarse_to_fine": ("RefinedMap", "coarser_than", "refine", "refined_occlusion"),
    "methods.occlusion.occluded": ("Feature", "OcclusionMap", "occlude", "occlusion"),
    "methods.occlusion.occluder": ("How", "Occluder"),
    "methods.sanity.faithfulness": ("area_under", "cells_of", "losses", "random_orders", "ranked_cells", "replaced"),
    "methods.sanity.randomization": ("Cascade", "cascading", "layers_used"),
    "methods.sanity.ssim": ("structural_similarity",),
    "methods.synthesis.objectives": ("Diversity",),
    "methods.synthesis.preset": ("NATURAL", "SIMONYAN", "Preset"),
    "methods.synthesis.regularizers": ("squared_norm", "total_variation"),
    "methods.synthesis.result": ("Synthesis",),
    "methods.synthesis.synthesis": ("synthesize",),
    "methods.synthesis.transforms": ("Jitter",),
    "methods.synthesis.trigger": ("Triggers", "reverse_trigger"),
    "statistics.calibration": ("calibration_of",),
    "statistics.class_order": ("Reordered", "reordered"),
    "statistics.correlation": ("rank_correlation",),
    "statistics.outliers": ("chances_below",),
    "statistics.proportion": ("holm", "majority", "never", "wilson"),
    "statistics.wilcoxon": ("above_others", "fewest", "median_interval"),
    "unit": ("Unit",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"auditor.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


class _Methods(ModuleType):
    """The package. Importing the submodule `occlusion` does not hide the function of that name."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Methods

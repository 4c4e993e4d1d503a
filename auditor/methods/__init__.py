"""Methods that explain a network: tensors in, tensors out.

No files, no settings, and nothing left behind in the model. `model` is anything that turns images
`[n, c, h, w]` into scores `[n, k]`. Everything is loaded on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from auditor.methods.averaged import integrated_gradients, smooth_grad
    from auditor.methods.borders import Border, border
    from auditor.methods.calibration import calibration_of
    from auditor.methods.cam import Location, after_activation, enlarged, grad_cam, guided_grad_cam, last_maps
    from auditor.methods.class_order import Reordered, reordered
    from auditor.methods.contributions import channel_contributions
    from auditor.methods.correlation import rank_correlation
    from auditor.methods.course import Synthesis
    from auditor.methods.explanation import Explanation, explain
    from auditor.methods.faithfulness import area_under, cells_of, losses, random_orders, ranked_cells, replaced
    from auditor.methods.goals import Diversity
    from auditor.methods.gradients import deconvnet, gradient, guided_backprop, input_x_gradient, saliency
    from auditor.methods.heat import heat_maps
    from auditor.methods.initialisation import (
        Freshness,
        default_bound,
        drawn_by_default,
        freshness,
        published_limit,
        variance_entropy,
    )
    from auditor.methods.input_statistics import Departure, departure
    from auditor.methods.jitter import Jitter
    from auditor.methods.kernels import by_similarity, chance_pairs, confirmed, dead, duplicates, norms
    from auditor.methods.occluded import Feature, OcclusionMap, occlude, occlusion
    from auditor.methods.occluder import How, Occluder
    from auditor.methods.outliers import chances_below
    from auditor.methods.preset import NATURAL, SIMONYAN, Preset
    from auditor.methods.proportion import holm, majority, never, wilson
    from auditor.methods.randomization import Cascade, cascading, layers_used
    from auditor.methods.rectifiers import Activations, NoRectifier
    from auditor.methods.refined import RefinedMap, coarser_than, refine, refined_occlusion
    from auditor.methods.regularizers import squared_norm, total_variation
    from auditor.methods.structure import structural_similarity
    from auditor.methods.synthesis import synthesize
    from auditor.methods.targets import locate
    from auditor.methods.top import Top, top_activations
    from auditor.methods.trigger import Triggers, reverse_trigger
    from auditor.methods.wilcoxon import above_others, fewest, median_interval
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
    "methods.averaged": ("integrated_gradients", "smooth_grad"),
    "methods.borders": ("Border", "border"),
    "methods.calibration": ("calibration_of",),
    "methods.cam": ("Location", "after_activation", "enlarged", "grad_cam", "guided_grad_cam", "last_maps"),
    "methods.class_order": ("Reordered", "reordered"),
    "methods.contributions": ("channel_contributions",),
    "methods.correlation": ("rank_correlation",),
    "methods.course": ("Synthesis",),
    "methods.explanation": ("Explanation", "explain"),
    "methods.faithfulness": ("area_under", "cells_of", "losses", "random_orders", "ranked_cells", "replaced"),
    "methods.goals": ("Diversity",),
    "methods.gradients": ("deconvnet", "gradient", "guided_backprop", "input_x_gradient", "saliency"),
    "methods.heat": ("heat_maps",),
    "methods.initialisation": (
        "Freshness",
        "default_bound",
        "drawn_by_default",
        "freshness",
        "published_limit",
        "variance_entropy",
    ),
    "methods.input_statistics": ("Departure", "departure"),
    "methods.jitter": ("Jitter",),
    "methods.kernels": ("by_similarity", "chance_pairs", "confirmed", "dead", "duplicates", "norms"),
    "methods.occluded": ("Feature", "OcclusionMap", "occlude", "occlusion"),
    "methods.occluder": ("How", "Occluder"),
    "methods.outliers": ("chances_below",),
    "methods.preset": ("NATURAL", "SIMONYAN", "Preset"),
    "methods.proportion": ("holm", "majority", "never", "wilson"),
    "methods.randomization": ("Cascade", "cascading", "layers_used"),
    "methods.rectifiers": ("Activations", "NoRectifier"),
    "methods.refined": ("RefinedMap", "coarser_than", "refine", "refined_occlusion"),
    "methods.regularizers": ("squared_norm", "total_variation"),
    "methods.wilcoxon": ("above_others", "fewest", "median_interval"),
    "methods.structure": ("structural_similarity",),
    "methods.synthesis": ("synthesize",),
    "methods.targets": ("locate",),
    "methods.top": ("Top", "top_activations"),
    "methods.trigger": ("Triggers", "reverse_trigger"),
    "unit": ("Unit",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"auditor.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

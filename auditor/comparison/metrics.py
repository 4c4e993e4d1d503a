"""How far a number may be off before it counts as another one, and which way is better.

No two floats are compared for being equal. `docs/compare.md` has the same table in words.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from auditor.results import Finding


@dataclass(frozen=True, slots=True)
class Metric:
    """What a rule's value means.

    Attributes:
        tolerance: A difference up to which two values are the same.
        higher: Whether a higher value is better; None where neither is.
        relative: Whether the tolerance is a share of the baseline's value.
    """

    tolerance: float
    higher: bool | None = False
    relative: bool = False

    def differ(self, before: float, after: float) -> bool:
        if math.isnan(before) or math.isnan(after):
            return math.isnan(before) != math.isnan(after)
        if math.isinf(before) or math.isinf(after):
            return math.copysign(1, before) != math.copysign(1, after) or math.isinf(before) != math.isinf(after)
        allowed = self.tolerance * max(abs(before), abs(after)) if self.relative else self.tolerance
        return abs(after - before) > allowed + 1e-9

    def is_worse(self, before: float, after: float) -> bool:
        """Return whether the second value is worse by more than the tolerance; never where neither way is."""
        if self.higher is None or not self.differ(before, after):
            return False
        return math.isnan(after) or (after < before if self.higher else after > before)


_CHANNELS = Metric(0.02)  # shares of a layer's channels
_IMAGES = Metric(0.05)  # shares of a few explained images
_RANKS = Metric(0.05)  # rank correlations
_EXACT = Metric(0.0)  # counts and shares of which any is too much

METRICS = {
    "predictions.accuracy": Metric(0.005, higher=True),
    "predictions.calibration": Metric(0.01),
    "predictions.collapsed": Metric(0.005, higher=None),
    "predictions.permuted": _IMAGES,
    "preprocess.mismatch": _IMAGES,
    "predictions.nonfinite": _EXACT,
    "checkpoint.missing": _EXACT,
    "checkpoint.unexpected": _EXACT,
    "checkpoint.shape": _EXACT,
    "checkpoint.batchnorm": _EXACT,
    "data.unreadable": _EXACT,
    "weights.nonfinite": _EXACT,
    "weights.constant": _EXACT,
    "activations.nonfinite": _EXACT,
    "saliency.nonfinite": _EXACT,
    "activations.border": Metric(0.1, higher=None),
    "activations.dead": _CHANNELS,
    "activations.saturated": _CHANNELS,
    "filters.dead": _CHANNELS,
    "filters.duplicate": _CHANNELS,
    "filters.noise": Metric(0.5, higher=True),
    "patches.dead": _CHANNELS,
    "patches.duplicate": _CHANNELS,
    "patches.corner": _CHANNELS,
    "saliency.vanishing": _IMAGES,
    "saliency.blind": _RANKS,
    "saliency.rectifiers": Metric(0.01, higher=None),
    "occlusion.concentrated": _IMAGES,
    "occlusion.border": _IMAGES,
    "occlusion.insensitive": _IMAGES,
    "occlusion.fill": Metric(0.05, higher=True),
    "occlusion.refined": Metric(0.05, higher=True),
    "trust.randomization": _RANKS,
    "trust.faithfulness": _IMAGES,
    "shortcut.location": _IMAGES,
    "shortcut.cluster": _IMAGES,
    "shortcut.background": _IMAGES,
    "synthesis.unreached": Metric(0.1, higher=True),
    "synthesis.flat": _EXACT,
}

OTHER_SHARE = Metric(0.01, higher=None)
OTHER_NUMBER = Metric(0.01, higher=None, relative=True)


def metric_of(finding: Finding) -> Metric:
    """Return what a finding's value means; of a rule that is not known, no direction is better."""
    return METRICS.get(finding.rule) or (OTHER_NUMBER if finding.unit else OTHER_SHARE)

"""How far a number may be off before it counts as another one, and which way is better.

No two floats are compared for being equal. Both are declared with the rule (`auditor.Rule`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from auditor.judging.rule import Rule
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


_SHARE, _NUMBER = 0.01, 0.01  # tolerances of what declares none: of a share, and relative of a number with a unit
UNKNOWN = Metric(_SHARE, higher=None)
_HIGHER = {"lower": False, "higher": True, "neither": None}


def metric_of(finding: Finding, rules: Mapping[str, Rule]) -> Metric:
    """Return what a finding's value means; of a rule that is not known, no direction is better."""
    rule = rules.get(finding.rule)
    higher = None if rule is None else _HIGHER[rule.better]
    if rule is not None and rule.tolerance is not None:
        return Metric(rule.tolerance, higher)
    return Metric(_NUMBER, higher, relative=True) if finding.unit else Metric(_SHARE, higher)

"""Judge whether labels that are numbers mean other classes: in the order of the numbers, or counted from 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auditor.language import _, some
from auditor.results import Finding, Verdict, at_most
from auditor.statistics.paired import difference, mcnemar

if TYPE_CHECKING:
    from auditor.data.orders import Alternative
    from auditor.statistics.confusion import Confusion

_RULE = "predictions.permuted"
_ERROR = 0.01
_FILE_LINES = 20


@dataclass(frozen=True, slots=True)
class Compared:
    """An order that is known before the images are seen, so that all of them test it.

    Attributes:
        given, better: Accuracy in the given order and in the other one, 0 to 1.
        n: Number of labelled images.
        interval: The 95 % confidence interval of `better - given`.
        p: The p-value of McNemar's exact test, times the number of orders that were tried.
    """

    alternative: Alternative
    given: float
    better: float
    n: int
    interval: tuple[float, float]
    p: float


def best(confusion: Confusion, alternatives: Sequence[Alternative]) -> Compared | None:
    """Return the order that fits the predictions best, if it fits better by more than chance."""
    tried = [_compared(confusion, one, len(alternatives)) for one in alternatives]
    better = [one for one in tried if one.p < _ERROR and one.better > one.given]
    return max(better, key=lambda one: one.better, default=None)


def _compared(confusion: Confusion, other: Alternative, tried: int) -> Compared:
    places = np.array(other.indices)
    known = np.flatnonzero(places >= 0)
    before, after = confusion.at(known, known), confusion.at(known, places[known])
    both, n = int(before[places[known] == known].sum()), confusion.total
    lost, gained = int(before.sum()) - both, int(after.sum()) - both
    return Compared(
        other,
        (both + lost) / max(1, n),
        (both + gained) / max(1, n),
        n,
        difference(both, lost, gained, n - both - lost - gained),
        min(1.0, tried * mcnemar(lost, gained)),
    )


def finding(found: Compared, *, warn: float, fail: float) -> Finding:
    """Return the judgement on an order that fits better."""
    gain = found.better - found.given
    verdict = at_most(gain, warn=warn, fail=fail)
    return Finding(
        _RULE,
        verdict,
        _(
            "the labels are numbers: {order}, top-1 accuracy is {better:.1%} instead of {given:.1%} (n = {n}): give "
            "--classes FILE",
            order=found.alternative.text,
            better=found.better,
            given=found.given,
            n=found.n,
        ),
        value=gain,
        limit=fail if verdict is Verdict.FAIL else warn,
        n=found.n,
        interval=found.interval,
        detail=_("The lines would be: {names}.", names=some(found.alternative.lines, _FILE_LINES)),
    )

"""The comparison, declared as a check is: a question, options, rules. It is put to two audits and to no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from auditor.check import Check, Count, Share, Steps
from auditor.comparison import accuracy, calibration, changes, channels, facts, maps
from auditor.comparison.pair import Pair
from auditor.comparison.rules import RULES
from auditor.config import options
from auditor.language import marked
from auditor.results import Evidence

Rank = Annotated[float, options.Range(-1, 1)]


@Check.with_rules(*RULES)
def baseline(
    pair: Pair,
    *,
    significance: Share = 0.05,
    drop: Share = 0.0,
    dead_warn: Share = 0.02,
    alike_warn: Rank = 0.5,
    few: Count = 20,
) -> Steps:
    """Is anything worse than in the baseline?

    A verdict changes when the network does, but also with the images, the preprocessing and the limits: what
    of these differs stands first. Two accuracies on the same images are compared image by image, since what both
    networks get right, or wrong, says nothing about which is better.

    Args:
        significance: probability of error under which a difference in accuracy counts, for all classes together.
        drop: loss of accuracy up to which even a significant one is let pass.
        dead_warn: share of a layer's channels that have fallen silent on balance, over which the comparison warns.
        alike_warn: median rank correlation of the maps by Grad-CAM or occlusion under which the comparison warns.
        few: images, in all or of a class, under which nothing is said.
    Source:
        McNemar, Psychometrika 1947. Interval: Newcombe, Statistics in Medicine 1998. Holm 1979. Calibration: Guo et
        al., ICML 2017. Maps: Adebayo et al., NeurIPS 2018.
    """
    for part in parts(significance=significance, drop=drop, dead_warn=dead_warn, alike_warn=alike_warn, few=few):
        yield from part.of(pair)


@dataclass(frozen=True, slots=True)
class Part:
    """One question of the comparison."""

    name: str
    question: str
    arguments: tuple[Any, ...] = ()

    def of(self, pair: Pair) -> Iterator[Evidence]:
        """Answer it."""
        return _ANSWERED[self.name](pair, *self.arguments)  # type: ignore[no-any-return]


def parts(*, significance: float, drop: float, dead_warn: float, alike_warn: float, few: int) -> tuple[Part, ...]:
    """Return the questions, in the order in which a reader asks them."""
    return (
        Part("data", marked("Are both audits of the same images, treated in the same way?")),
        Part("findings", marked("Which findings are new, gone, worse or better?")),
        Part(
            "accuracy",
            marked("Is the network right as often as before, on the same images?"),
            (significance, few, drop),
        ),
        Part("calibration", marked("Does its confidence mean what it says as nearly as before?"), (few,)),
        Part("dead", marked("Which channels have fallen silent?"), (dead_warn, few)),
        Part("explanations", marked("Does it look at the same parts of the same images?"), (alike_warn,)),
    )


_ANSWERED: Mapping[str, Any] = {
    "data": facts.data,
    "findings": changes.findings,
    "accuracy": accuracy.accuracy,
    "calibration": calibration.calibration,
    "dead": channels.dead,
    "explanations": maps.explanations,
}

"""The comparison, declared like a check: a question, options and rules. It runs on two audits, not on a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from auditor.check import Check, Count, Share, Steps
from auditor.comparison import accuracy, calibration_change, changes, dead_channels, explanations, facts
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

    A verdict changes when the network does, but also when the images, the preprocessing or the limits do. Differences
    between the two audits are therefore listed first. Accuracy is compared image by image on the same images, because
    images that both networks classify correctly, or both misclassify, do not show which is better.

    Args:
        significance: probability of error under which a difference in accuracy counts, for all classes together.
        drop: loss of accuracy up to which even a significant one passes.
        dead_warn: net increase of dead channels over which the comparison warns, as a share of a layer's channels.
        alike_warn: median rank correlation of the attribution maps by Grad-CAM or occlusion under which the comparison
            warns.
        few: number of images, overall or of a class, under which nothing is judged.
    Source:
        McNemar, Psychometrika 1947. Interval: Newcombe, Statistics in Medicine 1998. Holm 1979. Calibration: Guo et
        al., ICML 2017. Maps: Adebayo et al., NeurIPS 2018.
    """
    for part in parts(significance=significance, drop=drop, dead_warn=dead_warn, alike_warn=alike_warn, few=few):
        yield from part.answer(pair)


@dataclass(frozen=True, slots=True)
class Part:
    """One question of the comparison, and the function that answers it for two audits."""

    name: str
    question: str
    answer: Callable[[Pair], Iterator[Evidence]]


def parts(*, significance: float, drop: float, dead_warn: float, alike_warn: float, few: int) -> tuple[Part, ...]:
    """Return the questions in the order of the report."""
    return (
        Part("data", marked("Do both audits use the same images and settings?"), facts.data),
        Part("findings", marked("Which findings are new, gone, worse or better?"), changes.findings),
        Part(
            "accuracy",
            marked("Has the accuracy on the same images changed?"),
            partial(accuracy.accuracy, significance=significance, few=few, drop=drop),
        ),
        Part(
            "calibration",
            marked("Has the calibration of the confidence changed?"),
            partial(calibration_change.calibration, few=few),
        ),
        Part(
            "dead",
            marked("Which channels are newly dead?"),
            partial(dead_channels.dead, dead_warn=dead_warn, few=few),
        ),
        Part(
            "explanations",
            marked("Does the network use the same parts of the same images?"),
            partial(explanations.explanations, alike_warn=alike_warn),
        ),
    )

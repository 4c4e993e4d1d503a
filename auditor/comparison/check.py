"""The comparison, declared as a check is: a question, options, rules. It is put to two audits and to no network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from auditor.check import Check, Count, Share, Steps
from auditor.comparison import accuracy, calibration_change, changes, dead_channels, explanations, facts
from auditor.comparison.pair import Pair
from auditor.config import options
from auditor.language import marked
from auditor.results import Evidence

Rank = Annotated[float, options.Range(-1, 1)]


@Check
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
    Rules:
        baseline.data: whether images, preprocessing, classes, network, settings and tools are the same; other
            images, preprocessing or classes are a warning, the rest is information.
        baseline.findings: findings that are new, worse, or no longer judged; as bad as the worst of them is now.
        baseline.answers: share of the images to which both networks give the same answer (information).
        baseline.accuracy: difference in accuracy on the same images, in all and class by class; a loss that
            McNemar's exact test finds significant (corrected for the number of classes by Holm) is a warning.
        baseline.calibration: difference of the expected calibration errors on the same images; over 0.01 and beyond
            what the bootstrap leaves to chance is a warning.
        baseline.dead: channels that were above zero on some image and are on none now; a layer that lost over 2 % of
            its channels on balance is a warning.
        baseline.explanations: rank correlation of the maps that explain the same class of the same image; a median
            under 0.5 by Grad-CAM or occlusion is a warning (heuristic).
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
        Part("data", marked("Are both audits of the same images, treated in the same way?"), facts.data),
        Part("findings", marked("Which findings are new, gone, worse or better?"), changes.findings),
        Part(
            "accuracy",
            marked("Is the network right as often as before, on the same images?"),
            partial(accuracy.accuracy, significance=significance, few=few, drop=drop),
        ),
        Part(
            "calibration",
            marked("Does its confidence mean what it says as nearly as before?"),
            partial(calibration_change.calibration, few=few),
        ),
        Part(
            "dead",
            marked("Which channels have fallen silent?"),
            partial(dead_channels.dead, silent_warn=dead_warn, few=few),
        ),
        Part(
            "explanations",
            marked("Does it look at the same parts of the same images?"),
            partial(explanations.explanations, alike_warn=alike_warn),
        ),
    )

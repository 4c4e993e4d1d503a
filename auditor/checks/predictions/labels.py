"""The predictions of a network whose images may have several labels, each with a probability of its own."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from auditor.checks.predictions import findings, label_figures, label_findings
from auditor.checks.predictions.label_facts import label_facts
from auditor.checks.predictions.label_findings import Limits
from auditor.checks.predictions.stability import stability_finding
from auditor.collectors import Collector, LabelScores
from auditor.context import ONE_CLASS
from auditor.language import _
from auditor.results import Evidence, Finding, Verdict

if TYPE_CHECKING:
    from auditor.context import Context


@dataclass(frozen=True, slots=True)
class LabelLimits:
    """The options of the check that concern images with several labels.

    Attributes:
        accuracy, average_precision, recall: Values under which the audit warns and fails.
        calibration: Calibration error over which the audit warns.
    """

    threshold: float
    accuracy: Limits
    average_precision: Limits
    recall: Limits
    calibration: float
    confident: bool
    few: int
    mistakes: int


def label_evidence(context: Context, options: LabelLimits) -> Generator[Collector | Evidence, Any, None]:
    """Collect the scores of each label, judge them, and show them."""
    seen = yield LabelScores(options.threshold, options.mistakes)
    yield findings.label_ending(context.network.ending, context.network.outputs)
    yield findings.nonfinite(seen)
    if not seen.images:
        return
    yield stability_finding(context)
    if seen.present.any() or seen.absent.any():
        yield from _judged(seen, context, options)
    else:
        yield findings.unlabelled(*options.accuracy)
    yield Finding("predictions.permuted", Verdict.SKIP, _(ONE_CLASS))
    yield label_figures.told(seen, context)


def _judged(seen: LabelScores, context: Context, options: LabelLimits) -> Generator[Evidence, None, None]:
    few, confident, names = options.few, options.confident, context.classes
    facts = label_facts(seen, few=few, seed=context.seed)
    partial = context.data.labels.partial
    yield label_findings.subset_accuracy(seen, options.accuracy, few, confident=confident, partial=partial)
    yield label_findings.average_precision(
        facts, seen.images, options.average_precision, few, names, confident=confident
    )
    yield from label_findings.recall(
        facts, options.recall, few, names, threshold=options.threshold, confident=confident
    )
    yield from label_findings.collapsed(seen, facts, few, names)
    yield from label_findings.calibration(facts, few, options.calibration, names)
    yield label_figures.label_table(facts, names)
    yield from label_figures.threshold_table(facts, names, options.threshold)
    yield from label_figures.wrong_labels(seen, context)

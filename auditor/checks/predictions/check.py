"""Measure how often the predictions are correct, and how well the confidence is calibrated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from auditor import methods, pictures
from auditor.check import Check, Count, Share, Steps
from auditor.checks.predictions import figures, findings, rules
from auditor.checks.predictions.labels import LabelLimits, label_evidence
from auditor.checks.predictions.permuted import order_findings
from auditor.checks.predictions.stability import stability_finding
from auditor.collectors import Predictions
from auditor.judging.grounds import WEIGHTS
from auditor.language import _, many
from auditor.results import Figure, Finding, Verdict

if TYPE_CHECKING:
    from auditor.context import Context


@Check.with_rules(*rules.RULES, needs=(WEIGHTS,))
def predictions(
    context: Context,
    *,
    accuracy_warn: Share | None = None,
    accuracy_fail: Share | None = None,
    calibration_warn: Share = 0.1,
    permuted_warn: Share = 0.1,
    permuted_fail: Share = 0.5,
    confident: bool = False,
    few: Count = 20,
    mistakes: Count = 12,
    threshold: Share = 0.5,
    average_precision_warn: Share | None = None,
    average_precision_fail: Share | None = None,
    label_recall_warn: Share | None = None,
    label_recall_fail: Share | None = None,
) -> Steps:
    """How often is the network right, and is its confidence calibrated?

    Each share has the number of images that it was counted on, and its 95 % interval: on few images a high accuracy
    means little. In the reliability plot, a calibrated network lies on the diagonal, and an overconfident one below
    it. The mistakes shown are those with the highest confidence. Where an image may have several labels, each label is
    judged by itself, and the accuracy is the share of the images with exactly the right labels.

    Args:
        accuracy_warn: accuracy under which the audit warns; without it, the accuracy has to be better than chance.
        accuracy_fail: accuracy under which the audit fails.
        calibration_warn: expected calibration error over which the audit warns.
        permuted_warn: gain in accuracy by another order of the classes over which the audit warns.
        permuted_fail: gain in accuracy by another order of the classes over which the audit fails.
        confident: whether the whole 95 % interval of accuracy and calibration error has to keep their limits, not
            only the estimate; with too few images it does not.
        few: number of images of a class under which the class is not judged.
        mistakes: number of the most confident mistakes that are shown.
        threshold: probability from which a label is predicted, where an image may have several labels.
        average_precision_warn: mean average precision of the labels under which the audit warns.
        average_precision_fail: mean average precision of the labels under which the audit fails.
        label_recall_warn: recall of a label under which the audit warns.
        label_recall_fail: recall of a label under which the audit fails.
    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017. Intervals: Wilson 1927. Order of the
        classes: Kuhn, The Hungarian Method for the Assignment Problem, 1955; Meinshausen, Meier, Bühlmann, p-Values
        for High-Dimensional Regression, 2009.
    """
    if context.task.multilabel:
        yield from label_evidence(
            context,
            LabelLimits(
                threshold,
                (accuracy_warn, accuracy_fail),
                (average_precision_warn, average_precision_fail),
                (label_recall_warn, label_recall_fail),
                calibration_warn,
                confident,
                few,
                mistakes,
            ),
        )
        return
    seen = yield Predictions(mistakes, leave_out=context.data.listing.duplicates)
    from auditor.model.ending import Ending

    yield findings.ending(context.network.ending)
    yield findings.nonfinite(seen)
    if seen.images:
        yield stability_finding(context)
    if seen.labelled:
        yield findings.accuracy(seen, len(context.classes), accuracy_warn, accuracy_fail, few, confident=confident)
        yield from findings.never_recognised(seen, context.classes, few)
        yield from order_findings(
            seen.confusion,
            context.classes,
            few=few,
            warn=permuted_warn,
            fail=permuted_fail,
            seed=context.seed,
            alternatives=context.data.labels.alternatives,
        )
        if context.network.ending is Ending.SIGMOID and not context.network.single:
            yield findings.several_sigmoids()
        else:
            yield from _calibrated(seen, context.seed, calibration_warn, few, confident=confident)
        yield from figures.confusion_matrix(seen, context)
        yield figures.class_table(seen, context)
        yield from figures.confident_mistakes(seen, context)
    elif seen.images:
        yield findings.unlabelled(accuracy_warn, accuracy_fail)
        yield from findings.single_class(seen, context.classes, few)
    if seen.images:
        yield figures.distribution(seen, context)


def _calibrated(seen: Predictions, seed: int, warn: float, few: int, *, confident: bool) -> Iterator[Finding | Figure]:
    rule = "predictions.calibration"
    if seen.labelled < few:
        message = many(
            "{count} labelled image is too few to judge the confidence ({few} needed)",
            "{count} labelled images are too few to judge the confidence ({few} needed)",
            seen.labelled,
            few=few,
        )
        yield Finding(rule, Verdict.SKIP, message)
        return
    found = methods.calibration_of(seen.bins, seed=seed)
    yield findings.calibration(found, seen.labelled, warn, confident=confident)
    yield Figure(
        _("Reliability"),
        _(
            "Accuracy against confidence in {bins} bins of equal mass, and the images in each bin.",
            bins=len(found.counts),
        ),
        pictures.reliability(
            found.confidence.tolist(), found.accuracy.tolist(), found.counts.astype(int).tolist(), error=found.error
        ),
        alt=_(
            "Reliability plot: expected calibration error {error:.3f}; the last bin has confidence {confidence:.0%} "
            "and accuracy {accuracy:.0%}.",
            error=found.error,
            confidence=found.confidence[-1],
            accuracy=found.accuracy[-1],
        ),
    )

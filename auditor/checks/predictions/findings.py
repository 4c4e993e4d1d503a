"""Judge accuracy, classes that are never recognised, calibration, and scores that are not finite."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.collectors import LabelScores, Predictions
from auditor.judging import confidence
from auditor.judging.grounds import ANSWERS
from auditor.language import _, joined, many, marked
from auditor.results import Finding, Verdict, at_least, at_most

if TYPE_CHECKING:
    from auditor.model.ending import Ending
    from auditor.statistics.calibration import Calibration
    from auditor.statistics.confusion import Confusion


_ERROR = 0.05
_LEARNT = 0.1  # share of the way from chance to 1 that a network has to have gone
_MOST = 0.5  # share of images without finite scores from which nothing rests on the answers
_NAMED = 100  # classes of which no image is correctly classified
_TOP5 = 5  # classes up to which the top-5 accuracy is always 1


def ending(found: Ending) -> Finding:
    """Report whether the network ends in logits, in probabilities, or in a softmax or sigmoid."""
    from auditor.model.ending import Ending

    rule = "predictions.softmax"
    if found is Ending.SCORES:
        return Finding(rule, Verdict.PASS, _("the network returns logits, with no softmax or sigmoid at its end"))
    if found is Ending.PROBABILITIES:
        return Finding(
            rule,
            Verdict.WARN,
            _("the network returns probabilities, and the logits behind them can't be found"),
            detail=_("Return logits from the network: gradients of probabilities vanish where the confidence is high."),
        )
    message = _("the network ends in a {ending}; the logits before it are used", ending=_(found.value))
    return Finding(rule, Verdict.INFO, message)


def label_ending(found: Ending, outputs: int) -> Finding:
    """Report the ending of a network whose labels are predicted one by one."""
    from auditor.model.ending import Ending

    rule = "predictions.softmax"
    if found is Ending.SIGMOID:
        message = _(
            "the network ends in a sigmoid over {n} outputs, for several labels an image; the logits before it are "
            "used",
            n=outputs,
        )
        return Finding(rule, Verdict.INFO, message)
    if found is Ending.SCORES:
        message = _("the network returns logits; the probability of each label is the sigmoid of its logit")
        return Finding(rule, Verdict.PASS, message)
    message = _(
        "the network ends in a {ending}, for one class an image, but is audited for several", ending=_(found.value)
    )
    detail = _("The probability of each label is the sigmoid of its logit, which such a network was not trained for.")
    return Finding(rule, Verdict.WARN, message, detail=detail)


def nonfinite(seen: Predictions | LabelScores) -> Finding:
    """Report how many images have scores that are NaN or infinite."""
    rule, total = "predictions.nonfinite", seen.images + seen.unanswered
    if not seen.unanswered:
        message = _("the scores of all {n} images are finite", n=total)
        return Finding(rule, Verdict.PASS, message, value=0.0, limit=0.0, n=total)
    return Finding(
        rule,
        Verdict.FAIL,
        many(
            "the scores of {count} of {n} images are NaN or infinite; the image is left out of everything else",
            "the scores of {count} of {n} images are NaN or infinite; the images are left out of everything else",
            seen.unanswered,
            n=total,
        ),
        value=seen.unanswered / total,
        limit=0.0,
        n=total,
        detail=_("Look at weights.nonfinite and activations.nonfinite for the first layer that has such values."),
        ends=(ANSWERS,) if seen.unanswered > _MOST * total else (),
    )


def accuracy(
    seen: Predictions, classes: int, warn: float | None, fail: float | None, few: int, *, confident: bool
) -> Finding:
    """Judge the top-1 accuracy by its limits, and by whether it is better than chance.

    It fails whatever the limits are if no image is right, or if the whole interval lies in the lowest tenth of the way
    from chance to 1.

    Args:
        classes: Number of classes of the network.
        warn, fail: Accuracies under which the audit warns or fails; None for no limit.
        few: Number of labelled images under which the accuracy is not compared with chance.
        confident: Whether the lower end of the 95 % interval has to keep the limits.
    """
    n, share, chance = seen.labelled, seen.right / seen.labelled, 1 / classes
    interval = methods.wilson(seen.right, n)
    judged = confidence.lower(share, interval, confident=confident)
    verdict = at_least(judged, warn=warn, fail=fail) if (warn, fail) != (None, None) else Verdict.INFO
    limit = fail if verdict is Verdict.FAIL or warn is None else warn
    too_few = verdict is Verdict.PASS and n < few
    if too_few:
        verdict = Verdict.WARN
    by_chance = interval[0] <= chance and n >= few
    hopeless = by_chance and (not seen.right or interval[1] < chance + _LEARNT * (1 - chance))
    limits = (warn, fail)
    if by_chance and verdict < Verdict.WARN:
        verdict, limit, limits = Verdict.WARN, chance, (chance, fail)
    if hopeless and verdict < Verdict.FAIL:
        verdict, limit = Verdict.FAIL, chance
    message = _top1(seen, classes)
    if by_chance:
        message = _("{accuracy}: no better than chance ({chance:.1%})", accuracy=message, chance=chance)
    advice = _("Look at the most confident mistakes, and check the preprocessing.")
    if too_few:
        advice = many(
            "{count} labelled image is too few to keep a limit ({few} needed).",
            "{count} labelled images are too few to keep a limit ({few} needed).",
            n,
            few=few,
        )
    return Finding(
        "predictions.accuracy",
        verdict,
        message,
        value=share,
        limit=limit,
        n=n,
        interval=interval,
        detail=_sentences(
            advice if verdict > Verdict.PASS else "", confidence.close_call(interval, *limits, confident=confident)
        ),
        ends=(ANSWERS,) if hopeless else (),
    )


def unlabelled(warn: float | None, fail: float | None) -> Finding:
    """Report that the accuracy can't be measured; where a limit is set, it is not kept."""
    limited = (warn, fail) != (None, None)
    return Finding(
        "predictions.accuracy",
        Verdict.SKIP if not limited else Verdict.WARN if fail is None else Verdict.FAIL,
        _("the accuracy has a limit, but no image has a usable label") if limited else _("no image has a usable label"),
        limit=warn if fail is None else fail,
        detail=_("Name the folders like the classes, or list the classes in their order with --classes.")
        if limited
        else "",
    )


def _sentences(*sentences: str) -> str:
    return joined(*sentences)


def _top1(seen: Predictions, classes: int) -> str:
    n, right = seen.labelled, seen.right
    if classes <= _TOP5:
        return _("top-1 accuracy {share:.1%} ({right} of {n})", share=right / n, right=right, n=n)
    return _(
        "top-1 accuracy {share:.1%} ({right} of {n}), top-5 accuracy {top5:.1%}",
        share=right / n,
        right=right,
        n=n,
        top5=seen.top5.sum() / n,
    )


def never_recognised(seen: Predictions, classes: Sequence[str], few: int) -> Iterator[Finding]:
    """Report classes of which no image is correctly classified, and a network with a single predicted class.

    Args:
        classes: Names of the network's classes.
        few: Number of images of a class from which a class without a correct classification is a failure.
    """
    counts, right = seen.confusion.by_true, seen.confusion.correct
    judged = np.flatnonzero(counts >= few)
    rare = _missed(counts, right, few)
    missed = [int(c) for c in judged if right[c] == 0]
    yield from (_never_recognised(seen.confusion.of_class(c), c, classes, Verdict.WARN) for c in rare)
    yield from (_never_recognised(seen.confusion.of_class(c), c, classes, Verdict.FAIL) for c in missed[:_NAMED])
    if len(missed) > _NAMED:
        yield _more_missed(missed[_NAMED:], counts)
    if not len(judged):
        message = _("no class has {few} images or more: the largest has {most}", few=few, most=int(counts.max()))
        yield Finding("predictions.collapsed", Verdict.SKIP, message)
    if rare or missed:
        return
    single = list(single_class(seen, classes, few))
    yield from single
    if len(judged) and not single:
        yield _all_recognised(seen.confusion, classes, judged, few)


def _missed(counts: NDArray[np.int64], right: NDArray[np.int64], few: int) -> list[int]:
    """Return the classes of few images that are all misclassified, which is improbable at a recall of one half."""
    rare = np.flatnonzero((counts > 0) & (counts < few))
    return [int(c) for c in rare if right[c] == 0 and len(rare) * 0.5 ** counts[c] < _ERROR]


def _never_recognised(predicted: NDArray[np.int64], c: int, classes: Sequence[str], verdict: Verdict) -> Finding:
    """Report a class of which no image is correctly classified.

    Args:
        predicted: Number of the class's images by predicted class.
        c: Index of the class.
    """
    n = int(predicted.sum())
    return Finding(
        "predictions.collapsed",
        verdict,
        _("0 of {n} images of class {name!r} are correctly classified", n=n, name=classes[c]),
        subject=classes[c],
        value=0.0,
        limit=0.0,
        n=n,
        interval=methods.wilson(0, n),
        detail=_(
            "Most of them are predicted as {name!r}. Check whether the class was trained, and whether the order of the "
            "classes is right.",
            name=classes[int(predicted.argmax())],
        ),
    )


def _more_missed(missed: Sequence[int], counts: NDArray[np.int64]) -> Finding:
    """Report the classes that are too many for a finding each."""
    return Finding(
        "predictions.collapsed",
        Verdict.FAIL,
        many(
            "no image of {count} more class is correctly classified",
            "no image of {count:,} more classes is correctly classified",
            len(missed),
        ),
        value=len(missed),
        unit=marked("classes"),
        limit=0,
        n=int(counts[missed].sum()),
    )


def _all_recognised(confusion: Confusion, classes: Sequence[str], judged: NDArray[np.intp], few: int) -> Finding:
    counts, correct = confusion.by_true, confusion.correct
    least = int(judged[np.argmin(correct[judged] / counts[judged])])
    hits, n = int(correct[least]), int(counts[least])
    low, high = methods.wilson(hits, n)
    return Finding(
        "predictions.collapsed",
        Verdict.PASS,
        many(
            "{count} class with at least {few} images has correctly classified images",
            "all {count} classes with at least {few} images have correctly classified images",
            len(judged),
            few=few,
        ),
        value=0,
        unit=marked("classes"),
        limit=0,
        n=int(counts[judged].sum()),
        detail=_(
            "Lowest recall: {share:.1%} for class {name!r} ({hits} of {n} images, 95 % interval {low:.1%} to "
            "{high:.1%}).",
            name=classes[least],
            hits=hits,
            n=n,
            share=hits / n,
            low=low,
            high=high,
        ),
    )


def single_class(seen: Predictions, classes: Sequence[str], few: int) -> Iterator[Finding]:
    """Report a network that predicts the same class for all images, unless all images have one label."""
    if seen.images < few:
        return
    top = int(seen.predicted.argmax())
    labels = int((seen.confusion.by_true > 0).sum())
    if seen.predicted[top] == seen.images and labels != 1:
        yield Finding(
            "predictions.collapsed",
            Verdict.WARN,
            _("all {n} images are predicted as {name!r}", n=seen.images, name=classes[top]),
            subject=classes[top],
            value=1.0,
            limit=1.0,
            n=seen.images,
            detail=_("Check whether the head was trained, and whether the preprocessing is the one of training."),
        )


def several_sigmoids() -> Finding:
    """Report that the probabilities of a sigmoid over several classes are no confidence in one of them."""
    message = _("the network ends in a sigmoid over several outputs: their probabilities are not those of one class")
    detail = _("--task multilabel judges the calibration of each label.")
    return Finding("predictions.calibration", Verdict.SKIP, message, detail=detail)


def calibration(found: Calibration, n: int, warn: float, *, confident: bool) -> Finding:
    """Judge the expected calibration error by its limit, if it is larger than chance gives.

    Args:
        n: Number of labelled images.
        warn: Error over which the audit warns.
        confident: Whether the upper end of the 95 % interval has to keep the limit.
    """
    above_chance = found.error > found.by_chance
    judged = confidence.upper(found.error, found.interval, confident=confident)
    verdict = at_most(judged, warn=warn) if above_chance or confident else Verdict.PASS
    advice = _("Temperature scaling on held-out images corrects this without retraining.")
    return Finding(
        "predictions.calibration",
        verdict,
        _confidence_and_accuracy(found, n, above_chance=above_chance),
        value=found.error,
        limit=warn,
        n=n,
        interval=found.interval,
        detail=_sentences(
            advice if verdict >= Verdict.WARN and above_chance else "",
            confidence.close_call(found.interval, warn, confident=confident),
        ),
    )


def _confidence_and_accuracy(found: Calibration, n: int, *, above_chance: bool) -> str:
    mean = float(np.sum(found.confidence * found.counts) / found.counts.sum())
    right = float(np.sum(found.accuracy * found.counts) / found.counts.sum())
    numbers = {"confidence": mean, "accuracy": right, "error": found.error}
    if not above_chance:
        return _(
            "calibrated as far as {n} images show: confidence {confidence:.0%}, accuracy {accuracy:.0%} (calibration "
            "error {error:.3f}, chance gives up to {by_chance:.3f})",
            n=n,
            by_chance=found.by_chance,
            **numbers,
        )
    if mean > right:
        return _(
            "the network is overconfident: confidence {confidence:.0%}, accuracy {accuracy:.0%} (calibration error "
            "{error:.3f})",
            **numbers,
        )
    return _(
        "the network is underconfident: confidence {confidence:.0%}, accuracy {accuracy:.0%} (calibration error "
        "{error:.3f})",
        **numbers,
    )

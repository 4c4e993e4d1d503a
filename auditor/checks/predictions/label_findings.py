"""Judge the labels of images that may have several: recall, average precision, calibration, labels never predicted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from auditor.checks.predictions.label_facts import LabelFacts, mean_average_precision, share
from auditor.collectors import LabelScores
from auditor.judging import confidence
from auditor.language import _, joined, many, marked, some
from auditor.results import Finding, Verdict, at_least, at_most

_NAMED = 20  # labels with a finding of their own
_COLLAPSED = "predictions.collapsed"
_CALIBRATION = "predictions.calibration"

Limits = tuple[float | None, float | None]
"""Values under which the audit warns and fails; None for no limit."""


def subset_accuracy(seen: LabelScores, limits: Limits, few: int, *, confident: bool, partial: bool) -> Finding:
    """Judge on how many images exactly the right labels are predicted.

    Args:
        few: Number of images under which a limit that is kept is a warning.
        confident: Whether the lower end of the 95 % interval has to keep the limits.
        partial: Whether an image may have labels that the data do not name.
    """
    n, right = seen.exact.tolist()
    if partial or not n:
        return _not_exact(limits, partial=partial)
    value, interval = share(right, n)
    verdict, limit = _judged(confidence.lower(value, interval, confident=confident), limits)
    too_few = verdict is Verdict.PASS and n < few
    message = many(
        "subset accuracy {share:.1%}: all labels are right on {right} of {count} image",
        "subset accuracy {share:.1%}: all labels are right on {right} of {count} images",
        n,
        share=value,
        right=right,
    )
    return Finding(
        "predictions.accuracy",
        Verdict.WARN if too_few else verdict,
        message,
        value=value,
        limit=limit,
        n=n,
        interval=interval,
        detail=joined(
            _("Look at the labels with the lowest recall and precision.") if verdict > Verdict.PASS else "",
            _("These are too few images to keep a limit ({few} needed).", few=few) if too_few else "",
            confidence.close_call(interval, *limits, confident=confident),
        ),
    )


def _not_exact(limits: Limits, *, partial: bool) -> Finding:
    limited = limits != (None, None)
    if partial:
        message = _("the data name one label an image, and whether others apply is unknown: only recall is measured")
        detail = _(
            "--task multilabel says that labels that are not named do not apply, and --task multiclass that each image "
            "has exactly one class."
        )
    else:
        message, detail = _("no image has labels that are all known"), ""
    verdict = Verdict.SKIP if not limited else Verdict.WARN if limits[1] is None else Verdict.FAIL
    limit = limits[0] if limits[1] is None else limits[1]
    return Finding("predictions.accuracy", verdict, message, limit=limit, detail=detail)


def _judged(value: float, limits: Limits) -> tuple[Verdict, float | None]:
    """Return the verdict, information without limits, and the limit that it refers to."""
    warn, fail = limits
    if limits == (None, None):
        return Verdict.INFO, None
    verdict = at_least(value, warn=warn, fail=fail)
    return verdict, fail if verdict is Verdict.FAIL or warn is None else warn


def average_precision(
    facts: Sequence[LabelFacts], images: int, limits: Limits, few: int, names: Sequence[str], *, confident: bool
) -> Finding:
    """Judge the mean average precision by its limits, and by whether it is better than chance.

    Args:
        few: Number of images with the label, of all labels together, under which it is not compared with chance.
        names: Names of the labels.
    """
    rule = "predictions.average_precision"
    value, interval, count = mean_average_precision(facts)
    if not count:
        reason = _("no label is known to apply to some images and not to others")
        return Finding(rule, Verdict.SKIP, reason)
    measured = [one for one in facts if one.average_precision is not None]
    chance = float(np.mean([one.prevalence for one in measured]))
    judged = confidence.lower(value, interval or (value, value), confident=confident)
    verdict, limit = _judged(judged, limits)
    by_chance = interval is not None and interval[0] <= chance and sum(one.present for one in measured) >= few
    if by_chance and verdict < Verdict.WARN:
        verdict, limit = Verdict.WARN, chance
    message = many(
        "average precision {share:.1%} of {count} label",
        "mean average precision {share:.1%} over {count} labels",
        count,
        share=value,
    )
    if by_chance:
        message = _("{accuracy}: no better than chance ({chance:.1%})", accuracy=message, chance=chance)
    lowest = min(measured, key=lambda one: one.average_precision or 0)
    detail = _(
        "Lowest: {share:.1%} for {name!r}, which chance gives {chance:.1%}.",
        share=lowest.average_precision or 0,
        name=names[lowest.label],
        chance=lowest.prevalence,
    )
    return Finding(rule, verdict, message, value=value, limit=limit, n=images, interval=interval, detail=detail)


def recall(
    facts: Sequence[LabelFacts], limits: Limits, few: int, names: Sequence[str], *, threshold: float, confident: bool
) -> Iterator[Finding]:
    """Judge the recall of each label by its limits.

    Args:
        few: Number of images with a label under which it is not judged.
        threshold: Probability from which a label is predicted.
    """
    rule, known = "predictions.label_recall", [one for one in facts if one.present >= few]
    if not known:
        most = max((one.present for one in facts), default=0)
        message = _("no label has {few} images or more: the most frequent has {most}", few=few, most=most)
        yield Finding(rule, Verdict.SKIP, message)
        return
    found = [(one, *_of_label(one, limits, confident=confident)) for one in known]
    short = sorted((one for one in found if one[1] >= Verdict.WARN), key=lambda one: (-one[1], one[0].recall))
    for one, verdict, limit in short[:_NAMED]:
        yield _recall(one, verdict, limit, names, threshold)
    if short[_NAMED:]:
        yield _more(rule, max(one[1] for one in short[_NAMED:]), [names[one[0].label] for one in short[_NAMED:]])
    if not short:
        lowest = min(known, key=lambda one: one.recall)
        yield _recall(lowest, *_of_label(lowest, limits, confident=confident), names, threshold, lowest=len(known))


def _of_label(one: LabelFacts, limits: Limits, *, confident: bool) -> tuple[Verdict, float | None]:
    value, interval = share(one.hits, one.present)
    return _judged(confidence.lower(value, interval, confident=confident), limits)


def _recall(
    one: LabelFacts,
    verdict: Verdict,
    limit: float | None,
    names: Sequence[str],
    threshold: float,
    *,
    lowest: int = 0,
) -> Finding:
    numbers = {"share": one.recall, "name": names[one.label], "hits": one.hits, "n": one.present}
    text = (
        marked("lowest recall of {count} labels: {share:.1%} for {name!r} ({hits} of {n} images)")
        if lowest > 1
        else marked("recall {share:.1%} for {name!r} ({hits} of {n} images)")
    )
    return Finding(
        "predictions.label_recall",
        verdict,
        _(text, count=lowest, **numbers),
        subject=names[one.label],
        value=one.recall,
        limit=limit,
        n=one.present,
        interval=share(one.hits, one.present)[1],
        detail=joined(
            _("A label is predicted from a probability of {threshold:g}.", threshold=threshold), _advice(one)
        ),
    )


def _advice(one: LabelFacts) -> str:
    """Return the threshold that would be better, if it is on images that it was not chosen on."""
    if one.best is None or one.held_out_f1 is None or one.held_out_f1 <= one.f1:
        return ""
    return _(
        "With a threshold of {best:.3g} its F1 score is {better:.2f} instead of {given:.2f}, on images that the "
        "threshold was not chosen on.",
        best=one.best,
        better=one.held_out_f1,
        given=one.f1,
    )


def collapsed(seen: LabelScores, facts: Sequence[LabelFacts], few: int, names: Sequence[str]) -> Iterator[Finding]:
    """Report labels that are never recognised, and labels that are predicted for all images."""
    judged = [one for one in facts if one.present >= few]
    missed = [one for one in judged if not one.hits]
    always = [one for one in facts if one.told == seen.images >= few and one.absent >= few]
    for one in missed[:_NAMED]:
        yield _never(one, names)
    if missed[_NAMED:]:
        yield _more(_COLLAPSED, Verdict.FAIL, [names[one.label] for one in missed[_NAMED:]])
    for one in always[:_NAMED]:
        yield _always(one, seen.images, names)
    if not missed and not always:
        yield _all_recognised(judged, facts, few, names)


def _never(one: LabelFacts, names: Sequence[str]) -> Finding:
    return Finding(
        _COLLAPSED,
        Verdict.FAIL,
        _("{name!r} is predicted for 0 of {n} images that have it", name=names[one.label], n=one.present),
        subject=names[one.label],
        value=0.0,
        limit=0.0,
        n=one.present,
        interval=share(0, one.present)[1],
        detail=joined(_("Check whether the label was trained, and its threshold."), _advice(one)),
    )


def _always(one: LabelFacts, images: int, names: Sequence[str]) -> Finding:
    return Finding(
        _COLLAPSED,
        Verdict.WARN,
        _("{name!r} is predicted for all {n} images", name=names[one.label], n=images),
        subject=names[one.label],
        value=1.0,
        limit=1.0,
        n=images,
        detail=joined(_("{count} of them do not have this label.", count=one.absent), _advice(one)),
    )


def _more(rule: str, verdict: Verdict, names: Sequence[str]) -> Finding:
    message = many("the same holds for {count} more label", "the same holds for {count} more labels", len(names))
    return Finding(rule, verdict, message, value=len(names), unit=marked("labels"), detail=some(names, 10))


def _all_recognised(
    judged: Sequence[LabelFacts], facts: Sequence[LabelFacts], few: int, names: Sequence[str]
) -> Finding:
    if not judged:
        most = max((one.present for one in facts), default=0)
        message = _("no label has {few} images or more: the most frequent has {most}", few=few, most=most)
        return Finding(_COLLAPSED, Verdict.SKIP, message)
    message = many(
        "{count} label with at least {few} images is predicted for some of them",
        "all {count} labels with at least {few} images are predicted for some of these",
        len(judged),
        few=few,
    )
    total = sum(one.present for one in judged)
    return Finding(_COLLAPSED, Verdict.PASS, message, value=0, unit=marked("labels"), limit=0, n=total)


def calibration(facts: Sequence[LabelFacts], few: int, warn: float, names: Sequence[str]) -> Iterator[Finding]:
    """Judge the expected calibration error of each label by its limit, if it is larger than chance gives."""
    known = [(one, one.calibration) for one in facts if one.calibration]
    if not known:
        message = _("no label is known to apply to {few} images, and not to apply to {few} others", few=few)
        yield Finding(_CALIBRATION, Verdict.SKIP, message)
        return
    wrong = [(one, found) for one, found in known if found.error > max(warn, found.by_chance)]
    wrong.sort(key=lambda pair: -pair[1].error)
    chosen = wrong[:_NAMED] or [max(known, key=lambda pair: pair[1].error)]
    for one, found in chosen:
        n = one.present + one.absent
        mean, name = float(np.sum(found.confidence * found.counts) / n), names[one.label]
        message = _(
            "{name!r}: mean probability {confidence:.0%}, present on {share:.0%} of {n} images (calibration error "
            "{error:.3f})",
            name=name,
            confidence=mean,
            share=one.prevalence,
            n=n,
            error=found.error,
        )
        if not wrong:
            message = _("calibrated as far as the images show; the largest error: {label}", label=message)
        yield Finding(
            _CALIBRATION,
            at_most(found.error, warn=warn) if wrong else Verdict.PASS,
            message,
            subject=name,
            value=found.error,
            limit=warn,
            n=n,
            interval=found.interval,
            detail=_("Scale the logits of each label on held-out images (Platt scaling).") if wrong else "",
        )
    if wrong[_NAMED:]:
        yield _more(_CALIBRATION, Verdict.WARN, [names[one.label] for one, _found in wrong[_NAMED:]])

"""Accuracy, classes never recognised, calibration, and scores that are no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.collectors import Predictions
from auditor.judging import confidence
from auditor.language import _, many, marked
from auditor.results import Finding, Verdict, at_least, at_most

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.statistics.calibration import Calibration


_ERROR = 0.05


def ending(context: Context) -> Finding:
    from auditor.model.ending import Ending

    rule, ending = "predictions.softmax", context.network.ending
    if ending is Ending.SCORES:
        return Finding(rule, Verdict.PASS, _("the network gives scores, with no softmax or sigmoid at its end"))
    if ending is Ending.PROBABILITIES:
        return Finding(
            rule,
            Verdict.WARN,
            _("the network gives probabilities, but what they are made of can't be found"),
            detail=_("Gradients of probabilities vanish where the network is sure. Let the network return its scores."),
        )
    message = _("the network ends in a {ending}; the scores that feed it are used", ending=_(ending.value))
    return Finding(rule, Verdict.INFO, message)


def nonfinite(seen: Predictions) -> Finding:
    rule, total = "predictions.nonfinite", seen.images + seen.unanswered
    if not seen.unanswered:
        message = _("the scores of all {n} images are finite", n=total)
        return Finding(rule, Verdict.PASS, message, value=0.0, limit=0.0, n=total)
    return Finding(
        rule,
        Verdict.FAIL,
        many(
            "the scores of {count} of {n} images are NaN or infinite; it counts nowhere else",
            "the scores of {count} of {n} images are NaN or infinite; they count nowhere else",
            seen.unanswered,
            n=total,
        ),
        value=seen.unanswered / total,
        limit=0.0,
        n=total,
        detail=_("Look at weights.nonfinite and activations.nonfinite for where it begins."),
    )


def accuracy(
    seen: Predictions, classes: int, warn: float | None, fail: float | None, few: int, *, confident: bool
) -> Finding:
    n, right = seen.labelled, seen.right
    interval = methods.wilson(right, n)
    share, chance = right / n, 1 / classes
    judged = confidence.lower(share, interval, confident=confident)
    verdict = at_least(judged, warn=warn, fail=fail) if (warn, fail) != (None, None) else Verdict.INFO
    limit = fail if verdict is Verdict.FAIL or warn is None else warn
    by_chance = interval[0] <= chance and n >= few
    limits = (warn, fail)
    if by_chance and verdict < Verdict.WARN:
        verdict, limit, limits = Verdict.WARN, chance, (chance, fail)
    message = _answers(seen, classes)
    if by_chance:
        message = _(
            "{answers}; that is no better than chance ({chance:.1%}) on so many images", answers=message, chance=chance
        )
    advice = _("Look at the most confident mistakes and at the preprocessing below.")
    return Finding(
        "predictions.accuracy",
        verdict,
        message,
        value=share,
        limit=limit,
        n=n,
        interval=interval,
        detail=_next_to(
            "" if verdict <= Verdict.PASS else advice, confidence.close_call(interval, *limits, confident=confident)
        ),
    )


def _next_to(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _answers(seen: Predictions, classes: int) -> str:
    n, right = seen.labelled, seen.right
    if classes <= 5:
        return _("the network answers {right} of {n} images rightly ({share:.1%})", right=right, n=n, share=right / n)
    return _(
        "the network answers {right} of {n} images rightly ({share:.1%}), and has the right class among its best "
        "five for {top5:.1%}",
        right=right,
        n=n,
        share=right / n,
        top5=seen.top5.sum() / n,
    )


def never_recognised(seen: Predictions, context: Context, few: int) -> Iterator[Finding]:
    rule = "predictions.collapsed"
    counts = seen.confusion.sum(1)
    judged = np.flatnonzero(counts >= few)
    missed = _missed(counts, seen.confusion.diagonal(), few)
    yield from (_seems_lost(seen, context, c) for c in missed)
    if not len(judged):
        most = int(counts.max())
        message = _("no class has {few} images (the most is {most}), so that none is judged", few=few, most=most)
        yield Finding(rule, Verdict.SKIP, message)
        if not missed:
            yield from one_answer(seen, context, few)
        return
    lost = [int(c) for c in judged if seen.confusion[c, c] == 0]
    for c in lost:
        instead = int(seen.confusion[c].argmax())
        yield Finding(
            rule,
            Verdict.FAIL,
            _("none of {n} images of {name!r} is recognised", n=counts[c], name=context.classes[c]),
            subject=context.classes[c],
            value=0.0,
            limit=0.0,
            n=int(counts[c]),
            interval=methods.wilson(0, int(counts[c])),
            detail=_(
                "Most of them are taken for {name!r}. Look whether the class was trained, "
                "and whether the order of the classes is right.",
                name=context.classes[instead],
            ),
        )
    same = [] if lost or missed else list(one_answer(seen, context, few))
    yield from same
    if not (lost or missed or same):
        yield _all_recognised(seen, context, judged, few)


def _missed(counts: NDArray[np.int64], right: NDArray[np.int64], few: int) -> list[int]:
    """Return the classes of few images that are all missed, as chance would hardly have it were half of them right."""
    rare = np.flatnonzero((counts > 0) & (counts < few))
    return [int(c) for c in rare if right[c] == 0 and len(rare) * 0.5 ** counts[c] < _ERROR]


def _seems_lost(seen: Predictions, context: Context, c: int) -> Finding:
    n, instead = int(seen.confusion[c].sum()), int(seen.confusion[c].argmax())
    return Finding(
        "predictions.collapsed",
        Verdict.WARN,
        _("none of {n} images of {name!r} is recognised", n=n, name=context.classes[c]),
        subject=context.classes[c],
        value=0.0,
        limit=0.0,
        n=n,
        interval=methods.wilson(0, n),
        detail=_(
            "Most of them are taken for {name!r}. Look whether the class was trained, "
            "and whether the order of the classes is right.",
            name=context.classes[instead],
        ),
    )


def _all_recognised(seen: Predictions, context: Context, judged: NDArray[np.intp], few: int) -> Finding:
    counts = seen.confusion.sum(1)
    least = int(min(judged, key=lambda c: seen.confusion[c, c] / counts[c]))
    hits, n = int(seen.confusion[least, least]), int(counts[least])
    low, high = methods.wilson(hits, n)
    return Finding(
        "predictions.collapsed",
        Verdict.PASS,
        _(
            "each of the {classes} classes with at least {few} images is recognised at least once",
            classes=len(judged),
            few=few,
        ),
        value=0,
        unit=marked("classes"),
        limit=0,
        n=int(counts[judged].sum()),
        detail=_(
            "The least recall is that of {name!r}: {hits} of {n} images ({share:.1%}, 95 %: {low:.1%} to {high:.1%}).",
            name=context.classes[least],
            hits=hits,
            n=n,
            share=hits / n,
            low=low,
            high=high,
        ),
    )


def one_answer(seen: Predictions, context: Context, few: int) -> Iterator[Finding]:
    if seen.images < few:
        return
    top = int(seen.predicted.argmax())
    share = float(seen.predicted[top] / seen.images)
    kinds = int((seen.confusion.sum(1) > 0).sum())
    if share == 1.0 and kinds != 1:
        yield Finding(
            "predictions.collapsed",
            Verdict.WARN,
            _("all {n} images get the same answer, {name!r}", n=seen.images, name=context.classes[top]),
            subject=context.classes[top],
            value=share,
            limit=1.0,
            n=seen.images,
            detail=_("Look whether the head was trained, and whether the preprocessing is the one of training."),
        )


def calibration(found: Calibration, n: int, warn: float, *, confident: bool) -> Finding:
    above_chance = found.error > found.by_chance
    judged = confidence.upper(found.error, found.interval, confident=confident)
    verdict = at_most(judged, warn=warn) if above_chance or confident else Verdict.PASS
    advice = _("Temperature scaling on held-out images mends it without retraining.")
    return Finding(
        "predictions.calibration",
        verdict,
        _how_sure(found, n, above_chance=above_chance),
        value=found.error,
        limit=warn,
        n=n,
        interval=found.interval,
        detail=_next_to(
            advice if verdict >= Verdict.WARN and above_chance else "",
            confidence.close_call(found.interval, warn, confident=confident),
        ),
    )


def _how_sure(found: Calibration, n: int, *, above_chance: bool) -> str:
    sure = float(np.sum(found.confidence * found.counts) / found.counts.sum())
    right = float(np.sum(found.accuracy * found.counts) / found.counts.sum())
    numbers = {"sure": sure, "right": right, "error": found.error}
    if not above_chance:
        return _(
            "the network is {sure:.0%} sure on average and right in {right:.0%} of the images: "
            "calibration error {error:.3f}, within what chance gives on {n} ({by_chance:.3f})",
            n=n,
            by_chance=found.by_chance,
            **numbers,
        )
    if sure > right:
        return _(
            "the network is {sure:.0%} sure on average and right in {right:.0%} of the images, "
            "too sure of itself: expected calibration error {error:.3f}",
            **numbers,
        )
    return _(
        "the network is {sure:.0%} sure on average and right in {right:.0%} of the images, "
        "less sure than it may be: expected calibration error {error:.3f}",
        **numbers,
    )

"""What the network answers, and how far its confidence can be believed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods, pictures
from auditor.check import Check, Count, Share, Steps
from auditor.checks.predictions.permuted import order_findings
from auditor.collectors import Predictions
from auditor.judging import confidence
from auditor.language import _, many, marked
from auditor.results import Figure, Finding, Gallery, Item, Table, Verdict, at_least, at_most
from auditor.wording import numeral

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.statistics.calibration import Calibration

_LARGEST_MATRIX = 40  # classes that a confusion matrix can show so that it is read
_MOST_BARS = 20
_ERROR = 0.05


@Check
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
) -> Steps:
    """How often is the network right, and does it know when it is wrong?

    Every share comes with the number of images that it was counted on and its 95 % interval: on few
    images a high accuracy means little. In the reliability plot a network that is as sure as it is right
    lies on the diagonal; below it, it is too sure of itself. The mistakes shown are the most confident ones.

    Args:
        accuracy_warn: accuracy under which the audit warns; none asks for nothing but better than chance.
        accuracy_fail: accuracy under which the audit fails.
        calibration_warn: expected calibration error over which the audit warns.
        permuted_warn: how much larger the accuracy has to be in another order of the classes for a warning.
        permuted_fail: the same for a failure.
        confident: ask accuracy and calibration to keep their limits with the whole 95 % interval, not only with the
            estimate; on too few images they then don't.
        few: images of a class under which nothing is said about that class.
        mistakes: how many of the most confident mistakes are shown.
    Rules:
        predictions.accuracy: share of images answered rightly; under the limits a warning or a failure,
            no better than chance on 20 or more images a warning.
        predictions.collapsed: a class of which 20 or more images are there and none is recognised; a
            failure (exact). Of fewer images, if so few would all be missed in under 5 % of the cases were half of them
            recognised (corrected for the number of classes): a warning. So is one answer for all images.
        predictions.permuted: the answers fit the classes better in another order, as when a list of classes was
            sorted otherwise in training. The order is chosen on one half of the images and tested on the other;
            where McNemar's test gives p < 0.01 an accuracy larger by over 0.1 is a warning, by over 0.5 a failure
            (heuristic).
        predictions.calibration: expected calibration error over 0.1 in 15 bins of equal mass, and beyond
            what chance gives a calibrated network on as many images; a warning.
        predictions.nonfinite: images for which the scores are NaN or infinite; any is a failure (exact).
        predictions.softmax: the network ends in a softmax or sigmoid; what feeds it is used as the score.
    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017. Intervals: Wilson 1927. Order of the
        classes: Kuhn, The Hungarian Method for the Assignment Problem, 1955; Meinshausen, Meier, Bühlmann, p-Values
        for High-Dimensional Regression, 2009.
    """
    seen = yield Predictions(mistakes)
    yield _ending(context)
    yield _answered(seen)
    if seen.labelled:
        yield _accuracy(seen, len(context.classes), accuracy_warn, accuracy_fail, few, confident=confident)
        yield from _never_recognised(seen, context, few)
        yield from order_findings(
            seen.confusion, context.classes, few=few, warn=permuted_warn, fail=permuted_fail, seed=context.seed
        )
        yield from _calibrated(seen, context.seed, calibration_warn, few, confident=confident)
        yield from _confusion(seen, context)
        yield _per_class(seen, context)
        yield from _mistakes(seen, context)
    elif seen.images:
        yield from _one_answer(seen, context, few)
    if seen.images:
        yield _distribution(seen, context)


def _ending(context: Context) -> Finding:
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


def _answered(seen: Predictions) -> Finding:
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


def _accuracy(
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
            "" if verdict <= Verdict.PASS else advice, confidence.told(interval, *limits, confident=confident)
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


def _never_recognised(seen: Predictions, context: Context, few: int) -> Iterator[Finding]:
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
            yield from _one_answer(seen, context, few)
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
    same = [] if lost or missed else list(_one_answer(seen, context, few))
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


def _one_answer(seen: Predictions, context: Context, few: int) -> Iterator[Finding]:
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


def _calibrated(seen: Predictions, seed: int, warn: float, few: int, *, confident: bool) -> Iterator[Finding | Figure]:
    rule = "predictions.calibration"
    if seen.labelled < few:
        reason = _("{n} labelled images are too few (under {few}) to judge confidence", n=seen.labelled, few=few)
        yield Finding(rule, Verdict.SKIP, reason)
        return
    found = methods.calibration_of(seen.bins, seed=seed)
    yield _calibration_finding(found, seen.labelled, warn, confident=confident)
    yield Figure(
        _("Reliability"),
        _("Accuracy against confidence in {bins} bins of equal mass, and the images in each.", bins=len(found.counts)),
        pictures.reliability(
            found.confidence.tolist(), found.accuracy.tolist(), found.counts.astype(int).tolist(), error=found.error
        ),
        alt=_(
            "Reliability plot: expected calibration error {error:.3f}; the surest bin has {confidence:.0%} confidence "
            "and {accuracy:.0%} accuracy.",
            error=found.error,
            confidence=found.confidence[-1],
            accuracy=found.accuracy[-1],
        ),
    )


def _calibration_finding(found: Calibration, n: int, warn: float, *, confident: bool) -> Finding:
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
            confidence.told(found.interval, warn, confident=confident),
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


def _confusion(seen: Predictions, context: Context) -> Iterator[Figure | Table]:
    shown = np.flatnonzero(seen.confusion.sum(0) + seen.confusion.sum(1))
    names = [context.classes[c] for c in shown]
    if len(shown) <= _LARGEST_MATRIX:
        counts = seen.confusion[np.ix_(shown, shown)]
        yield Figure(
            _("Confusion matrix"),
            _("Images by true class (rows) and answer (columns); right answers lie on the diagonal."),
            pictures.matrix(counts, names, xlabel=_("answer"), ylabel=_("true class")),
            alt=_(
                "Confusion matrix of {classes} classes: {right} of {n} images on the diagonal.",
                classes=len(shown),
                right=seen.right,
                n=seen.labelled,
            ),
        )
    off = seen.confusion.copy()
    np.fill_diagonal(off, 0)
    worst = np.argsort(-off, axis=None, kind="stable")[:10]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(worst, off.shape), strict=True) if off[i, j]]
    if pairs:
        yield Table(
            _("Most frequent confusions"),
            _("True class and answer, the most frequent first."),
            (_("true class"), _("answer"), _("images")),
            tuple((context.classes[i], context.classes[j], int(off[i, j])) for i, j in pairs),
        )


def _per_class(seen: Predictions, context: Context) -> Table:
    counts, answers = seen.confusion.sum(1), seen.confusion.sum(0)
    rows = []
    for c in np.flatnonzero(counts):
        hits, n = int(seen.confusion[c, c]), int(counts[c])
        low, high = methods.wilson(hits, n)
        precision = numeral(hits / answers[c], ".1%") if answers[c] else _("never answered")
        interval = _("{low:.1%} to {high:.1%}", low=low, high=high)
        rows.append((context.classes[c], n, numeral(hits / n, ".1%"), interval, precision))
    return Table(
        _("Class by class"),
        _(
            "Recall is the share of a class's images that are recognised, with its 95 % interval; precision is the "
            "share of right ones among the images that got this answer."
        ),
        (_("class"), _("images"), _("recall"), _("interval"), _("precision")),
        tuple(rows),
    )


def _mistakes(seen: Predictions, context: Context) -> Iterator[Gallery]:
    items = []
    for mistake in seen.mistakes:
        tensor = context.data[mistake.image].tensor
        if tensor is None:
            continue
        picture = pictures.photo(context.preprocess.pixels(tensor[None])[0])
        truth, answer = context.classes[mistake.label], context.classes[mistake.predicted]
        label = _(
            "{truth}, taken for {answer} ({confidence:.0%})", truth=truth, answer=answer, confidence=mistake.confidence
        )
        file = context.data.listing.names[mistake.image]
        items.append(Item(picture, label, mistake.confidence, file, role="photo"))
    if items:
        yield Gallery(
            _("Most confident mistakes"),
            _(
                "Wrong answers, the surest first: true class, answer, and how sure the network was. A label that is "
                "wrong itself shows here too."
            ),
            tuple(items),
        )


def _distribution(seen: Predictions, context: Context) -> Figure:
    order = np.argsort(-seen.predicted, kind="stable")[:_MOST_BARS]
    order = order[seen.predicted[order] > 0]
    names = [context.classes[c] for c in order]
    shares = (seen.predicted[order] / seen.images).tolist()
    others = int((seen.predicted > 0).sum()) - len(order)
    caption = _("Share of the {n} images that get each answer, the most frequent first.", n=seen.images)
    if others:
        caption += " " + many(
            "{count} further class is answered more rarely.",
            "{count} further classes are answered more rarely.",
            others,
        )
    return Figure(
        _("Answers"),
        caption,
        pictures.bars(names, shares, xlabel=_("share of images")),
        alt=_(
            "The most frequent answer is {name}, for {share:.1%} of {n} images.",
            name=names[0],
            share=shares[0],
            n=seen.images,
        ),
    )

"""Top-1 accuracy before and now, on the same images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor import pictures
from auditor.comparison.pair import Pair
from auditor.comparison.predictions import Common, Flags, common, missing
from auditor.language import _, current, joined, many, numeral, p_value
from auditor.report.phrases import percent
from auditor.results import Figure, Finding, Table, Verdict
from auditor.statistics.paired import difference, mcnemar
from auditor.statistics.proportion import holm

_BARS = 20
_LISTED = 100  # lost images


def accuracy(pair: Pair, significance: float, few: int, drop: float) -> Iterator[Finding | Figure | Table]:
    """Compare top-1 accuracy on the images that both audits share, overall and per class.

    Args:
        pair: The baseline and the audit that is compared with it.
        significance: Probability of error under which a difference counts.
        few: Number of images under which nothing is judged.
        drop: Loss of accuracy up to which even a significant one passes.
    """
    rule = "baseline.accuracy"
    if reason := missing(pair):
        yield Finding(rule, Verdict.SKIP, reason)
        return
    shared = common(pair)
    yield _agreement(shared)
    n = int(shared.labelled.sum())
    if n < few:
        yield Finding(rule, Verdict.SKIP, too_few(n, few))
        return
    yield _overall(shared, significance, drop)
    yield from _per_class(shared, significance, few, drop)
    yield from _lost(shared)


def too_few(n: int, few: int) -> str:
    """Return the reason why `n` images are not judged."""
    return many(
        "{count} image has the same label in both audits; at least {few} are needed",
        "{count} images have the same label in both audits; at least {few} are needed",
        n,
        few=few,
    )


def _agreement(shared: Common) -> Finding:
    same, n = sum(a == b for a, b in zip(*shared.predicted, strict=True)), len(shared.before)
    reasons = [_(reason, count=count) for reason, count in shared.left_out.items()]
    message = many(
        "same predicted class on {same} of {count} image",
        "same predicted class on {same} of {count} images",
        n,
        same=same,
    )
    return Finding(
        "baseline.answers",
        Verdict.INFO if n else Verdict.SKIP,
        message if n else _("the two audits have no image in common"),
        value=same / n if n else None,
        n=n,
        detail=_("Images left out: {images}.", images=joined(*reasons, between=", ")) if reasons else "",
    )


def _counts(before: Flags, after: Flags) -> tuple[int, int, int, int]:
    """Return how many images both classify correctly, only the first, only the second, and neither."""
    both, lost, gained = (int(x.sum()) for x in (before & after, before & ~after, after & ~before))
    return both, lost, gained, len(before) - both - lost - gained


def _overall(shared: Common, significance: float, drop: float) -> Finding:
    before, after = (correct[shared.labelled] for correct in shared.correct)
    both, lost, gained, neither = _counts(before, after)
    n, p = len(before), mcnemar(lost, gained)
    change = (gained - lost) / n
    worse = p < significance and change < -drop
    message = _(
        "top-1 accuracy {after:.1%} on {n} images, before {before:.1%}: {lost} lost and {gained} gained (McNemar {p})",
        before=float(before.mean()),
        n=n,
        after=float(after.mean()),
        lost=lost,
        gained=gained,
        p=p_value(p),
    )
    advice = _("Look at the lost images, which are listed below. [levels] can make this rule fail.")
    return Finding(
        "baseline.accuracy",
        Verdict.WARN if worse else Verdict.PASS,
        message,
        value=change,
        limit=0.0 - drop,
        n=n,
        interval=difference(both, lost, gained, neither),
        detail=advice if worse else "",
    )


@dataclass(frozen=True, slots=True)
class _Class:
    """A class: number of images, accuracy before and after, images lost and gained, interval of the difference."""

    name: str
    n: int
    before: float
    after: float
    lost: int
    gained: int
    interval: tuple[float, float]
    p: float

    @property
    def change(self) -> float:
        return self.after - self.before


def _per_class(shared: Common, significance: float, few: int, drop: float) -> Iterator[Finding | Figure | Table]:
    found = [_class(name, shared, own) for name, own in shared.by_class.items()]
    judged = [one for one in found if one.n >= few]
    corrected = dict(zip([one.name for one in judged], holm([one.p for one in judged]), strict=True))
    for one in judged:
        if corrected[one.name] < significance and one.change != 0:
            yield _class_finding(one, corrected[one.name], len(judged), drop)
    if any(one.change for one in judged):
        yield _figure(judged)
    yield _class_table(found, corrected, few)


def _class(name: str, shared: Common, own: NDArray[np.intp]) -> _Class:
    before, after = (correct[own] for correct in shared.correct)
    both, lost, gained, neither = _counts(before, after)
    interval, p = difference(both, lost, gained, neither), mcnemar(lost, gained)
    return _Class(name, len(before), float(before.mean()), float(after.mean()), lost, gained, interval, p)


def _class_finding(one: _Class, p: float, classes: int, drop: float) -> Finding:
    return Finding(
        "baseline.accuracy",
        Verdict.WARN if one.change < -drop else Verdict.INFO,
        _(
            "accuracy {after:.1%} on {n} images of this class, before {before:.1%}: {lost} lost and {gained} gained "
            "(McNemar {p}, corrected for {classes} classes)",
            before=one.before,
            n=one.n,
            after=one.after,
            lost=one.lost,
            gained=one.gained,
            p=p_value(p),
            classes=classes,
        ),
        subject=one.name,
        value=one.change,
        limit=0.0 - drop,
        n=one.n,
        interval=one.interval,
    )


def _figure(judged: Sequence[_Class]) -> Figure:
    """Return a bar chart of the classes that changed most."""
    shown = sorted(judged, key=lambda one: -abs(one.change))[:_BARS]
    shown.sort(key=lambda one: (one.change, one.name))
    worst, best = shown[0], shown[-1]
    return Figure(
        _("Difference in accuracy"),
        _figure_caption(len(shown), len(judged)),
        pictures.bars(
            [one.name for one in shown],
            [one.change for one in shown],
            xlabel=_("difference in accuracy"),
            intervals=[one.interval for one in shown],
        ),
        alt=_(
            "Differences in accuracy from {least} for {worst} to {most} for {best}.",
            least=signed(worst.change),
            worst=worst.name,
            most=signed(best.change),
            best=best.name,
        ),
    )


def _figure_caption(shown: int, judged: int) -> str:
    if shown == judged:
        return _("Accuracy of each class now minus accuracy before, with its 95 % interval.")
    return _(
        "The {shown} of {n} classes that changed most. Accuracy of each class now minus accuracy before, with its 95 % "
        "interval.",
        shown=shown,
        n=judged,
    )


def _class_table(found: Sequence[_Class], corrected: Mapping[str, float], few: int) -> Table:
    """Return the table of all classes, the losses first and the most significant of them first."""
    order = sorted(found, key=lambda one: (one.change >= 0, corrected.get(one.name, 1.0), one.change, one.name))
    return Table(
        _("Accuracy per class"),
        _(
            "Share of each class's images that are correctly classified, before and now. The difference has a 95 % "
            "interval. Lost: correct before, misclassified now. Gained: the reverse. p is McNemar's exact test with "
            "Holm's correction, for classes with at least {few} images. Losses come first.",
            few=few,
        ),
        (
            _("class"),
            _("images"),
            _("before"),
            _("now"),
            _("difference"),
            _("95 %"),
            _("lost"),
            _("gained"),
            "p",
        ),
        tuple(_class_row(one, corrected.get(one.name)) for one in order),
    )


def _class_row(one: _Class, p: float | None) -> tuple[str | int | None, ...]:
    return (
        one.name,
        one.n,
        _("{share:.1%}", share=one.before),
        _("{share:.1%}", share=one.after),
        signed(one.change),
        _("{low} to {high}", low=_points(one.interval[0]), high=_points(one.interval[1])),
        one.lost,
        one.gained,
        None if p is None else _("< 0.001") if p < 0.001 else numeral(p, ".3f"),
    )


def _lost(shared: Common) -> Iterator[Table]:
    before, after = shared.correct
    places = [int(i) for i in np.flatnonzero(before & ~after)]
    places.sort(key=lambda i: (-shared.after[i].confidence, shared.after[i].file))
    if places:
        yield Table(
            _("Lost images"),
            _lost_caption(len(places)),
            (_("image"), _("class"), _("confidence before"), _("predicted now"), _("confidence now")),
            tuple(
                (
                    shared.after[i].file,
                    shared.labels[i],
                    _("{share:.1%}", share=shared.before[i].confidence),
                    shared.predicted[1][i] or _("not a number"),
                    _("{share:.1%}", share=shared.after[i].confidence),
                )
                for i in places[:_LISTED]
            ),
        )


def _lost_caption(count: int) -> str:
    if count <= _LISTED:
        return _("Correctly classified before, misclassified now. Highest confidence now first.")
    return _(
        "Correctly classified before, misclassified now. Highest confidence now first. {listed} of {n} are listed.",
        n=count,
        listed=_LISTED,
    )


def signed(share: float) -> str:
    """Return a difference of shares with its sign: `−1.5 %`."""
    return percent(_points(share, 1))


def _points(share: float, decimals: int | None = None) -> str:
    """Return a difference of shares in percentage points; large ones without a decimal."""
    decimals = decimals if decimals is not None else 1 if abs(share) < 0.1 else 0
    text = f"{100 * share:+.{decimals}f}"
    return current().number(text.replace("-", "−") if float(text) else text[1:])

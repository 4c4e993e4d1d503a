"""Whether the network is right as often as before, on the same images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor import pictures
from auditor.comparison.pair import Pair
from auditor.comparison.predictions import Common, Flags, common, missing
from auditor.language import _, current, many, told_p
from auditor.report.phrases import percent
from auditor.results import Figure, Finding, Table, Verdict
from auditor.statistics.paired import difference, mcnemar
from auditor.statistics.proportion import holm

_BARS = 20
_LISTED = 100  # images that were lost


def accuracy(pair: Pair, significance: float, few: int, drop: float) -> Iterator[Finding | Figure | Table]:
    """Say whether the network is right as often as before, in all and class by class."""
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
    yield from _by_class(shared, significance, few, drop)
    yield from _lost(shared)


def too_few(n: int, few: int) -> str:
    """Return why so many images are not enough."""
    return many(
        "{count} image with the same label in both audits is too few (under {few})",
        "{count} images with the same label in both audits are too few (under {few})",
        n,
        few=few,
    )


def _agreement(shared: Common) -> Finding:
    alike, n = sum(a == b for a, b in zip(*shared.answers, strict=True)), len(shared.before)
    apart = ", ".join(_(why, count=count) for why, count in shared.apart.items())
    told = many(
        "both give the same answer to {alike} of {count} image",
        "both give the same answer to {alike} of {count} images",
        n,
        alike=alike,
    )
    return Finding(
        "baseline.answers",
        Verdict.INFO if n else Verdict.SKIP,
        told if n else _("the two audits have no image in common"),
        value=alike / n if n else None,
        n=n,
        detail=_("Left out: {images}.", images=apart) if apart else "",
    )


def _counts(before: Flags, after: Flags) -> tuple[int, int, int, int]:
    """Return how many both answer rightly, the first alone, the second alone, and neither."""
    both, lost, gained = (int(x.sum()) for x in (before & after, before & ~after, after & ~before))
    return both, lost, gained, len(before) - both - lost - gained


def _overall(shared: Common, significance: float, drop: float) -> Finding:
    before, after = (right[shared.labelled] for right in shared.right)
    both, lost, gained, neither = _counts(before, after)
    n, p = len(before), mcnemar(lost, gained)
    change = (gained - lost) / n
    worse = p < significance and change < -drop
    message = _(
        "{before:.1%} of {n} images were answered rightly before, {after:.1%} are now: "
        "{lost} were lost and {gained} gained, McNemar {p}",
        before=float(before.mean()),
        n=n,
        after=float(after.mean()),
        lost=lost,
        gained=gained,
        p=told_p(p),
    )
    advice = _("The images that were lost are listed below; [levels] can make this rule fail.")
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


def _by_class(shared: Common, significance: float, few: int, drop: float) -> Iterator[Finding | Figure | Table]:
    found = [_class(name, shared, own) for name, own in shared.by_class.items()]
    judged = [one for one in found if one.n >= few]
    corrected = dict(zip([one.name for one in judged], holm([one.p for one in judged]), strict=True))
    for one in judged:
        p = corrected[one.name]
        if p < significance and one.change != 0:
            worse = one.change < -drop
            yield Finding(
                "baseline.accuracy",
                Verdict.WARN if worse else Verdict.INFO,
                _(
                    "{before:.1%} of {n} images were recognised before, {after:.1%} are now: {lost} were "
                    "lost and {gained} gained, McNemar {p}, corrected for {classes} classes",
                    before=one.before,
                    n=one.n,
                    after=one.after,
                    lost=one.lost,
                    gained=one.gained,
                    p=told_p(p),
                    classes=len(judged),
                ),
                subject=one.name,
                value=one.change,
                limit=0.0 - drop,
                n=one.n,
                interval=one.interval,
            )
    if any(one.change for one in judged):
        yield _figure(judged)
    found.sort(key=lambda one: (one.change >= 0, corrected.get(one.name, 1.0), one.change, one.name))
    yield Table(
        _("Accuracy class by class"),
        _(
            "Share of each class's images that are recognised, before and now; the difference with its 95 % interval; "
            "how many images were lost and gained; p is McNemar's exact test, corrected by Holm for the number of "
            "classes with at least {few} images, and left out for the others. The losses come first.",
            few=few,
        ),
        _columns(),
        tuple(
            (
                one.name,
                one.n,
                _("{share:.1%}", share=one.before),
                _("{share:.1%}", share=one.after),
                signed(one.change),
                _("{low} to {high}", low=_points(one.interval[0]), high=_points(one.interval[1])),
                one.lost,
                one.gained,
                told_p(corrected[one.name]).removeprefix("p = ").removeprefix("p ") if one.name in corrected else None,
            )
            for one in found
        ),
    )


def _columns() -> tuple[str, ...]:
    return (
        _("class"),
        _("images"),
        _("before"),
        _("now"),
        _("difference"),
        _("95 %"),
        _("lost"),
        _("gained"),
        "p",
    )


def _figure(judged: Sequence[_Class]) -> Figure:
    """Show the classes that changed most."""
    shown = sorted(judged, key=lambda one: -abs(one.change))[:_BARS]
    shown.sort(key=lambda one: (one.change, one.name))
    worst, best = shown[0], shown[-1]
    return Figure(
        _("Difference in accuracy"),
        _differences(len(shown), len(judged)),
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


def _differences(shown: int, judged: int) -> str:
    if shown == judged:
        return _("Share of each class's images that are recognised now, less that before, with its 95 % interval.")
    return _(
        "The {shown} of {n} classes that changed most. Share of each class's images that are recognised now, less that "
        "before, with its 95 % interval.",
        shown=shown,
        n=judged,
    )


def _class(name: str, shared: Common, own: NDArray[np.intp]) -> _Class:
    before, after = (right[own] for right in shared.right)
    both, lost, gained, neither = _counts(before, after)
    interval, p = difference(both, lost, gained, neither), mcnemar(lost, gained)
    return _Class(name, len(before), float(before.mean()), float(after.mean()), lost, gained, interval, p)


def _lost(shared: Common) -> Iterator[Table]:
    before, after = shared.right
    places = [int(i) for i in np.flatnonzero(before & ~after)]
    places.sort(key=lambda i: (-shared.after[i].confidence, shared.after[i].file))
    if places:
        yield Table(
            _("Images that were lost"),
            _losses(len(places)),
            (_("image"), _("class"), _("sure before"), _("answer now"), _("sure now")),
            tuple(
                (
                    shared.after[i].file,
                    shared.labels[i],
                    _("{share:.1%}", share=shared.before[i].confidence),
                    shared.answers[1][i] or _("no number"),
                    _("{share:.1%}", share=shared.after[i].confidence),
                )
                for i in places[:_LISTED]
            ),
        )


def _losses(count: int) -> str:
    if count <= _LISTED:
        return _("Answered rightly before and wrongly now, those first of which the network is surest now.")
    return _(
        "Answered rightly before and wrongly now, those first of which the network is surest now. "
        "Of {n} these {listed}.",
        n=count,
        listed=_LISTED,
    )


def signed(share: float) -> str:
    """Return a difference of shares: `−1.5 %`."""
    return percent(_points(share, 1))


def _points(share: float, decimals: int | None = None) -> str:
    """Return a difference of shares in percent, the larger the coarser."""
    decimals = decimals if decimals is not None else 1 if abs(share) < 0.1 else 0
    text = f"{100 * share:+.{decimals}f}"
    return current().number(text.replace("-", "−") if float(text) else text[1:])

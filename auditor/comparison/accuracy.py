"""Whether the network is right as often as before, on the same images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor import pictures
from auditor.comparison.answers import Common, Flags, common, missing
from auditor.comparison.pair import Pair
from auditor.methods.paired import difference, mcnemar
from auditor.methods.proportion import holm
from auditor.results import Figure, Finding, Table, Verdict
from auditor.wording import told_p

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
        yield Finding(rule, Verdict.SKIP, f"{n} images with the same label in both audits are too few (under {few})")
        return
    yield _overall(shared, significance, drop)
    yield from _by_class(shared, significance, few, drop)
    yield from _lost(shared)


def _agreement(shared: Common) -> Finding:
    alike, n = sum(a == b for a, b in zip(*shared.answers, strict=True)), len(shared.before)
    apart = ", ".join(f"{count} {why}" for why, count in shared.apart.items())
    return Finding(
        "baseline.answers",
        Verdict.INFO if n else Verdict.SKIP,
        f"both give the same answer to {alike} of {n} images" if n else "the two audits have no image in common",
        value=alike / n if n else None,
        n=n,
        detail=f"Left out: {apart}." if apart else "",
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
    told = f"{before.mean():.1%} of {n} images were answered rightly before, {after.mean():.1%} are now"
    chance = f"{lost} were lost and {gained} gained, McNemar {told_p(p)}"
    return Finding(
        "baseline.accuracy",
        Verdict.WARN if worse else Verdict.PASS,
        f"{told}: {chance}",
        value=change,
        limit=0.0 - drop,
        n=n,
        interval=difference(both, lost, gained, neither),
        detail="The images that were lost are listed below; [levels] can make this rule fail." if worse else "",
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
                f"{one.before:.1%} of {one.n} images were recognised before, {one.after:.1%} are now: {one.lost} were "
                f"lost and {one.gained} gained, McNemar {told_p(p)}, corrected for {len(judged)} classes",
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
        "Accuracy class by class",
        "Share of each class's images that are recognised, before and now; the difference with its 95 % interval; "
        "how many images were lost and gained; p is McNemar's exact test, corrected by Holm for the number of classes "
        f"with at least {few} images, and left out for the others. The losses come first.",
        ("class", "images", "before", "now", "difference", "95 %", "lost", "gained", "p"),
        tuple(
            (
                one.name,
                one.n,
                f"{one.before:.1%}",
                f"{one.after:.1%}",
                signed(one.change),
                " to ".join(_points(end) for end in one.interval),
                one.lost,
                one.gained,
                told_p(corrected[one.name]).removeprefix("p = ").removeprefix("p ") if one.name in corrected else None,
            )
            for one in found
        ),
    )


def _figure(judged: Sequence[_Class]) -> Figure:
    """Show the classes that changed most."""
    shown = sorted(judged, key=lambda one: -abs(one.change))[:_BARS]
    shown.sort(key=lambda one: (one.change, one.name))
    which = f"The {len(shown)} of {len(judged)} classes that changed most. " if len(shown) < len(judged) else ""
    worst, best = shown[0], shown[-1]
    return Figure(
        "Difference in accuracy",
        f"{which}Share of each class's images that are recognised now, less that before, with its 95 % interval.",
        pictures.bars(
            [one.name for one in shown],
            [one.change for one in shown],
            xlabel="difference in accuracy",
            intervals=[one.interval for one in shown],
        ),
        alt=f"Differences in accuracy from {signed(worst.change)} for {worst.name} to {signed(best.change)} for "
        f"{best.name}.",
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
        more = f" Of {len(places)} these {_LISTED}." if len(places) > _LISTED else ""
        yield Table(
            "Images that were lost",
            f"Answered rightly before and wrongly now, those first of which the network is surest now.{more}",
            ("image", "class", "sure before", "answer now", "sure now"),
            tuple(
                (
                    shared.after[i].file,
                    shared.labels[i],
                    f"{shared.before[i].confidence:.1%}",
                    shared.answers[1][i] or "no number",
                    f"{shared.after[i].confidence:.1%}",
                )
                for i in places[:_LISTED]
            ),
        )


def signed(share: float) -> str:
    """Return a difference of shares: `−1.5 %`."""
    return f"{_points(share, 1)} %"


def _points(share: float, decimals: int | None = None) -> str:
    """Return a difference of shares in percent, the larger the coarser."""
    decimals = decimals if decimals is not None else 1 if abs(share) < 0.1 else 0
    text = f"{100 * share:+.{decimals}f}"
    return text.replace("-", "−") if float(text) else text[1:]

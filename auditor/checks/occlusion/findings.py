"""Findings of occlusion: evidence in one window, evidence at the border, and scores that no window changes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.judging import confidence
from auditor.language import _, joined, many, some
from auditor.results import Finding, Verdict, at_least, at_most

if TYPE_CHECKING:
    from auditor.context import Sample
    from auditor.methods import OcclusionMap, RefinedMap


_SMALL = 0.02  # a window is small if it covers less than this share of the area
_FRAME = 0.1  # width of the frame on each side, as a share of the height or the width
_UNCHANGED = 0.01  # largest change of a score that counts as none, in standard deviations of all scores
_ERROR = 0.05
_AGREE = 0.5  # rank correlation below which the maps of two fills disagree


@dataclass(frozen=True, slots=True)
class Measured:
    """What is measured on one image, for its predicted class.

    Attributes:
        predicted: The class.
        finite: Whether all scores are finite, with and without the window.
        removed: The largest share of its probability that one window removes, up to 1.
        place: Row and column of that window's centre, in pixels.
        frame: Share of the total drop that comes from the frame, 0 to 1; NaN if nothing drops.
        change: The largest absolute change of its score, in standard deviations of all scores.
    """

    name: str
    predicted: int
    finite: bool
    removed: float
    place: tuple[float, float]
    frame: float
    change: float


def measured(sample: Sample, found: OcclusionMap, finest: OcclusionMap | RefinedMap) -> Measured:
    """Reduce the maps of one image to the numbers that the findings need.

    Args:
        found: The first pass, which has the scores.
        finest: The pass with the smallest windows, which has the drops; without refinement the same.
    """
    drop, logits = finest.drop[0].cpu().numpy(), found.logit_drop[0].cpu().numpy()
    finite = bool(np.isfinite(logits).all() and np.isfinite(sample.scores).all())
    worst = np.unravel_index(drop.argmax(), drop.shape)
    windows = finest.windows
    centre = (windows.rows[worst[0]] + windows.window[0] / 2, windows.cols[worst[1]] + windows.window[1] / 2)
    clean, spread = float(found.clean[0]), float(sample.scores.std())
    largest = float(np.abs(logits).max())
    return Measured(
        sample.name,
        sample.predicted,
        finite,
        float(drop.max()) / clean if clean else 0.0,
        centre,
        _frame(np.maximum(finest.attribution[0].cpu().numpy(), 0)),
        largest / spread if spread else largest,
    )


def _frame(attribution: NDArray[np.float32]) -> float:
    """Return the share of an attribution map `[h, w]`, all of it >= 0, that lies in the frame."""
    rows, cols = (max(1, round(_FRAME * length)) for length in attribution.shape)
    total = float(attribution.sum())
    return 1 - float(attribution[rows:-rows, cols:-cols].sum()) / total if total > 0 else math.nan


def concentrated(
    finite: Sequence[Measured], classes: Sequence[str], *, area: float, share: float, remark: str = ""
) -> Iterator[Finding]:
    """Warn of each class for which one small window removes most of the probability.

    Args:
        finite: The images with finite scores.
        classes: The names of all classes.
        area: Share of the image that a window covers.
        share: Share of the probability that one window may remove.
        remark: A sentence for the detail, if the maps are estimated.
    """
    if area >= _SMALL:
        reason = _(
            "the window covers {area:.1%} of the image; only windows under {small:.0%} are judged",
            area=area,
            small=_SMALL,
        )
        yield Finding("occlusion.concentrated", Verdict.SKIP, reason)
        return
    hits = {one.name: one.removed > share for one in finite}
    clause = _(
        "one window of {area:.1%} of the area removes more than {share:.0%} of the probability",
        area=area,
        share=share,
    )
    yield from _by_class("occlusion.concentrated", finite, hits, classes, clause, remark)


def border(finite: Sequence[Measured], classes: Sequence[str], *, share: float, remark: str = "") -> Iterator[Finding]:
    """Warn of each class whose evidence lies in the frame; images on which no window changes the score don't count.

    Args:
        finite: The images with finite scores.
        classes: The names of all classes.
        share: Share of the total drop that may come from the frame.
        remark: A sentence for the detail, if the maps are estimated.
    """
    changed = [one for one in finite if one.change >= _UNCHANGED and not math.isnan(one.frame)]
    hits = {one.name: one.frame > share for one in changed}
    clause = _(
        "more than {share:.0%} of the drop comes from the frame, the outer {frame:.0%} of each side",
        share=share,
        frame=_FRAME,
    )
    yield from _by_class("occlusion.border", changed, hits, classes, clause, remark)


def _by_class(
    rule: str,
    images: Sequence[Measured],
    hits: Mapping[str, bool],
    classes: Sequence[str],
    clause: str,
    remark: str,
) -> Iterator[Finding]:
    """Warn of each class for which a statement holds on significantly more than half of its images.

    Args:
        hits: By image whether it holds.
        clause: The statement.
        remark: A sentence for the detail, or "".
    """
    predicted = sorted({one.predicted for one in images})
    groups = [[one for one in images if one.predicted == target] for target in predicted]
    judged = [group for group in groups if methods.majority(len(group), len(group)) <= _ERROR / len(groups)]
    if not judged:
        yield _too_few(rule, [len(group) for group in groups])
        return
    counts = [sum(hits[one.name] for one in group) for group in judged]
    errors = methods.holm([methods.majority(c, len(group)) for c, group in zip(counts, judged, strict=True)])
    significant = [place for place, error in enumerate(errors) if error <= _ERROR]
    for place in significant:
        group = judged[place]
        yield _warning(rule, group, counts[place], classes[group[0].predicted], clause, remark)
    if not significant:
        yield _no_class(rule, sum(counts), sum(map(len, judged)), len(judged), clause, remark)


def _too_few(rule: str, sizes: Sequence[int]) -> Finding:
    reason = many(
        "too few explained images: one class has {most}, and {needed} are needed",
        "too few explained images: the largest of {count} classes has {most}, and {needed} are needed",
        len(sizes),
        most=max(sizes, default=0),
        needed=_needed(max(1, len(sizes))),
    )
    return Finding(rule, Verdict.SKIP, reason, detail=_("Explain more images of fewer classes, with --samples."))


def _needed(classes: int) -> int:
    """Return how many images a class needs for the test to be significant if the statement holds on all of them."""
    return next(n for n in itertools.count(1) if methods.majority(n, n) <= _ERROR / classes)


def _no_class(rule: str, count: int, n: int, classes: int, clause: str, remark: str) -> Finding:
    message = many(
        "in {hits} of {n} explained images {clause}; no class is significant ({count} class judged)",
        "in {hits} of {n} explained images {clause}; no class is significant ({count} classes judged)",
        classes,
        hits=count,
        n=n,
        clause=clause,
    )
    return Finding(rule, Verdict.PASS, message, value=count / n, limit=0.5, n=n, detail=remark)


def _warning(rule: str, group: Sequence[Measured], count: int, name: str, clause: str, remark: str) -> Finding:
    n = len(group)
    rows, cols = np.array([one.place for one in group]).T
    row, column = np.median(rows), np.median(cols)
    detail = _(
        "The windows with the largest drop lie around row {row:.0f}, column {column:.0f}, at a mean distance of "
        "{distance:.0f} pixels. Look there in images of this class: is there a mark, a text or a background? Cover or "
        "remove it in the training images, train again, and check whether the accuracy stays.",
        row=row,
        column=column,
        distance=np.hypot(rows - row, cols - column).mean(),
    )
    return Finding(
        rule,
        Verdict.WARN,
        _("{name!r}: in {count} of {n} explained images {clause}", name=name, count=count, n=n, clause=clause),
        subject=name,
        value=count / n,
        limit=0.5,
        n=n,
        interval=methods.wilson(count, n),
        detail=joined(detail, remark),
    )


def insensitive(finite: Sequence[Measured], warn: float) -> Finding:
    """Judge the share of images on which no window changes the score."""
    if not finite:
        return Finding(
            "occlusion.insensitive", Verdict.SKIP, _("no score is finite, so that no change can be measured")
        )
    unchanged, n = [one.name for one in finite if one.change < _UNCHANGED], len(finite)
    share, interval = len(unchanged) / n, methods.wilson(len(unchanged), n)
    message, details = _("covering a part of the image changes the score on {n} of {n} explained images", n=n), []
    if unchanged:
        count = len(unchanged)
        message = _("no window changes the score on {count} of {n} explained images", count=count, n=n)
        advice = _(
            "The score hardly depends on any single part of these images: {images}. Check whether it depends on what "
            "is everywhere (a mean colour), or on no input at all (saliency.vanishing).",
            images=some(unchanged, 5),
        )
        details = [advice, confidence.close_call(interval, warn)]
    return Finding(
        "occlusion.insensitive",
        at_most(share, warn=warn),
        message,
        value=share,
        limit=warn,
        n=n,
        interval=interval,
        detail=joined(*details),
    )


def other_fill(correlations: Sequence[float], fill: str, other: str, warn: float) -> Finding:
    """Judge how far the maps depend on the fill.

    Args:
        correlations: The rank correlation of the two maps of each image, -1 to 1; NaN if one is constant.
        fill: The name of the fill that was chosen.
        other: The name of the fill that it is compared with.
        warn: The median below which the finding warns.
    """
    comparable = [one for one in correlations if not math.isnan(one)]
    if not comparable:
        return Finding("occlusion.fill", Verdict.SKIP, _("no maps can be compared: covering changes nothing"))
    value = float(np.median(comparable))
    return Finding(
        "occlusion.fill",
        at_least(value, warn=warn),
        _(
            "rank correlation {r:.2f} between the maps filled with {fill} and with {other}",
            r=value,
            fill=fill,
            other=other,
        ),
        value=value,
        unit="ρ",
        limit=warn,
        n=len(comparable),
        detail=""
        if value >= _AGREE
        else _("The two fills put the evidence at different places. Trust only what both maps show."),
    )


def approximation(correlation: float, computed: float) -> Finding:
    """Report how close the approximate map is to the full one.

    Args:
        correlation: The rank correlation of the two, on one image; NaN if one is constant.
        computed: Share of the small windows that were computed.
    """
    if math.isnan(correlation):
        return Finding("occlusion.refined", Verdict.SKIP, _("no maps can be compared: covering changes nothing"))
    message = _(
        "the maps are approximate: {share:.0%} of the small windows were computed; rank correlation with the full map "
        "{r:.2f} on one image",
        share=computed,
        r=correlation,
    )
    return Finding("occlusion.refined", Verdict.INFO, message, value=correlation, unit="ρ", n=1)

"""Whether predictions rest on too little of the image, on its border, or on nothing in it."""

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
from auditor.language import _, some
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context, Sample
    from auditor.methods import OcclusionMap, RefinedMap


_SMALL = 0.02  # share of the image's area under which a window counts as small

_FRAME = 0.1  # share of the height and of the width that the frame takes on each side

_STILL = 0.01

_ERROR = 0.05


@dataclass(frozen=True, slots=True)
class Measured:
    """What is judged of one image, for its answer.

    Attributes:
        answer: The class.
        taken: Share of its probability that the worst window takes away.
        place: Row and column of that window's middle, in pixels.
        frame: Share of all that is taken away that comes from the frame; NaN where nothing is.
        change: The largest change of its score, in standard deviations of all scores.
    """

    name: str
    answer: int
    finite: bool
    taken: float
    place: tuple[float, float]
    frame: float
    change: float


def measured(sample: Sample, found: OcclusionMap, finest: OcclusionMap | RefinedMap) -> Measured:
    drop, logits = finest.drop[0].cpu().numpy(), found.logit_drop[0].cpu().numpy()
    finite = bool(np.isfinite(logits).all() and np.isfinite(sample.scores).all())
    worst = np.unravel_index(drop.argmax(), drop.shape)
    windows = finest.windows
    middle = (windows.rows[worst[0]] + windows.window[0] / 2, windows.cols[worst[1]] + windows.window[1] / 2)
    clean, spread = float(found.clean[0]), float(sample.scores.std())
    largest = float(np.abs(logits).max())
    return Measured(
        sample.name,
        sample.predicted,
        finite,
        float(drop.max()) / clean if clean else 0.0,
        middle,
        _frame(np.maximum(finest.attribution[0].cpu().numpy(), 0)),
        largest / spread if spread else largest,
    )


def _frame(taken: NDArray[np.float32]) -> float:
    rows, cols = (max(1, round(_FRAME * length)) for length in taken.shape)
    total = float(taken.sum())
    return 1 - float(taken[rows:-rows, cols:-cols].sum()) / total if total > 0 else math.nan


def concentrated(
    context: Context, sound: Sequence[Measured], area: float, share: float, estimated: str
) -> Iterator[Finding]:
    if area >= _SMALL:
        reason = _(
            "the window covers {area:.1%} of the image, and only one of under {small:.0%} is judged",
            area=area,
            small=_SMALL,
        )
        yield Finding("occlusion.concentrated", Verdict.SKIP, reason)
        return
    hits = {one.name: one.taken > share for one in sound}
    about = _(
        "one window of {area:.1%} of the area takes away more than {share:.0%} of the probability",
        area=area,
        share=share,
    )
    yield from _by_class("occlusion.concentrated", context, sound, hits, about, estimated)


def border(context: Context, sound: Sequence[Measured], share: float, estimated: str) -> Iterator[Finding]:
    told = [one for one in sound if one.change >= _STILL and not math.isnan(one.frame)]
    hits = {one.name: one.frame > share for one in told}
    about = _("more than {share:.0%} of what covering takes away comes from the frame", share=share)
    yield from _by_class("occlusion.border", context, told, hits, about, estimated)


def _by_class(
    rule: str, context: Context, images: Sequence[Measured], hits: Mapping[str, bool], about: str, estimated: str
) -> Iterator[Finding]:
    """Warn of each class for most of whose images something holds, beyond chance.

    Args:
        about: What holds, as a main clause.
        estimated: Says that it rests on estimates, where it does.
    """
    classes = sorted({one.answer for one in images})
    groups = [[one for one in images if one.answer == c] for c in classes]
    judged = [group for group in groups if methods.majority(len(group), len(group)) <= _ERROR / len(groups)]
    if not judged:
        most, enough = max(map(len, groups), default=0), _enough(max(1, len(groups)))
        reason = _(
            "no class has enough explained images to say what holds for most of them: the most is {most} of {enough} "
            "that are needed with so many classes",
            most=most,
            enough=enough,
        )
        detail = _("Explain more images of fewer classes, with --samples.")
        yield Finding(rule, Verdict.SKIP, reason, detail=detail)
        return
    counts = [sum(hits[one.name] for one in group) for group in judged]
    chances = methods.holm([methods.majority(c, len(group)) for c, group in zip(counts, judged, strict=True)])
    guilty = [place for place, chance in enumerate(chances) if chance <= _ERROR]
    for place in guilty:
        yield _accused(rule, context, judged[place], counts[place], about, estimated)
    if not guilty:
        total, n = sum(counts), sum(map(len, judged))
        message = _(
            "in most images of no class {about}: in {count} of {n} over {classes} classes",
            about=about,
            count=total,
            n=n,
            classes=len(judged),
        )
        yield Finding(rule, Verdict.PASS, message, value=total / n, limit=0.5, n=n, detail=estimated)


def _enough(classes: int) -> int:
    """Return how many images a class needs so that all of them can be more than chance."""
    return next(n for n in itertools.count(1) if methods.majority(n, n) <= _ERROR / classes)


def _accused(rule: str, context: Context, group: Sequence[Measured], count: int, about: str, estimated: str) -> Finding:
    n, name = len(group), context.classes[group[0].answer]
    rows, cols = np.array([one.place for one in group]).T
    row, column = np.median(rows), np.median(cols)
    detail = _(
        "The windows that cost the most lie around row {row:.0f}, column {column:.0f}, {distance:.0f} pixels from it "
        "on average. Look there in images of this class: a mark, a text, a background? Then cover or remove it in the "
        "training images, and see whether the accuracy stays.",
        row=row,
        column=column,
        distance=np.hypot(rows - row, cols - column).mean(),
    )
    return Finding(
        rule,
        Verdict.WARN,
        _(
            "in {count} of the {n} explained images that are taken for {name!r} {about}",
            count=count,
            n=n,
            name=name,
            about=about,
        ),
        subject=name,
        value=count / n,
        limit=0.5,
        n=n,
        interval=methods.wilson(count, n),
        detail=f"{detail} {estimated}".rstrip(),
    )


def insensitive(sound: Sequence[Measured], warn: float) -> Finding:
    if not sound:
        return Finding("occlusion.insensitive", Verdict.SKIP, _("no score is a number, so that none can change"))
    still, n = [one.name for one in sound if one.change < _STILL], len(sound)
    share, interval = len(still) / n, methods.wilson(len(still), n)
    message, detail = _("covering a part of the image changes the score on all {n} explained images", n=n), ""
    if still:
        message = _("no window changes the score on {still} of {n} explained images", still=len(still), n=n)
        detail = _(
            "The score hardly depends on any one part of the image: {images}. Is it carried by what is everywhere (a "
            "mean colour), or by no input at all (saliency.vanishing)?",
            images=some(still, 5),
        )
    return Finding(
        "occlusion.insensitive",
        at_most(share, warn=warn),
        message,
        value=share,
        limit=warn,
        n=n,
        interval=interval,
        detail=" ".join(part for part in (detail, confidence.close_call(interval, warn) if still else "") if part),
    )

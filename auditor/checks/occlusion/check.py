"""What the network says when a part of the image is covered."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.check import Check, Count, Share, Steps
from auditor.checks.occlusion.figures import row
from auditor.checks.saliency.attributions import tensors
from auditor.config.options import Range
from auditor.errors import UsageError
from auditor.judging import confidence
from auditor.language import _, marked
from auditor.results import Arrays, Finding, Verdict, at_least, at_most
from auditor.wording import some

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context, Sample
    from auditor.methods import Occluder, OcclusionMap, RefinedMap

Pair = tuple[int, int]
Pixels = Literal["auto"] | Count | tuple[Count, ...]
Filling = Literal["grey", "black", "mean", "blur", "noise"]
Gibibytes = Annotated[float, Range(0.01)]

_USUAL = 0.107  # side of the window, of the shorter side of the image: 24 of 224 pixels
_SMALL = 0.02  # share of the image's area under which a window counts as small
_FRAME = 0.1  # share of the height and of the width that the frame takes on each side
_STILL = 0.01
_ERROR = 0.05
_FEW = 3
_ESTIMATED = marked("The maps are approximate: where large windows made no difference, small ones are estimated.")
_FILLINGS: dict[Filling, str] = {
    "grey": marked("grey"),
    "black": marked("black"),
    "mean": marked("mean"),
    "blur": marked("blur"),
    "noise": marked("noise"),
}


@Check
def occlusion(
    context: Context,
    *,
    window: Pixels = "auto",
    stride: Pixels = "auto",
    fill: Filling = "grey",
    refine: bool = False,
    memory: Gibibytes = 1.0,
    concentrated_share: Share = 0.5,
    border_share: Share = 0.5,
    insensitive_warn: Share = 0.1,
    fill_warn: Share = 0.1,
) -> Steps:
    """Which part of the image does the answer need?

    A window slides over the image and covers it. Each cell of the three maps is one position of the window: the
    probability that is left for the named class, the activation of the feature map of the last layer that the
    whole image excites most, and the class that is most probable then (without a digit: the commonest). Where the
    window takes probability away lies what the answer needs: the mean over the windows that cover a pixel lies over
    the image in grey. This asks the network itself and not its gradient; what it answers depends on the fill, too.

    Args:
        window: height and width of the window in pixels, one number or two; auto is a ninth of the shorter side, under
            2 % of the area of images of 8 pixels and more.
        stride: pixels from one position to the next; auto is two thirds of the window.
        fill: what covers the image: grey (half of full intensity), black, mean (of the image), blur or noise.
        refine: cover the image with windows twice as large first, and with small ones only where that made a
            difference; approximate, and told how nearly on one image.
        memory: GiB that may be used beside the network.
        concentrated_share: share of the probability that one small window may take away.
        border_share: share of all that is taken away which may come from the frame, the outer tenth on each side.
        insensitive_warn: share of images on which no window changes the score, over which the audit warns.
        fill_warn: rank correlation of the maps with two fills, under which the audit warns.
    Rules:
        occlusion.concentrated: one window of under 2 % of the area takes away more than half of the probability in
            most images of a class (sign test, corrected for the number of classes by Holm, 5 %): perhaps a shortcut.
        occlusion.border: more than half of what is taken away comes from the frame in most images of a class (the
            same test; images on which no window changes the score by 1 % of the spread of all scores are left out).
        occlusion.insensitive: images on which no window changes the score by 1 % of the spread of all scores; over
            10 % of the images a warning.
        occlusion.fill: how alike the maps with another fill are, by rank correlation, on the first images; a median
            under 0.1 is a warning: where the evidence lies is then a matter of what covers it.
        occlusion.refined: how alike the approximate map is to the full one, on one image (information).
        occlusion.inference: how the scores were computed (information).
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014. Incremental inference:
        Nakandala, Kumar, Papakonstantinou, SIGMOD 2019. Shortcuts: Lapuschkin et al., Nature Communications 2019.
    """
    samples = context.samples
    images = tensors(context, samples)
    size, step = _sizes(images, window, stride)
    ready = methods.Occluder(context.network, images, window=size, stride=step, memory=round(memory * 2**30))
    first = methods.coarser_than(ready, 2) if refine else None
    covered = _cover(context, images, fill, size)
    measured: list[_Measured] = []
    drops: list[NDArray[np.float32]] = []  # of the answer
    with context.working(len(ready.windows) * len(samples), "windows") as seen:
        for place, sample in enumerate(samples):
            classes = _classes(sample)
            image, cut = images[place : place + 1], covered[place : place + 1]
            found, finest = _finest(ready, first, image, classes, cut, seen)
            measured.append(_measured(sample, found, finest))
            drops.append(finest.drop[0].cpu().numpy())
            yield row(context, sample, classes, found, finest)
            yield Arrays(_arrays(sample, classes, found, finest))
    sound = [one for one in measured if one.finite]
    area = math.prod(ready.windows.window) / math.prod(ready.windows.image)
    estimated = _(_ESTIMATED) if first is not None else ""
    yield from _concentrated(context, sound, area, concentrated_share, estimated)
    yield from _border(context, sound, border_share, estimated)
    yield _insensitive(sound, insensitive_warn)
    yield _other_fill(context, ready, first, images[:_FEW], fill, drops[:_FEW], fill_warn)
    if first is not None:
        yield _approximation(ready, first, images[:1], samples[0].predicted, covered[:1])
    yield Finding("occlusion.inference", Verdict.INFO, _("how the scores were computed: {how}", how=ready.how))


def _sizes(images: Tensor, window: int | str | Sequence[int], stride: int | str | Sequence[int]) -> tuple[Pair, Pair]:
    """Return height and width of the window, and of the step.

    Raises:
        UsageError: They don't fit the images.
    """
    height, width = images.shape[2:]
    usual = max(1, round(_USUAL * min(height, width)))
    size = _pair("window", window, (usual, usual))
    step = _pair("stride", stride, (max(1, round(2 * size[0] / 3)), max(1, round(2 * size[1] / 3))))
    if size[0] > height or size[1] > width:
        raise UsageError(f"occlusion.window is {size[0]} x {size[1]}, but the network sees {height} x {width} pixels")
    return size, step


def _pair(name: str, asked: int | str | Sequence[int], usual: Pair) -> Pair:
    if isinstance(asked, str):
        return usual
    numbers = (asked, asked) if isinstance(asked, int) else tuple(asked)
    if len(numbers) != 2:
        raise UsageError(f"occlusion.{name} is {numbers}, but has to be auto, one number, or two: height, width")
    return numbers[0], numbers[1]


def _cover(context: Context, images: Tensor, kind: Filling, size: Pair) -> Tensor:
    from auditor.data.filling import filling

    random = context.random("occlusion.fill")
    return filling(kind, images, context.preprocess, blur=min(size) / 2, random=random)


def _finest(
    ready: Occluder,
    first: Occluder | None,
    image: Tensor,
    classes: Sequence[int],
    cover: Tensor,
    seen: Callable[[int], None],
) -> tuple[OcclusionMap, OcclusionMap | RefinedMap]:
    """Cover one image everywhere, or, after a first pass, where that made a difference; return both passes."""
    if first is None:
        found = methods.occlude(ready, image, list(classes), fill=cover, seen=seen)
        return found, found
    finest = methods.refine(ready, first, image, list(classes), fill=cover, seen=seen)
    return finest.coarse, finest


def _classes(sample: Sample) -> tuple[int, ...]:
    """Return the answer, and the true class where it is another."""
    answer = sample.predicted
    return (answer,) if sample.label in (None, answer) else (answer, int(sample.label))


def _arrays(
    sample: Sample, classes: Sequence[int], found: OcclusionMap, finest: OcclusionMap | RefinedMap
) -> dict[str, Any]:
    maps = {
        "drop": finest.drop,
        "attribution": finest.attribution,
        "logit_drop": found.logit_drop,
        "predicted": found.predicted,
    }
    arrays = {"classes": np.array(classes), **{name: values.cpu().numpy() for name, values in maps.items()}}
    return {f"{sample.name}/{name}": values for name, values in arrays.items()}


@dataclass(frozen=True, slots=True)
class _Measured:
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


def _measured(sample: Sample, found: OcclusionMap, finest: OcclusionMap | RefinedMap) -> _Measured:
    drop, logits = finest.drop[0].cpu().numpy(), found.logit_drop[0].cpu().numpy()
    finite = bool(np.isfinite(logits).all() and np.isfinite(sample.scores).all())
    worst = np.unravel_index(drop.argmax(), drop.shape)
    windows = finest.windows
    middle = (windows.rows[worst[0]] + windows.window[0] / 2, windows.cols[worst[1]] + windows.window[1] / 2)
    clean, spread = float(found.clean[0]), float(sample.scores.std())
    largest = float(np.abs(logits).max())
    return _Measured(
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


def _concentrated(
    context: Context, sound: Sequence[_Measured], area: float, share: float, estimated: str
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


def _border(context: Context, sound: Sequence[_Measured], share: float, estimated: str) -> Iterator[Finding]:
    told = [one for one in sound if one.change >= _STILL and not math.isnan(one.frame)]
    hits = {one.name: one.frame > share for one in told}
    about = _("more than {share:.0%} of what covering takes away comes from the frame", share=share)
    yield from _by_class("occlusion.border", context, told, hits, about, estimated)


def _by_class(
    rule: str, context: Context, images: Sequence[_Measured], hits: Mapping[str, bool], about: str, estimated: str
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


def _accused(
    rule: str, context: Context, group: Sequence[_Measured], count: int, about: str, estimated: str
) -> Finding:
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


def _insensitive(sound: Sequence[_Measured], warn: float) -> Finding:
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
        detail=" ".join(part for part in (detail, confidence.told(interval, warn) if still else "") if part),
    )


def _other_fill(
    context: Context,
    ready: Occluder,
    first: Occluder | None,
    images: Tensor,
    fill: Filling,
    drops: Sequence[NDArray[np.float32]],
    warn: float,
) -> Finding:
    """Judge how much the map depends on what covers the image, on a few images."""
    other: Filling = "grey" if fill == "mean" else "mean"
    answers = [sample.predicted for sample in context.samples[: len(images)]]
    cover = _cover(context, images, other, ready.windows.window)
    found: OcclusionMap | RefinedMap
    if first is None:
        found = methods.occlude(ready, images, answers, fill=cover)
    else:
        found = methods.refine(ready, first, images, answers, fill=cover)
    others = found.drop.cpu().numpy()
    alike = [methods.rank_correlation(a, b) for a, b in zip(drops, others, strict=True)]
    told = [one for one in alike if not math.isnan(one)]
    if not told:
        return Finding("occlusion.fill", Verdict.SKIP, _("no map can be compared: covering changes nothing"))
    value = float(np.median(told))
    return Finding(
        "occlusion.fill",
        at_least(value, warn=warn),
        _(
            "filled with {fill} or with {other}, the maps have a rank correlation of {r:.2f}",
            fill=_(_FILLINGS[fill]),
            other=_(_FILLINGS[other]),
            r=value,
        ),
        value=value,
        unit="ρ",
        limit=warn,
        n=len(told),
        detail=_("The two put the evidence at different places: trust only what both show.") if value < 0.5 else "",
    )


def _approximation(ready: Occluder, first: Occluder, image: Tensor, target: int, cover: Tensor) -> Finding:
    full = methods.occlude(ready, image, target, fill=cover).drop
    near = methods.refine(ready, first, image, target, fill=cover)
    value = methods.rank_correlation(near.drop.cpu().numpy(), full.cpu().numpy())
    if math.isnan(value):
        return Finding("occlusion.refined", Verdict.SKIP, _("no map can be compared: covering changes nothing"))
    share = float(near.computed.float().mean())
    message = _(
        "the maps are approximate: {share:.0%} of the small windows were tried, and on one image the rank correlation "
        "to the full map is {r:.2f}",
        share=share,
        r=value,
    )
    return Finding("occlusion.refined", Verdict.INFO, message, value=value, unit="ρ", n=1)

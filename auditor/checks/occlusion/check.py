"""Occlusion: how the prediction changes when a window covers a part of the image."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.check import Check, Count, Share, Steps
from auditor.checks.occlusion import findings, rules
from auditor.checks.occlusion.figures import row
from auditor.config.options import Range
from auditor.context import tensors
from auditor.errors import UsageError
from auditor.judging.grounds import ANSWERS, WEIGHTS
from auditor.language import _, marked
from auditor.results import Arrays, Finding, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context, Sample
    from auditor.methods import Occluder, OcclusionMap, RefinedMap

Pair = tuple[int, int]
Pixels = Literal["auto"] | Count | tuple[Count, ...]
Filling = Literal["grey", "black", "mean", "blur", "noise"]
Gibibytes = Annotated[float, Range(0.01)]

_SIDE = 0.107  # default side of the window, as a share of the shorter side of the image: 24 of 224 pixels
_LABELS = 3  # of an image that has several
_COMPARED = 3  # images whose maps are computed with a second fill, too
_ESTIMATED = marked("The maps are approximate: small windows are estimated where large ones made no difference.")
_FILLINGS: dict[Filling, str] = {
    "grey": marked("grey"),
    "black": marked("black"),
    "mean": marked("mean"),
    "blur": marked("blur"),
    "noise": marked("noise"),
}


@Check.with_rules(*rules.RULES, needs=(WEIGHTS, ANSWERS))
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
    """Which parts of the image does the prediction need?

    A window slides over the image; each cell of the three maps is one position of the window. The maps show the
    remaining probability of the named class, the remaining activation of the feature map of the last layer that is
    strongest on the whole image, and the most probable class (cells without a digit: the most frequent one). The
    attribution map lies over the image in grey: the mean drop of the probability over all windows that cover a pixel.
    Occlusion runs the network itself and uses no gradient, but its result depends on the fill.

    Args:
        window: height and width of the window in pixels, one number or two. auto is a ninth of the shorter side: under
            2 % of the area, for images of 8 pixels and more.
        stride: step of the window in pixels, one number or two. auto is two thirds of the window.
        fill: what covers the image: grey (half of full intensity), black, mean (of the image), blur or noise.
        refine: cover the image with windows of twice the size first, and with small ones only where that made a
            difference. The maps are approximate; the difference to the full map is measured on one image.
        memory: GiB of memory that may be used in addition to the network.
        concentrated_share: share of the probability that one small window may remove.
        border_share: share of the total drop that may come from the outer tenth on each side.
        insensitive_warn: share of images on which no window changes the score, above which the audit warns.
        fill_warn: rank correlation between the maps of two fills, below which the audit warns.
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014. Incremental inference:
        Nakandala, Kumar, Papakonstantinou, SIGMOD 2019. Shortcuts: Lapuschkin et al., Nature Communications 2019.
    """
    samples = context.samples
    images = tensors(context, samples)
    size, step = _sizes(images, window, stride)
    occluder = methods.Occluder(context.network, images, window=size, stride=step, memory=round(memory * 2**30))
    coarse = methods.coarser_than(occluder, 2) if refine else None
    covers = _covers(context, images, fill, size)
    measured: list[findings.Measured] = []
    drops: list[NDArray[np.float32]] = []  # of the predicted class
    with context.working(len(occluder.windows) * len(samples), "windows") as advance:
        for number, sample in enumerate(samples):
            classes = _classes(sample)
            image, cover = images[number : number + 1], covers[number : number + 1]
            found, finest = _occluded(occluder, coarse, image, classes, cover, context.score, advance)
            measured.append(findings.measured(sample, found, finest))
            drops.append(finest.drop[0].cpu().numpy())
            yield row(context, sample, classes, found, finest)
            yield Arrays(_arrays(sample, classes, found, finest))
    finite = [one for one in measured if one.finite]
    area = math.prod(occluder.windows.window) / math.prod(occluder.windows.image)
    remark = _(_ESTIMATED) if coarse is not None else ""
    yield from findings.concentrated(finite, context.classes, area=area, share=concentrated_share, remark=remark)
    yield from findings.border(finite, context.classes, share=border_share, remark=remark)
    yield findings.insensitive(finite, insensitive_warn)
    yield _other_fill(context, occluder, coarse, images[:_COMPARED], fill, drops[:_COMPARED], fill_warn)
    if coarse is not None:
        yield _approximation(occluder, coarse, images[:1], samples[0].predicted, covers[:1], context.score)
    yield Finding("occlusion.inference", Verdict.INFO, _("computation of the scores: {how}", how=occluder.how))


def _sizes(images: Tensor, window: int | str | Sequence[int], stride: int | str | Sequence[int]) -> tuple[Pair, Pair]:
    """Return height and width of the window and of its step, in pixels.

    Raises:
        UsageError: The window is larger than the images, or an option has another number of values than one or two.
    """
    height, width = images.shape[2:]
    default = max(1, round(_SIDE * min(height, width)))
    size = _pair("window", window, (default, default))
    step = _pair("stride", stride, (max(1, round(2 * size[0] / 3)), max(1, round(2 * size[1] / 3))))
    if size[0] > height or size[1] > width:
        raise UsageError(f"occlusion.window is {size[0]} x {size[1]}, but the network sees {height} x {width} pixels")
    return size, step


def _pair(name: str, value: int | str | Sequence[int], default: Pair) -> Pair:
    if isinstance(value, str):
        return default
    numbers = (value, value) if isinstance(value, int) else tuple(value)
    if len(numbers) != 2:
        raise UsageError(f"occlusion.{name} is {numbers}, but has to be auto, one number, or two: height, width")
    return numbers[0], numbers[1]


def _covers(context: Context, images: Tensor, kind: Filling, size: Pair) -> Tensor:
    """Return what each image is covered with, `[n, c, h, w]`."""
    from auditor.data.filling import filling

    random = context.random("occlusion.fill")
    return filling(kind, images, context.preprocess, blur=min(size) / 2, random=random)


def _occluded(
    occluder: Occluder,
    coarse: Occluder | None,
    image: Tensor,
    classes: Sequence[int],
    cover: Tensor,
    score: Literal["probability", "sigmoid"],
    advance: Callable[[int], None],
) -> tuple[OcclusionMap, OcclusionMap | RefinedMap]:
    """Return the map of the first pass, and the one with the smallest windows; without refinement they are the same."""
    if coarse is None:
        found = methods.occlude(occluder, image, list(classes), fill=cover, score=score, seen=advance)
        return found, found
    finest = methods.refine(occluder, coarse, image, list(classes), fill=cover, score=score, seen=advance)
    return finest.coarse, finest


def _classes(sample: Sample) -> tuple[int, ...]:
    """Return the predicted class, then the true class if it is another one; of several true labels the first ones."""
    predicted = sample.predicted
    if sample.labels:
        return tuple(int(label) for label in sample.ranked[: min(len(sample.labels), _LABELS)])
    return (predicted,) if sample.label in (None, predicted) else (predicted, int(sample.label))


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


def _other_fill(
    context: Context,
    occluder: Occluder,
    coarse: Occluder | None,
    images: Tensor,
    fill: Filling,
    drops: Sequence[NDArray[np.float32]],
    warn: float,
) -> Finding:
    """Compare the maps of a few images with those of a second fill."""
    other: Filling = "grey" if fill == "mean" else "mean"
    predicted = [sample.predicted for sample in context.samples[: len(images)]]
    cover = _covers(context, images, other, occluder.windows.window)
    found: OcclusionMap | RefinedMap
    if coarse is None:
        found = methods.occlude(occluder, images, predicted, fill=cover, score=context.score)
    else:
        found = methods.refine(occluder, coarse, images, predicted, fill=cover, score=context.score)
    others = found.drop.cpu().numpy()
    correlations = [methods.rank_correlation(a, b) for a, b in zip(drops, others, strict=True)]
    return findings.other_fill(correlations, _(_FILLINGS[fill]), _(_FILLINGS[other]), warn)


def _approximation(
    occluder: Occluder,
    coarse: Occluder,
    image: Tensor,
    target: int,
    cover: Tensor,
    score: Literal["probability", "sigmoid"],
) -> Finding:
    """Compare the approximate map of one image with the full one."""
    full = methods.occlude(occluder, image, target, fill=cover, score=score).drop
    refined = methods.refine(occluder, coarse, image, target, fill=cover, score=score)
    correlation = methods.rank_correlation(refined.drop.cpu().numpy(), full.cpu().numpy())
    return findings.approximation(correlation, float(refined.computed.float().mean()))

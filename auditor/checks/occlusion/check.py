"""What the network says when a part of the image is covered."""

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
from auditor.language import _, marked
from auditor.results import Arrays, Finding, Verdict, at_least

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context, Sample
    from auditor.methods import Occluder, OcclusionMap, RefinedMap

Pair = tuple[int, int]
Pixels = Literal["auto"] | Count | tuple[Count, ...]
Filling = Literal["grey", "black", "mean", "blur", "noise"]
Gibibytes = Annotated[float, Range(0.01)]

_USUAL = 0.107  # side of the window, of the shorter side of the image: 24 of 224 pixels
_FEW = 3
_ESTIMATED = marked("The maps are approximate: where large windows made no difference, small ones are estimated.")
_FILLINGS: dict[Filling, str] = {
    "grey": marked("grey"),
    "black": marked("black"),
    "mean": marked("mean"),
    "blur": marked("blur"),
    "noise": marked("noise"),
}


@Check.with_rules(*rules.RULES)
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
    measured: list[findings.Measured] = []
    drops: list[NDArray[np.float32]] = []  # of the answer
    with context.working(len(ready.windows) * len(samples), "windows") as seen:
        for place, sample in enumerate(samples):
            classes = _classes(sample)
            image, cut = images[place : place + 1], covered[place : place + 1]
            found, finest = _finest(ready, first, image, classes, cut, seen)
            measured.append(findings.measured(sample, found, finest))
            drops.append(finest.drop[0].cpu().numpy())
            yield row(context, sample, classes, found, finest)
            yield Arrays(_arrays(sample, classes, found, finest))
    sound = [one for one in measured if one.finite]
    area = math.prod(ready.windows.window) / math.prod(ready.windows.image)
    estimated = _(_ESTIMATED) if first is not None else ""
    yield from findings.concentrated(context, sound, area, concentrated_share, estimated)
    yield from findings.border(context, sound, border_share, estimated)
    yield findings.insensitive(sound, insensitive_warn)
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

"""Whether attribution maps depend on the trained weights, and whether they mark what the prediction needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from auditor import methods
from auditor.check import Check, Count, Share, Steps
from auditor.checks.trust import findings, rules
from auditor.checks.trust.faithfulness import DeletionCurves, deletion_curves
from auditor.checks.trust.figures import agreement, deletion_figures, randomization_figures, row, table
from auditor.checks.trust.randomization import Maps, Randomization, randomized
from auditor.config.options import Range
from auditor.context import tensors
from auditor.errors import Skip
from auditor.judging.grounds import ANSWERS, WEIGHTS
from auditor.language import _
from auditor.methods.attribution.names import OCCLUSION
from auditor.results import Arrays, Finding, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context, Sample
    from auditor.methods import Location

Correlation = Annotated[float, Range(-1, 1)]

_PATCHES = 7  # along the shorter side of the image
_WINDOWS = 5  # of occlusion, along the shorter side of the image


@Check.with_rules(*rules.RULES, needs=(WEIGHTS, ANSWERS))
def trust(
    context: Context,
    *,
    images: Count = 8,
    depths: Count = 4,
    shown: Count = 1,
    patch: Literal["auto"] | Count = "auto",
    steps: Count = 7,
    orders: Count = 3,
    occlusion: Annotated[int, Range(0)] = 4,
    randomization_warn: Correlation = 0.5,
    faithfulness_warn: Share = 0.05,
) -> Steps:
    """Can the attribution maps be trusted?

    Randomization replaces the weights of the layers by random ones, from the last layer to the first: a map that stays
    the same does not show what the network has learnt. Deletion replaces the image patch by patch, the patches that
    the map ranks highest first, and insertion puts them into a blurred image in the same order: the better the method,
    the faster the probability of the predicted class falls or rises, compared with random orders. Deconvnet, guided
    backprop and guided Grad-CAM are known to ignore the last layers of any network (Adebayo et al. 2018). They are
    reported, not judged.

    Args:
        images: how many of the explained images are used.
        depths: number of randomization steps: the last layer, all layers, half of them, a quarter and so on.
        shown: number of images whose maps are shown with the layers randomised.
        patch: side in pixels of a patch that is replaced at once; auto is a seventh of the shorter side of the image.
        steps: number of steps in which the whole image is replaced.
        orders: number of random orders to compare with, for each image.
        occlusion: on how many of these images occlusion is computed, with windows of a fifth of the image's side. It
            takes many forward passes. It is judged for faithfulness only if it is computed on all of the images.
        randomization_warn: rank correlation with the trained network's map, above which the audit warns.
        faithfulness_warn: p-value above which a method counts as no better than random order.
    Source:
        Randomization: Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018. Insertion and deletion: Petsiuk,
        Das, Saenko, RISE, BMVC 2018. Ranks: Wilcoxon 1945, van Elteren 1960. Structural similarity: Wang et al., IEEE
        TIP 2004.
    """
    from auditor.methods.attribution.forward_pass import gradient_problem

    samples = context.samples[:images]
    batch = tensors(context, samples)
    without = gradient_problem(context.network, batch)
    if without:
        yield findings.no_gradient(without)
        occlusion = len(samples) if occlusion else 0
    explain = _explaining(context, samples, occlusion, gradients=not without)
    trained = explain()
    whole = {name: maps for name, maps in trained.items() if name != OCCLUSION or occlusion >= len(samples)}
    curves = _curves(context, samples, batch, whole, patch=patch, steps=steps, orders=orders)
    randomization = _randomization(context, batch, explain, trained, depths=depths, shown=shown)
    if isinstance(randomization, Randomization):
        yield from findings.randomization(randomization, randomization_warn)
    else:
        yield randomization
    yield from findings.faithfulness(curves, list(whole), faithfulness_warn)
    if OCCLUSION not in whole:
        yield findings.occlusion_left_out(occlusion, len(samples))
    if isinstance(randomization, Randomization):
        yield from randomization_figures(randomization)
        for number, sample in enumerate(samples[:shown]):
            yield row(context, sample, number, trained if number < occlusion else whole, randomization)
        yield Arrays(_arrays(randomization))
    yield from deletion_figures(curves)
    if len(trained) > 1:
        yield agreement(trained)
    yield table(curves, list(trained), randomization if isinstance(randomization, Randomization) else None)


def _explaining(
    context: Context, samples: Sequence[Sample], occlusion: int, *, gradients: bool
) -> Callable[[], dict[str, Maps]]:
    """Return a function that computes the maps of the predicted classes with the network as it is when called.

    The maps of occlusion are NaN from image number `occlusion` on.

    Args:
        gradients: Whether methods by gradient are computed; occlusion needs none.

    Raises:
        Skip: Nothing can be computed.
    """
    import torch

    if not gradients and not occlusion:
        raise Skip(_("no gradient reaches the images, and trust.occlusion is 0"))
    images, target = tensors(context, samples), torch.tensor([sample.predicted for sample in samples])
    location = _location(context, images) if gradients else None

    def explain() -> dict[str, Maps]:
        parts = zip(images.split(context.batch_size), target.split(context.batch_size), strict=True)
        found: list[dict[str, Tensor]] = [
            methods.heat_maps(context.network, some, classes, location) if gradients else {} for some, classes in parts
        ]
        if occlusion:
            found[0][OCCLUSION] = _occluded(context, images, target, occlusion)
        every = {name: [part[name] for part in found if name in part] for name in found[0]}
        return {name: torch.cat(maps).cpu().numpy() for name, maps in every.items()}

    return explain


def _location(context: Context, images: Tensor) -> Location | None:
    try:
        return methods.last_maps(context.network, images[:1])
    except ValueError:
        return None


def _occluded(context: Context, images: Tensor, target: Tensor, count: int) -> Tensor:
    """Return the signed occlusion maps of the first images, `[n, h, w]`; the others are NaN.

    They keep their sign: of a network with random weights nothing positive may be left, and then nothing to compare.
    """
    import torch

    from auditor.data.filling import filling

    height, width = images.shape[2:]
    cells = methods.cells_of((height, width), math.ceil(min(height, width) / _WINDOWS))
    grey = filling("grey", images[:count], context.preprocess, blur=0.0, random=context.random("trust.occlusion"))
    maps = torch.full((len(images), height, width), math.nan, device=images.device)
    maps[:count] = methods.losses(
        context.network,
        images[:count],
        grey,
        target[:count],
        cells,
        batch_size=context.batch_size,
        score=context.score,
    )
    return maps


def _curves(
    context: Context,
    samples: Sequence[Sample],
    images: Tensor,
    maps: Mapping[str, Maps],
    *,
    patch: Literal["auto"] | int,
    steps: int,
    orders: int,
) -> DeletionCurves:
    side = max(1, round(min(images.shape[2:]) / _PATCHES)) if patch == "auto" else patch
    target = [sample.predicted for sample in samples]
    with context.working(len(samples), "images") as advance:
        return deletion_curves(context, images, target, maps, side=side, steps=steps, orders=orders, advance=advance)


def _randomization(
    context: Context,
    images: Tensor,
    explain: Callable[[], dict[str, Maps]],
    trained: Mapping[str, Maps],
    *,
    depths: int,
    shown: int,
) -> Randomization | Finding:
    """Return how the maps change with randomised layers, or a finding that says why that can't be measured."""
    try:
        context.layers  # noqa: B018 - raises Skip if the network hides its layers
        with context.working(depths, "depths") as advance:
            return randomized(context, images, explain, trained, depths=depths, shown=shown, advance=advance)
    except (Skip, ValueError) as reason:
        return Finding("trust.randomization", Verdict.SKIP, str(reason))


def _arrays(found: Randomization) -> dict[str, Maps]:
    every = {"correlation": found.correlation, "structure": found.structure, "maps": found.maps}
    return {f"{name}/{kind}": np.asarray(values[name]) for kind, values in every.items() for name in values}

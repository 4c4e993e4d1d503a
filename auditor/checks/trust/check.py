"""Whether the pictures that explain an answer depend on the network, and mark what it needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from auditor import methods
from auditor.check import Check, Count, Share, Steps
from auditor.checks.trust.faithfulness import uncovered
from auditor.checks.trust.figures import agreement, courses, curves, row, table
from auditor.checks.trust.findings import faithfulness, randomization
from auditor.checks.trust.randomization import Maps, Redrawn, redrawn
from auditor.config.options import Range
from auditor.context import tensors
from auditor.errors import Skip
from auditor.language import _, many
from auditor.methods.attribution.names import OCCLUSION, method_name
from auditor.results import Arrays, Finding, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context, Sample
    from auditor.methods import Location

Correlation = Annotated[float, Range(-1, 1)]

_CELLS = 7  # along the shorter side of the image
_WINDOWS = 5  # of occlusion, along the shorter side of the image


@Check
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
    """Can the pictures that explain an answer be believed?

    The layers of the network are drawn again as before training, from the last to the first; a picture that stays the
    same does not show what the network has learnt. The image is taken away patch by patch, what a method marks first
    (deletion), and brought back into a blurred one in the same order (insertion): the better the method, the faster
    the probability of the answer falls, or rises, compared with random orders. Deconvnet, guided backprop and guided
    Grad-CAM are known for hardly depending on the last layers of any network (Adebayo et al. 2018): what is found of
    them is information, and no verdict rests on it.

    Args:
        images: how many of the explained images are looked at.
        depths: how often pictures are made again: with the last layer re-drawn, all, half of them, a quarter and so on.
        shown: on how many images the pictures of the re-drawn network are shown.
        patch: side in pixels of what is taken away at once; auto is a seventh of the shorter side of the image.
        steps: in how many steps the whole image is taken away.
        orders: how many random orders each image is taken away in, to compare with.
        occlusion: on how many of these images occlusion is tried, with windows of a fifth of the image's side. It takes
            many passes; only where these are all of the images it is judged for faithfulness, too.
        randomization_warn: rank correlation with the picture as trained, over which the audit warns.
        faithfulness_warn: probability of error from which no better than random is said.
    Rules:
        trust.randomization: the rank correlation (Spearman) of a method's map as trained with the one after all layers
            were re-drawn; a median over the images of more than 0.5 is a warning (heuristic). Of deconvnet, guided
            backprop and guided Grad-CAM it is information, and told of the last half of the layers.
        trust.faithfulness: deletion or insertion in a method's order is no better than in random order, by the area
            under the curve (its rank among those of random orders, summed over the images, by an exact test; the worse
            of the two, corrected by Holm for the number of methods that are judged); where the error is more than 5 %,
            a warning (heuristic) on 20 images or more, and on fewer if the order is worse than random by the same test;
            else too few to tell, which is skipped. Of deconvnet, guided backprop and guided Grad-CAM it is information,
            and not corrected.
    Source:
        Randomisation: Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018. Insertion and deletion: Petsiuk,
        Das, Saenko, RISE, BMVC 2018. Ranks: Wilcoxon 1945, van Elteren 1960. Structural similarity: Wang et al., IEEE
        TIP 2004.
    """
    samples = context.samples[:images]
    explain = _explaining(context, samples, occlusion)
    trained = explain()
    whole = {name: maps for name, maps in trained.items() if name != OCCLUSION or occlusion >= len(samples)}
    batch = tensors(context, samples)
    with context.working(len(samples), "images") as seen:
        side = max(1, round(min(batch.shape[2:]) / _CELLS)) if patch == "auto" else patch
        target = [sample.predicted for sample in samples]
        bared = uncovered(context, batch, target, whole, side=side, steps=steps, orders=orders, seen=seen)
    forgotten = _redrawn(context, batch, explain, trained, depths, shown)
    if isinstance(forgotten, Redrawn):
        yield from randomization(forgotten, randomization_warn)
    else:
        yield forgotten
    yield from faithfulness(bared, list(whole), faithfulness_warn)
    if OCCLUSION not in whole:
        yield _left_out(occlusion, len(samples))
    if isinstance(forgotten, Redrawn):
        yield from courses(forgotten)
        for place, sample in enumerate(samples[:shown]):
            yield row(context, sample, place, trained if place < occlusion else whole, forgotten)
        yield Arrays(_arrays(forgotten))
    yield from curves(bared)
    if len(trained) > 1:
        yield agreement(trained)
    yield table(bared, list(trained), forgotten if isinstance(forgotten, Redrawn) else None)


def _explaining(context: Context, samples: Sequence[Sample], occlusion: int) -> Callable[[], dict[str, Maps]]:
    """Return what explains the answers to the images by the network as it is when it is called.

    Maps of occlusion are no numbers from image number `occlusion` on.
    """
    import torch

    images, target = tensors(context, samples), torch.tensor([sample.predicted for sample in samples])
    location = _location(context, images)

    def explain() -> dict[str, Maps]:
        parts = zip(images.split(context.batch_size), target.split(context.batch_size), strict=True)
        found = [methods.heat_maps(context.network, some, asked, location) for some, asked in parts]
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
    """Return signed maps: of what the pictures show, none may be left where a network has forgotten the class."""
    import torch

    from auditor.data.filling import filling

    height, width = images.shape[2:]
    cells = methods.cells_of((height, width), math.ceil(min(height, width) / _WINDOWS))
    grey = filling("grey", images[:count], context.preprocess, blur=0.0, random=context.random("trust.occlusion"))
    maps = torch.full((len(images), height, width), math.nan, device=images.device)
    maps[:count] = methods.losses(
        context.network, images[:count], grey, target[:count], cells, batch_size=context.batch_size
    )
    return maps


def _redrawn(
    context: Context, images: Tensor, explain: Callable[[], dict[str, Maps]], trained: Mapping[str, Maps], *how: int
) -> Redrawn | Finding:
    """Return what becomes of the maps, or why that can't be told."""
    depths, shown = how
    try:
        context.layers  # noqa: B018 - of a network that hides them no layer can be re-drawn
        with context.working(depths, "depths") as seen:
            return redrawn(context, images, explain, trained, depths=depths, shown=shown, seen=seen)
    except (Skip, ValueError) as reason:
        return Finding("trust.randomization", Verdict.SKIP, str(reason))


def _left_out(tried: int, images: int) -> Finding:
    if not tried:
        reason = _("{method}: not tried, as trust.occlusion is 0", method=method_name(OCCLUSION))
        return Finding("trust.randomization", Verdict.SKIP, reason, subject=OCCLUSION)
    reason = many(
        "{method}: its maps were made of {count} image alone, as they take many passes; -o trust.occlusion={images} "
        "makes them of all",
        "{method}: its maps were made of {count} images alone, as they take many passes; -o trust.occlusion={images} "
        "makes them of all",
        tried,
        method=method_name(OCCLUSION),
        images=images,
    )
    return Finding("trust.faithfulness", Verdict.SKIP, reason, subject=OCCLUSION)


def _arrays(found: Redrawn) -> dict[str, Maps]:
    every = {"correlation": found.correlation, "structure": found.structure, "maps": found.twins}
    return {f"{name}/{kind}": np.asarray(values[name]) for kind, values in every.items() for name in values}

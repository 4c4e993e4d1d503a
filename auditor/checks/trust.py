"""Whether the pictures that explain an answer depend on the network, and mark what it needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np

from auditor import methods
from auditor.check import Check, Count, Share, Steps
from auditor.errors import Skip
from auditor.explained import tensors
from auditor.language import _, marked
from auditor.methods.names import HEEDLESS, OCCLUSION, method_told
from auditor.options import Range
from auditor.redrawn import Maps, Redrawn, redrawn
from auditor.redrawn_rows import row
from auditor.results import Arrays, Finding, Verdict, at_most
from auditor.trust_figures import agreement, courses, curves, table
from auditor.uncovered import Uncovered, uncovered

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context, Sample
    from auditor.methods import Location

Correlation = Annotated[float, Range(-1, 1)]

_CELLS = 7  # along the shorter side of the image
_COARSE = 0.214  # side of the window of occlusion, of the shorter side of the image
_NO_VERDICT = marked(
    "It is known for that on any network (Adebayo et al. 2018): it shows what is in the image more than why the "
    "network answered so, and no verdict rests on it."
)
_SAME_ANYWHERE = marked(
    "Don't read a reason for the answer out of these pictures: a network that has forgotten its classes gives nearly "
    "the same. Networks of few layers, and those that training has hardly moved, are like that; else look at a method "
    "that changes."
)
_AT_RANDOM = marked(
    "Don't take what it marks for what the answer needs; see the curves, and whether other methods do better. With "
    "more explained images (--samples) a small difference shows, too."
)


@Check
def trust(
    context: Context,
    *,
    images: Count = 8,
    depths: Count = 4,
    shown: Count = 2,
    patch: Literal["auto"] | Count = "auto",
    steps: Count = 7,
    orders: Count = 3,
    occlusion: bool = False,
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
        occlusion: try occlusion, too, with windows twice as large as usual; that multiplies the time.
        randomization_warn: rank correlation with the picture as trained, over which the audit warns.
        faithfulness_warn: probability of error from which no better than random is said.
    Rules:
        trust.randomization: the rank correlation (Spearman) of a method's map as trained with the one after the last
            half of the layers was re-drawn; a median over the images of more than 0.5 is a warning (heuristic). Of
            deconvnet, guided backprop and guided Grad-CAM it is information.
        trust.faithfulness: deletion or insertion in a method's order is no better than in random order, by the area
            under the curve (Wilcoxon's signed ranks over the images, the worse of the two, corrected by Holm for the
            number of methods that are judged); an error of more than 5 % is a warning (heuristic). Of deconvnet, guided
            backprop and guided Grad-CAM it is information, and not corrected.
    Source:
        Randomisation: Adebayo et al., Sanity Checks for Saliency Maps, NeurIPS 2018. Insertion and deletion: Petsiuk,
        Das, Saenko, RISE, BMVC 2018. Structural similarity: Wang et al., IEEE TIP 2004.
    """
    samples = context.samples[:images]
    explain = _explaining(context, samples, occlusion)
    trained = explain()
    batch = tensors(context, samples)
    with context.working(len(samples), "images") as seen:
        side = max(1, round(min(batch.shape[2:]) / _CELLS)) if patch == "auto" else patch
        target = [sample.predicted for sample in samples]
        bared = uncovered(context, batch, target, trained, side=side, steps=steps, orders=orders, seen=seen)
    forgotten = _redrawn(context, batch, explain, trained, depths, shown)
    if isinstance(forgotten, Redrawn):
        yield from _randomization(forgotten, randomization_warn)
    else:
        yield forgotten
    yield from _faithfulness(bared, list(trained), faithfulness_warn)
    if not occlusion:
        yield _left_out()
    if isinstance(forgotten, Redrawn):
        yield from courses(forgotten)
        yield from (row(context, sample, place, trained, forgotten) for place, sample in enumerate(samples[:shown]))
        yield Arrays(_arrays(forgotten))
    yield from curves(bared)
    if len(trained) > 1:
        yield agreement(trained)
    yield table(bared, list(trained), forgotten if isinstance(forgotten, Redrawn) else None)


def _explaining(context: Context, samples: Sequence[Sample], occlusion: bool) -> Callable[[], dict[str, Maps]]:
    """Return what explains the answers to the images by the network as it is when it is called."""
    import torch

    images, target = tensors(context, samples), torch.tensor([sample.predicted for sample in samples])
    location = _location(context, images)

    def explain() -> dict[str, Maps]:
        parts = zip(images.split(context.batch_size), target.split(context.batch_size), strict=True)
        found = [methods.heat_maps(context.network, some, asked, location) for some, asked in parts]
        if occlusion:
            found[0][OCCLUSION] = _occluded(context, images, target)
        every = {name: [part[name] for part in found if name in part] for name in found[0]}
        return {name: torch.cat(maps).cpu().numpy() for name, maps in every.items()}

    return explain


def _location(context: Context, images: Tensor) -> Location | None:
    try:
        return methods.last_maps(context.network, images[:1])
    except ValueError:
        return None


def _occluded(context: Context, images: Tensor, target: Tensor) -> Tensor:
    from auditor.data.filling import filling

    window = max(1, round(_COARSE * min(images.shape[2:])))
    grey = filling("grey", images, context.preprocess, blur=0.0, random=context.random("trust.occlusion"))
    stride = max(1, round(2 * window / 3))
    found = methods.occlusion(
        context.network, images, target, window=window, stride=stride, fill=grey, incremental=False
    )
    return found.attribution.clamp(min=0)


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


def _randomization(found: Redrawn, warn: float) -> Iterator[Finding]:
    for name in found.correlation:
        told = found.correlation[name][found.half]
        told = told[np.isfinite(told)]
        if len(told):
            yield _dependence(found, name, told.tolist(), warn)
        else:
            reason = _("{method}: no map can be compared, as they are constant or no numbers", method=method_told(name))
            yield Finding("trust.randomization", Verdict.SKIP, reason, subject=name)


def _dependence(found: Redrawn, name: str, told: Sequence[float], warn: float) -> Finding:
    value, count = float(np.median(told)), found.counts[found.half]
    verdict = at_most(value, warn=warn)
    numbers = {"method": method_told(name), "count": count, "total": found.total, "value": value}
    changes = verdict is Verdict.PASS
    return Finding(
        "trust.randomization",
        Verdict.INFO if name in HEEDLESS else verdict,
        _(
            "{method}: changes with the last layers of this network; with {count} of {total} re-drawn its rank "
            "correlation is {value:.2f}",
            **numbers,
        )
        if changes
        else _(
            "{method}: hardly depends on the last layers of this network; with {count} of {total} re-drawn its rank "
            "correlation is {value:.2f}",
            **numbers,
        ),
        subject=name,
        value=value,
        limit=warn,
        unit="ρ",
        n=len(told),
        interval=methods.median_interval(told),
        detail="" if changes else _(_NO_VERDICT) if name in HEEDLESS else _(_SAME_ANYWHERE),
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """Whether a method's order is better than a random one.

    Attributes:
        better: On how many of `n` images, at deletion and at insertion.
        errors: The probability that this is chance, of both.
    """

    name: str
    n: int
    better: tuple[int, int]
    errors: tuple[float, float]

    @classmethod
    def of(cls, name: str, found: Uncovered) -> _Judged:
        gains = np.stack(found.gains(name))  # [2, n]
        taken, added = gains[:, np.isfinite(gains).all(0)].tolist()
        better = sum(gain > 0 for gain in taken), sum(gain > 0 for gain in added)
        return cls(name, len(taken), better, (methods.signed_rank(taken), methods.signed_rank(added)))


def _faithfulness(found: Uncovered, names: Sequence[str], warn: float) -> Iterator[Finding]:
    judged = [_Judged.of(name, found) for name in names]
    counted = [one for one in judged if one.name not in HEEDLESS]
    chances = methods.holm([max(one.errors) for one in counted])
    corrected = {one.name: chance for one, chance in zip(counted, chances, strict=True)}
    for one in judged:
        several = len(counted) if one.name in corrected else 1
        enough = methods.fewest(warn / several) if warn else math.inf
        if one.n >= enough:
            yield _against_chance(one, found, corrected.get(one.name, max(one.errors)), warn)
        else:
            yield Finding(
                "trust.faithfulness",
                Verdict.SKIP,
                _(
                    "{method}: {n} images are too few to tell it from a random order; it takes {enough}",
                    method=method_told(one.name),
                    n=one.n,
                    enough=enough,
                ),
                subject=one.name,
                n=one.n,
                detail=_("Explain more images, with --samples and trust.images."),
            )


def _against_chance(one: _Judged, found: Uncovered, chance: float, warn: float) -> Finding:
    verdict = at_most(chance, warn=warn)
    better = verdict is Verdict.PASS
    advice = "" if better else _(_NO_VERDICT) if one.name in HEEDLESS else _(_AT_RANDOM)
    return Finding(
        "trust.faithfulness",
        Verdict.INFO if one.name in HEEDLESS else verdict,
        _compared(one, chance, warn),
        subject=one.name,
        value=chance,
        limit=warn,
        n=one.n,
        detail=f"{_areas(one, found)} {advice}".rstrip(),
    )


def _compared(one: _Judged, chance: float, warn: float) -> str:
    numbers = {"method": method_told(one.name), "taken": one.better[0], "added": one.better[1], "n": one.n}
    correction = chance / max(one.errors)
    by_chance = tuple(error * correction > warn for error in one.errors)
    if by_chance == (True, False):
        return _(
            "{method}: no better than a random order at taking the image away ({taken} of {n} images better), only at "
            "bringing it back ({added} of {n})",
            **numbers,
        )
    if by_chance == (False, True):
        return _(
            "{method}: no better than a random order at bringing the image back ({added} of {n} images better), only "
            "at taking it away ({taken} of {n})",
            **numbers,
        )
    if by_chance == (True, True):
        return _(
            "{method}: no better than a random order, be it at taking the image away ({taken} of {n} images better) or "
            "at bringing it back ({added} of {n})",
            **numbers,
        )
    return _(
        "{method}: better than a random order at taking the image away ({taken} of {n} images) and at bringing it back "
        "({added} of {n})",
        **numbers,
    )


def _areas(one: _Judged, found: Uncovered) -> str:
    (taken, added), (taken_by_chance, added_by_chance) = found.areas(one.name), found.areas_by_chance
    return _(
        "Median area under the curve at deletion: {taken:.3f}, in random order {taken_by_chance:.3f} (p = "
        "{taken_error:.3g}); at insertion: {added:.3f}, in random order {added_by_chance:.3f} (p = {added_error:.3g}).",
        taken=taken,
        taken_by_chance=taken_by_chance,
        taken_error=one.errors[0],
        added=added,
        added_by_chance=added_by_chance,
        added_error=one.errors[1],
    )


def _left_out() -> Finding:
    reason = _(
        "{method}: not tried, as it takes many passes; ask for it with -o trust.occlusion=true",
        method=method_told(OCCLUSION),
    )
    return Finding("trust.randomization", Verdict.SKIP, reason, subject=OCCLUSION)


def _arrays(found: Redrawn) -> dict[str, Maps]:
    every = {"correlation": found.correlation, "structure": found.structure, "maps": found.twins}
    return {f"{name}/{kind}": np.asarray(values[name]) for kind, values in every.items() for name in values}

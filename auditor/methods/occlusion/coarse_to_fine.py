"""Occlusion from coarse to fine: small windows only where large ones make a difference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.attribution.targets import classes_of
from auditor.methods.occlusion.occluded import Fill, OcclusionMap, Score, filling_of, occlude
from auditor.methods.occlusion.occluder import How, Occluder
from auditor.methods.occlusion.score_table import table
from auditor.methods.occlusion.windows import Size, Windows


@dataclass(frozen=True, eq=False)
class RefinedMap:
    """An estimate of what `occlusion` gives, exact where `computed` is true; `m` as there.

    Attributes:
        drop: The fall of the score. Elsewhere it is the mean of the coarse attribution over the window's pixels,
            times the window's share of the coarse window's area.
        computed: Which windows were computed.
        attribution: The mean drop over the windows that cover a pixel.
        coarse: The first pass.
    """

    drop: Float[Tensor, "m rows cols"]
    computed: Bool[Tensor, "n rows cols"]
    attribution: Float[Tensor, "m h w"]
    coarse: OcclusionMap
    windows: Windows
    how: How


def refined_occlusion(
    model: Model,
    images: Float[Tensor, "n c h w"],
    target: int | Sequence[int] | Tensor,
    *,
    window: Size,
    stride: Size,
    coarser: int = 2,
    flat: float = 0.1,
    fill: Fill = 0.0,
    score: Score = "probability",
    memory: int = 2**30,
    seen: Callable[[int], None] | None = None,
) -> RefinedMap:
    """Do what `occlusion` does, but only where a first pass with larger windows was not flat.

    The map of the first pass is flat at a pixel where its attribution is within `flat` times the largest absolute
    value of the image's map, for each of the classes asked about. A window is computed if one of its pixels is not.
    How well this orders the windows is told by `rank_correlation` with the full map.

    Args:
        coarser: How many times as large the windows and strides of the first pass are; windows are cut to the
            image, and strides to the windows, so that there is no pixel that the first pass does not cover.

    Raises:
        ValueError: `coarser` is below 2 or `flat` is not from 0 to 1; otherwise as `occlusion`.
        IndexError: As `occlusion`.
    """
    fine = Occluder(model, images, window=window, stride=stride, memory=memory)
    return refine(fine, coarser_than(fine, coarser), images, target, flat=flat, fill=fill, score=score, seen=seen)


def coarser_than(fine: Occluder, factor: int) -> Occluder:
    """Return the same network made ready for windows and strides `factor` times as large, as far as they go.

    Windows are cut to the image, and strides to the windows, so that they leave no pixel between them.

    Raises:
        ValueError: `factor` is below 2.
    """
    if factor < 2:
        raise ValueError(f"coarser is {factor}, but has to be at least 2")
    sizes = [min(factor * size, most) for size, most in zip(fine.windows.window, fine.windows.image, strict=True)]
    steps = [min(factor * step, size) for step, size in zip(fine.windows.stride, sizes, strict=True)]
    return fine.at(window=sizes, stride=steps)


def refine(
    fine: Occluder,
    first: Occluder,
    images: Float[Tensor, "n c h w"],
    target: int | Sequence[int] | Tensor,
    *,
    flat: float = 0.1,
    fill: Fill = 0.0,
    score: Score = "probability",
    seen: Callable[[int], None] | None = None,
) -> RefinedMap:
    """Do what `refined_occlusion` does with a network that is ready for both passes.

    Raises:
        ValueError, IndexError: As `refined_occlusion`.
    """
    if not 0 <= flat <= 1:
        raise ValueError(f"flat is {flat}, but has to be from 0 to 1")
    coarse = occlude(first, images, target, fill=fill, score=score, seen=seen)
    computed = _uneven(coarse.attribution, fine.windows, flat, len(images))
    drop = _estimate(coarse, fine.windows)
    classes, filling = classes_of(target, images=len(images)).indices, filling_of(fill, images)
    clean = coarse.clean.view(len(images), -1)
    for i, here in enumerate(computed):
        if here.any():
            rows, _ = table(fine, images[i : i + 1], filling[i : i + 1], classes[i], seen, here)
            values = rows.probability if score == "probability" else rows.logit
            drop.view(len(images), -1, *here.shape)[i][:, here] = (clean[i] - values[1:]).T
    return RefinedMap(drop, computed, fine.windows.spread(drop), coarse, fine.windows, fine.how)


def _uneven(
    attribution: Float[Tensor, "m h w"], windows: Windows, flat: float, images: int
) -> Bool[Tensor, "n rows cols"]:
    """Return the windows that hold a pixel at which the map is not flat."""
    sizes = attribution.abs().unflatten(0, (images, -1))  # n k h w
    uneven = (sizes > flat * sizes.amax((2, 3), keepdim=True)).any(1)  # n h w
    return windows.mean(uneven.to(attribution.dtype)) > 0


def _estimate(coarse: OcclusionMap, windows: Windows) -> Float[Tensor, "m rows cols"]:
    (high, wide), (higher, wider) = windows.window, coarse.windows.window
    return windows.mean(coarse.attribution) * (high * wide / (higher * wider))

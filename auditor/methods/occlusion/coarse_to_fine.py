"""Occlusion from coarse to fine: small windows only where large ones change the score."""

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
    """An estimate of an occlusion map, exact where `computed` is true; `m` as in `OcclusionMap`.

    Attributes:
        drop: The fall of the score. Where it is not computed, it is the mean of the coarse attribution over the
            window's pixels, times the window's share of the coarse window's area.
        computed: The windows that were computed.
        attribution: The mean drop over the windows that cover a pixel.
        coarse: The result of the first pass.
        windows: The positions of the windows.
        how: How the scores were computed.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> def colours(images):  # a model returns scores [n, k]
        ...     return images.sum((2, 3))
        >>> images = torch.zeros(1, 3, 16, 16)
        >>> images[..., :4, :4] = 1.0  # everything is in one corner
        >>> found = methods.refined_occlusion(colours, images, 0, window=4, stride=4, score="logit")
        >>> int(found.computed.sum()), found.computed.numel()  # only the windows of that quarter
        (4, 16)
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
    """Return an occlusion map whose small windows are computed only where a first pass with larger windows is not flat.

    The map of the first pass is flat at a pixel if its absolute attribution is at most `flat` times the largest one in
    the image, for each target class. A window is computed if it has a pixel where the map is not flat. To check the
    order of the windows, compare the result with the full map by `rank_correlation`.

    Args:
        target: As in `occlusion`.
        window: As in `occlusion`.
        stride: As in `occlusion`.
        coarser: Factor of the windows and strides of the first pass. Windows are limited to the image, and strides to
            the windows, so that the first pass covers every pixel.
        flat: 0 to 1.
        fill: As in `occlusion`.
        score: As in `occlusion`.
        memory: As in `occlusion`.
        seen: As in `occlusion`.

    Raises:
        ValueError: `coarser` is less than 2 or `flat` is not from 0 to 1; otherwise as `occlusion`.
        IndexError: As `occlusion`.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> def colours(images):  # a model returns scores [n, k]
        ...     return images.sum((2, 3))
        >>> images = torch.zeros(1, 3, 16, 16)
        >>> images[..., :4, :4] = 1.0
        >>> found = methods.refined_occlusion(colours, images, 0, window=4, stride=4, score="logit")
        >>> found.attribution.shape
        torch.Size([1, 16, 16])
        >>> full = methods.occlusion(colours, images, 0, window=4, stride=4, score="logit")
        >>> torch.equal(found.drop, full.drop)  # exact here: the windows that were not computed change nothing
        True
    """
    fine = Occluder(model, images, window=window, stride=stride, memory=memory)
    return refine(fine, coarser_than(fine, coarser), images, target, flat=flat, fill=fill, score=score, seen=seen)


def coarser_than(fine: Occluder, factor: int) -> Occluder:
    """Return an occluder for windows and strides `factor` times as large, without exporting the network again.

    Windows are limited to the image, and strides to the windows, so that every pixel is covered.

    Raises:
        ValueError: `factor` is less than 2.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> fine = methods.Occluder(lambda images: images.sum((2, 3)), torch.rand(1, 3, 16, 16), window=4, stride=2)
        >>> coarse = methods.coarser_than(fine, 2)
        >>> coarse.windows.window, coarse.windows.stride
        ((8, 8), (4, 4))
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
    """Return the map of `refined_occlusion` from two occluders, which serve any number of images.

    Args:
        fine: The occluder of the small windows.
        first: The occluder of the first pass, for example from `coarser_than`.

    The other arguments are those of `refined_occlusion`.

    Raises:
        ValueError: As `refined_occlusion`.
        IndexError: As `refined_occlusion`.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> images = torch.rand(2, 3, 16, 16)
        >>> fine = methods.Occluder(lambda images: images.sum((2, 3)), images, window=4, stride=4)
        >>> found = methods.refine(fine, methods.coarser_than(fine, 2), images, 0, score="logit")
        >>> found.drop.shape, found.coarse.drop.shape
        (torch.Size([2, 4, 4]), torch.Size([2, 2, 2]))
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
            values = rows.value(score)
            drop.view(len(images), -1, *here.shape)[i][:, here] = (clean[i] - values[1:]).T
    return RefinedMap(drop, computed, fine.windows.spread(drop), coarse, fine.windows, fine.how)


def _uneven(
    attribution: Float[Tensor, "m h w"], windows: Windows, flat: float, images: int
) -> Bool[Tensor, "n rows cols"]:
    """Return the windows with a pixel where the map is not flat."""
    sizes = attribution.abs().unflatten(0, (images, -1))  # n k h w
    uneven = (sizes > flat * sizes.amax((2, 3), keepdim=True)).any(1)  # n h w
    return windows.mean(uneven.to(attribution.dtype)) > 0


def _estimate(coarse: OcclusionMap, windows: Windows) -> Float[Tensor, "m rows cols"]:
    (high, wide), (higher, wider) = windows.window, coarse.windows.window
    return windows.mean(coarse.attribution) * (high * wide / (higher * wider))

"""Where in the image a small change would change the score."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods, pictures
from auditor.check import Check, Share, Steps
from auditor.results import Arrays, Finding, Gallery, Item, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context, Sample

_TINY = 1e-6
_SHOWN = 0.995  # share of pixels that the scale of a map leaves room for


@Check
def saliency(context: Context, *, vanishing_warn: Share = 0.1) -> Steps:
    """Which pixels would change the answer if they changed a little?

    Bright pixels are those where a small change moves the score of the named class the most: the largest
    absolute gradient over the colours. Beside the answer stands the runner-up; two maps that are alike show
    that the network looks at the same place for both. The maps of one image share one scale, which ends at
    the value that 99.5 % of its pixels stay under; the few above it take the last colour.

    Args:
        vanishing_warn: share of images with a vanishing gradient over which the audit warns.
    Rules:
        saliency.vanishing: images whose gradient is zero or under a millionth of the median; over 10 % of
            the images a warning.
        saliency.nonfinite: images whose gradient is NaN or infinite; any is a failure (exact).
    Source:
        Simonyan, Vedaldi, Zisserman: Deep Inside Convolutional Networks, ICLR workshop 2014.
    """
    samples = context.samples
    maps = {rank: _maps(context, samples, rank) for rank in (0, 1)}  # of the answer and the runner-up
    yield from _not_finite(maps[0], samples)
    yield _vanishing(maps[0], samples, vanishing_warn)
    for place, sample in enumerate(samples):
        yield _row(context, sample, [maps[rank][place] for rank in maps])
    yield Arrays({"answer": maps[0], "runner_up": maps[1]})


def _maps(context: Context, samples: Sequence[Sample], rank: int) -> NDArray[np.float32]:
    maps = []
    for sample in samples:
        image = sample.tensor[None].to(context.network.device)
        maps.append(methods.saliency(context.network, image, int(sample.ranked[rank]))[0].cpu().numpy())
    return np.stack(maps)


def _not_finite(maps: NDArray[np.float32], samples: Sequence[Sample]) -> Iterator[Finding]:
    bad = [s.name for s, values in zip(samples, maps, strict=True) if not np.isfinite(values).all()]
    if bad:
        yield Finding(
            "saliency.nonfinite",
            Verdict.FAIL,
            f"the gradient is NaN or infinite on {len(bad)} of {len(samples)} explained images",
            value=len(bad) / len(samples),
            limit=0.0,
            n=len(samples),
            detail=f"Look at weights.nonfinite and activations.nonfinite for where it begins: {', '.join(bad[:5])}",
        )


def _vanishing(maps: NDArray[np.float32], samples: Sequence[Sample], warn: float) -> Finding:
    finite = np.asarray(np.isfinite(maps).all((1, 2)))
    if not finite.any():
        return Finding("saliency.vanishing", Verdict.SKIP, "no gradient is a number, so that none can vanish")
    samples = [sample for sample, sound in zip(samples, finite, strict=True) if sound]
    strongest = maps[finite].max((1, 2))
    gone = strongest == 0
    typical = np.median(strongest[~gone]) if (~gone).any() else 0.0
    gone |= strongest < _TINY * typical
    names = [sample.name for sample, lost in zip(samples, gone, strict=True) if lost]
    share = len(names) / len(samples)
    message = (
        f"the gradient vanishes on {len(names)} of {len(samples)} explained images"
        if names
        else f"the score depends on the image on all {len(samples)} explained images"
    )
    return Finding(
        "saliency.vanishing",
        at_most(share, warn=warn),
        message,
        value=share,
        limit=warn,
        n=len(samples),
        detail=f"Look for saturated or dead units before the scores: {', '.join(names[:5])}" if names else "",
    )


def _row(context: Context, sample: Sample, maps: Sequence[NDArray[np.float32]]) -> Gallery:
    finite = np.concatenate([m[np.isfinite(m)] for m in maps])
    high = float(np.quantile(finite, _SHOWN)) or float(finite.max()) if finite.size else 0.0
    items = [Item(pictures.photo(sample.pixels), _truth(context, sample), file=sample.name)]
    items += [_item(context, sample, rank, values, high) for rank, values in enumerate(maps)]
    return Gallery(
        sample.name,
        "" if high else "The maps are dark throughout: no pixel changes the score.",
        tuple(items),
        pictures.heat_scale(0.0, high or 1.0, "largest absolute gradient of the score over the colours"),
    )


def _item(context: Context, sample: Sample, rank: int, values: NDArray[np.float32], high: float) -> Item:
    c = int(sample.ranked[rank])
    name = f"{('answer', 'runner-up')[rank]}: {context.classes[c]} ({sample.probabilities[c]:.0%})"
    if not np.isfinite(sample.scores).all():
        name = "no answer: scores that are no number"
    if not np.isfinite(values).any():
        return Item(pictures.heat(np.zeros_like(values), low=0.0, high=1.0), f"{name}: no number anywhere")
    row, column = np.unravel_index(np.nanargmax(np.where(np.isfinite(values), values, np.nan)), values.shape)
    alt = f"Saliency of {context.classes[c]} on {sample.name}: strongest at row {row}, column {column}."
    return Item(pictures.heat(values, low=0.0, high=high or 1.0), name, float(np.nanmax(values)), sample.name, alt)


def _truth(context: Context, sample: Sample) -> str:
    return "image" if sample.label is None else f"image: {context.classes[sample.label]}"

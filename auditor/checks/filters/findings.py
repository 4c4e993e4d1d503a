"""Which filters are dead or duplicated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.checks.filters.noise import Origin
from auditor.language import _, chained, headed, many, some
from auditor.model.convolutions import Convolution
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods.layers.kernels import Pair


_CHANCE = 0.05  # expected pairs by chance over which a layer's duplicates say nothing


@dataclass(frozen=True, slots=True)
class Kernels:
    """The kernels of one convolution, `[k, c, h, w]`.

    Attributes:
        values: What is not finite is zero here.
        dead: Indices of kernels near zero.
        pairs: Kernels that point the same or the opposite way; None where that would not make one of them
            superfluous (each has inputs of its own, or a depthwise filter of its own behind it), or where
            chance would give such pairs too.
        origin: How far they are from fresh draws.
    """

    layer: Convolution
    values: NDArray[np.float32]
    dead: NDArray[np.int64]
    pairs: list[Pair] | None
    origin: Origin

    @property
    def name(self) -> str:
        return self.layer.name


def measured(layer: Convolution, share: float, length: float, cosine: float) -> Kernels:
    finite = np.nan_to_num(layer.kernels, nan=0.0, posinf=0.0, neginf=0.0)
    by_chance = methods.chance_pairs(len(finite), finite[0].size, cosine=cosine)
    judged = not layer.depthwise and not layer.before_depthwise and by_chance <= _CHANCE
    dead = methods.dead(finite, share=share, length=length)
    return Kernels(
        layer,
        finite,
        np.intersect1d(dead, np.flatnonzero(np.isfinite(layer.kernels).all((1, 2, 3)))),
        methods.duplicates(finite, cosine=cosine) if judged else None,
        Origin.of(layer.name, layer.kernels),
    )


def dead(layers: Sequence[Kernels], warn: float) -> Iterator[Finding]:
    rule, total = "filters.dead", sum(len(layer.values) for layer in layers)
    bad = [layer for layer in layers if len(layer.dead) > warn * len(layer.values)]
    for layer in bad:
        n, share = len(layer.values), len(layer.dead) / len(layer.values)
        yield Finding(
            rule,
            at_most(share, warn=warn),
            many(
                "{count} of the layer's {n} filters is near zero",
                "{count} of the layer's {n} filters are near zero",
                len(layer.dead),
                n=n,
            ),
            subject=layer.name,
            value=share,
            limit=warn,
            n=n,
            detail=_(
                "They cost time and do nothing, unless a normalisation behind them enlarges them; prune them, or "
                "regularise less. Indices: {indices}",
                indices=some(layer.dead),
            ),
        )
    if not bad:
        few = {layer.name: some(layer.dead) for layer in layers if len(layer.dead)}
        count = sum(len(layer.dead) for layer in layers)
        message = (
            many(
                "{count} of {n} filters is near zero, and no layer has many of them",
                "{count} of {n} filters are near zero, and no layer has many of them",
                count,
                n=total,
            )
            if count
            else _("none of {n} filters are near zero, and no layer has many of them", n=total)
        )
        worst = max(len(layer.dead) / len(layer.values) for layer in layers)
        yield Finding(rule, Verdict.PASS, message, value=worst, limit=warn, n=total, detail=_listed(few))


def duplicates(
    layers: Sequence[Kernels], twins: Mapping[str, list[Pair]], confirmed: set[str], warn: float
) -> Iterator[Finding]:
    rule, judged = "filters.duplicate", [layer for layer in layers if layer.pairs is not None]
    if not judged:
        yield Finding(rule, Verdict.SKIP, _("no layer has filters of which likeness would make one superfluous"))
        return
    shares, few = [0.0], {}
    for layer in judged:
        pairs = twins[layer.name]
        count = len({i for pair in pairs for i in (pair.first, pair.second)})
        shares.append(count / len(layer.values))
        listed = ", ".join(_told_pair(pair) for pair in pairs[:8])
        if shares[-1] > warn:
            yield _repeating(layer, count, layer.name in confirmed, listed, warn)
        elif count:
            few[layer.name] = listed
    if max(shares) <= warn:
        total = sum(len(layer.values) for layer in judged)
        message = (
            many(
                "a few filters of {count} layer have a duplicate, and no layer has many of them",
                "a few filters of {count} layers have a duplicate, and no layer has many of them",
                len(few),
            )
            if few
            else many(
                "none of {n} filters in {count} layer has a duplicate",
                "none of {n} filters in {count} layers has a duplicate",
                len(judged),
                n=total,
            )
        )
        yield Finding(rule, Verdict.PASS, message, value=max(shares), limit=warn, n=total, detail=_listed(few))


def _told_pair(pair: Pair) -> str:
    return _("{first} and {second} ({cosine:+.3f})", first=pair.first, second=pair.second, cosine=pair.cosine)


def _repeating(layer: Kernels, count: int, confirmed: bool, listed: str, warn: float) -> Finding:
    n = len(layer.values)
    share = count / n
    message = (
        _("{count} of the layer's {n} filters have a duplicate (confirmed by their outputs)", count=count, n=n)
        if confirmed
        else _("{count} of the layer's {n} filters have a duplicate (not confirmed by outputs)", count=count, n=n)
    )
    return Finding(
        "filters.duplicate",
        at_most(share, warn=warn),
        message,
        subject=layer.name,
        value=share,
        limit=warn,
        n=n,
        detail=_(
            "Fewer filters would do the same, or training started them alike. Indices and cosines: {pairs}",
            pairs=listed,
        ),
    )


def twins(
    context: Context, layers: Sequence[Kernels], cosine: float, images: int
) -> tuple[dict[str, list[Pair]], set[str]]:
    """Return each layer's pairs whose outputs go together as its kernels do; all, where outputs can't be had.

    The names are those of the layers whose outputs could be had.
    """
    outputs = _outputs(context, [layer for layer in layers if layer.pairs], images)
    twins = {layer.name: layer.pairs or [] for layer in layers}
    seen = {name: methods.confirmed(twins[name], channels, cosine=cosine) for name, channels in outputs.items()}
    return twins | seen, set(outputs)


def _outputs(context: Context, layers: Sequence[Kernels], images: int) -> dict[str, NDArray[np.float32]]:
    """Return what each layer's channels give for the explained images, `[k, p]`, where that can be seen."""
    if not layers or context.images is None or not len(context.network.layers):
        return {}
    import torch

    tensors = torch.stack([sample.tensor for sample in context.samples[:images]])
    seen = context.network.observe(tensors, [layer.name for layer in layers])
    return {
        name: output.float().cpu().numpy().transpose(1, 0, 2, 3).reshape(output.shape[1], -1)
        for name, output in seen.items()
        if output.ndim == 4
    }


def _listed(few: Mapping[str, str]) -> str:
    return chained(*(headed(layer, which) for layer, which in few.items()))

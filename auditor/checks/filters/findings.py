"""Judge which filters are near zero and which are duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.checks.filters.noise import Randomness
from auditor.language import _, chained, headed, joined, many, some
from auditor.model.convolutions import Convolution
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods.layers.kernels import Pair


_CHANCE = 0.05  # expected pairs by chance over which a layer's duplicates prove nothing
_LISTED = 8


@dataclass(frozen=True, slots=True)
class Kernels:
    """The kernels of one convolution.

    Attributes:
        values: The kernels, `[k, c, h, w]`; values that are not finite are zero here.
        dead: Indices of kernels near zero.
        pairs: Kernels that point in the same or in the opposite direction. None where such a pair proves nothing:
            each kernel has inputs of its own, or a depthwise filter of its own behind it, or chance would give such
            pairs too.
        randomness: How far the kernels are from random initialisation.
    """

    layer: Convolution
    values: NDArray[np.float32]
    dead: NDArray[np.int64]
    pairs: list[Pair] | None
    randomness: Randomness

    @property
    def name(self) -> str:
        """The name of the layer."""
        return self.layer.name

    @property
    def dead_share(self) -> float:
        """The share of the kernels that are near zero, 0 to 1."""
        return len(self.dead) / len(self.values)


def measured(layer: Convolution, share: float, length: float, cosine: float) -> Kernels:
    """Measure the kernels of a layer.

    Args:
        share, length: Shares of the layer's largest weight and of its median norm under which a kernel is near zero.
        cosine: Absolute cosine from which two kernels are duplicates.
    """
    finite = np.nan_to_num(layer.kernels, nan=0.0, posinf=0.0, neginf=0.0)
    by_chance = methods.chance_pairs(len(finite), finite[0].size, cosine=cosine)
    judged = not layer.depthwise and not layer.before_depthwise and by_chance <= _CHANCE
    dead = methods.dead(finite, share=share, length=length)
    return Kernels(
        layer,
        finite,
        np.intersect1d(dead, np.flatnonzero(np.isfinite(layer.kernels).all((1, 2, 3)))),
        methods.duplicates(finite, cosine=cosine) if judged else None,
        Randomness.of(layer.name, layer.kernels),
    )


def dead(layers: Sequence[Kernels], warn: float) -> Iterator[Finding]:
    """Report each layer in which more than a share of the filters are near zero; if there is none, the total."""
    bad = [layer for layer in layers if layer.dead_share > warn]
    yield from (_dead(layer, warn) for layer in bad)
    if not bad:
        yield _few_dead(layers, warn)


def _dead(layer: Kernels, warn: float) -> Finding:
    n = len(layer.values)
    return Finding(
        "filters.dead",
        at_most(layer.dead_share, warn=warn),
        many("{count} of {n} filters is near zero", "{count} of {n} filters are near zero", len(layer.dead), n=n),
        subject=layer.name,
        value=layer.dead_share,
        limit=warn,
        n=n,
        detail=_(
            "Filters near zero cost time and have no effect, unless a normalisation behind them enlarges their output. "
            "Prune them, or regularise less. Indices: {indices}.",
            indices=some(layer.dead),
        ),
        channels=tuple(layer.dead.tolist()),
    )


def _few_dead(layers: Sequence[Kernels], warn: float) -> Finding:
    total, count = sum(len(layer.values) for layer in layers), sum(len(layer.dead) for layer in layers)
    worst = max(layer.dead_share for layer in layers)
    message = many(
        "{count} of {n} filters is near zero, at most {share:.1%} of a layer",
        "{count} of {n} filters are near zero, at most {share:.1%} of a layer",
        count,
        n=total,
        share=worst,
    )
    listed = {layer.name: some(layer.dead) for layer in layers if len(layer.dead)}
    return Finding("filters.dead", Verdict.PASS, message, value=worst, limit=warn, n=total, detail=by_name(listed))


def duplicates(
    layers: Sequence[Kernels], pairs: Mapping[str, list[Pair]], confirmed: set[str], warn: float
) -> Iterator[Finding]:
    """Report each layer in which more than a share of the filters have a duplicate; if there is none, the total.

    Args:
        pairs: The duplicates of each layer.
        confirmed: Names of the layers whose duplicates were confirmed by their outputs.
        warn: Share of a layer's filters over which the audit warns.
    """
    judged = [layer for layer in layers if layer.pairs is not None]
    if not judged:
        message = _("no layer has filters whose duplicates could be removed")
        yield Finding("filters.duplicate", Verdict.SKIP, message)
        return
    shares = {layer.name: len(members(pairs[layer.name])) / len(layer.values) for layer in judged}
    bad = [layer for layer in judged if shares[layer.name] > warn]
    for layer in bad:
        yield _duplicated(layer, pairs[layer.name], warn, confirmed=layer.name in confirmed)
    if not bad:
        yield _few_duplicates(judged, pairs, max(shares.values()), warn)


def _duplicated(layer: Kernels, pairs: Sequence[Pair], warn: float, *, confirmed: bool) -> Finding:
    n, count = len(layer.values), len(members(pairs))
    message = (
        _("{count} of {n} filters have a duplicate (confirmed by their outputs)", count=count, n=n)
        if confirmed
        else _("{count} of {n} filters have a duplicate (not confirmed by outputs)", count=count, n=n)
    )
    return Finding(
        "filters.duplicate",
        at_most(count / n, warn=warn),
        message,
        subject=layer.name,
        value=count / n,
        limit=warn,
        n=n,
        detail=_(
            "Train with fewer filters, or check whether they had the same initialisation. Indices and cosines: "
            "{pairs}.",
            pairs=listed(pairs),
        ),
    )


def _few_duplicates(judged: Sequence[Kernels], pairs: Mapping[str, list[Pair]], worst: float, warn: float) -> Finding:
    few = {layer.name: listed(pairs[layer.name]) for layer in judged if pairs[layer.name]}
    total = sum(len(layer.values) for layer in judged)
    count = sum(len(members(pairs[layer.name])) for layer in judged)
    message = (
        _("{count} of {n} filters have a duplicate, at most {share:.1%} of a layer", count=count, n=total, share=worst)
        if few
        else many(
            "none of {n} filters in {count} layer has a duplicate",
            "none of {n} filters in {count} layers has a duplicate",
            len(judged),
            n=total,
        )
    )
    return Finding("filters.duplicate", Verdict.PASS, message, value=worst, limit=warn, n=total, detail=by_name(few))


def members(pairs: Iterable[Pair]) -> list[int]:
    """Return the indices that belong to any pair, in ascending order."""
    return sorted({index for pair in pairs for index in (pair.first, pair.second)})


def listed(pairs: Sequence[Pair]) -> str:
    """Return the first pairs with their cosines."""
    named = (
        _("{first} and {second} ({cosine:+.3f})", first=pair.first, second=pair.second, cosine=pair.cosine)
        for pair in pairs[:_LISTED]
    )
    return joined(*named, between=", ")


def confirmed_pairs(
    context: Context, layers: Sequence[Kernels], cosine: float, images: int
) -> tuple[dict[str, list[Pair]], set[str]]:
    """Return each layer's pairs whose outputs are as similar as their kernels, and the names of the layers compared.

    Without outputs to compare, all pairs of a layer are returned.
    """
    outputs = _outputs(context, [layer for layer in layers if layer.pairs], images)
    pairs = {layer.name: layer.pairs or [] for layer in layers}
    seen = {name: methods.confirmed(pairs[name], channels, cosine=cosine) for name, channels in outputs.items()}
    return pairs | seen, set(outputs)


def _outputs(context: Context, layers: Sequence[Kernels], images: int) -> dict[str, NDArray[np.float32]]:
    """Return the outputs of each layer's channels on the explained images, `[k, p]`, of layers that return maps."""
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


def by_name(texts: Mapping[str, str]) -> str:
    """Return the texts, each after its layer's name."""
    return chained(*(headed(name, text) for name, text in texts.items()))

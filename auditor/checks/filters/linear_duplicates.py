"""Judge which units of linear layers are duplicates, and which classes have the same weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.checks.filters.findings import listed, members
from auditor.language import _, chained, many, some
from auditor.model.linear import Linear, hidden, last
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods.layers.kernels import Pair

_RULE = "filters.duplicate"
_CHANCE = 0.05  # expected pairs by chance over which a layer's duplicates prove nothing
_OPPOSITE = 0.999
_LISTED = 8


def unit_findings(context: Context, *, cosine: float, warn: float, images: int) -> Iterator[Finding]:
    """Report linear layers with many duplicate units, and classes that the network can't distinguish.

    Behind an activation, two units of opposite direction give different information, and sound networks have such
    pairs. So opposite units count only if they are exactly opposite.

    Args:
        cosine: Cosine from which two units are duplicates, if their outputs are as correlated.
        warn: Share of a layer's units over which the audit warns.
        images: Number of explained images on which outputs are compared.
    """
    module, layers = context.network.module, context.network.layers
    judged = [layer for layer in hidden(module, layers) if _by_chance(layer, cosine) <= _CHANCE]
    if judged:
        yield from _hidden(context, judged, cosine, warn, images)
    if scores := last(module, layers, context.network.outputs):
        yield from _classes(context, scores)


def _by_chance(layer: Linear, cosine: float) -> float:
    return methods.chance_pairs(len(layer.weights), layer.weights.shape[1], cosine=cosine)


def _hidden(context: Context, judged: Sequence[Linear], cosine: float, warn: float, images: int) -> Iterator[Finding]:
    pairs = {layer.name: _similar(layer, cosine) for layer in judged}
    outputs = _outputs(context, [name for name, own in pairs.items() if own], images)
    pairs |= {name: methods.confirmed(pairs[name], own, cosine=cosine) for name, own in outputs.items()}
    shares = {layer.name: len(members(pairs[layer.name])) / len(layer.weights) for layer in judged}
    bad = [layer for layer in judged if shares[layer.name] > warn]
    for layer in bad:
        yield _duplicated(layer, pairs[layer.name], warn, confirmed=layer.name in outputs)
    if not bad:
        yield _few(judged, shares, warn)


def _few(judged: Sequence[Linear], shares: Mapping[str, float], warn: float) -> Finding:
    worst = max(shares, key=shares.__getitem__)
    n = sum(len(layer.weights) for layer in judged)
    message = many(
        "at most {share:.1%} of the units of a layer have a duplicate ({n} units in {count} linear layer)",
        "at most {share:.1%} of the units of a layer have a duplicate ({n} units in {count} linear layers)",
        len(judged),
        n=n,
        share=shares[worst],
    )
    return Finding(_RULE, Verdict.PASS, message, subject=worst, value=shares[worst], limit=warn, n=n)


def _similar(layer: Linear, cosine: float) -> list[Pair]:
    return [
        pair
        for pair in methods.duplicates(_finite(layer.weights), cosine=cosine)
        if pair.cosine > 0 or pair.cosine <= -_OPPOSITE
    ]


def _finite(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.nan_to_num(weights, nan=0.0, posinf=0.0, neginf=0.0))


def _outputs(context: Context, names: Sequence[str], images: int) -> Mapping[str, NDArray[np.float32]]:
    """Return the outputs of the units of some layers on the explained images, `[k, places]`."""
    samples = context.samples[:images]
    if not names or context.images is None or len(samples) < 2:
        return {}
    import torch

    seen = context.network.observe(torch.stack([sample.tensor for sample in samples]), names)
    return {name: output.float().cpu().flatten(0, -2).T.numpy() for name, output in seen.items()}


def _duplicated(layer: Linear, pairs: Sequence[Pair], warn: float, *, confirmed: bool) -> Finding:
    n, count = len(layer.weights), len(members(pairs))
    return Finding(
        _RULE,
        at_most(count / n, warn=warn),
        _("{count} of {n} units have a duplicate (confirmed by their outputs)", count=count, n=n)
        if confirmed
        else _("{count} of {n} units have a duplicate (not confirmed by outputs)", count=count, n=n),
        subject=layer.name,
        value=count / n,
        limit=warn,
        n=n,
        detail=_(
            "Train with fewer units, or check whether they had the same initialisation. Indices and cosines: {pairs}",
            pairs=listed(pairs),
        ),
    )


def _classes(context: Context, layer: Linear) -> Iterator[Finding]:
    """Report classes with exactly the same weights and bias; similar weights are usual for similar classes."""
    groups = defaultdict[bytes, list[int]](list)
    for index, row in enumerate(np.column_stack([layer.weights, layer.bias])):
        if np.isfinite(row).all():
            groups[row.tobytes()].append(index)
    same = [own for own in groups.values() if len(own) > 1]
    if not same:
        return
    count, n = sum(len(own) for own in same), len(layer.weights)
    names = context.classes if len(context.classes) == n else [str(index) for index in range(n)]
    yield Finding(
        _RULE,
        Verdict.WARN,
        _(
            "{count} of {n} classes have exactly the same weights and bias as another class: the network can't "
            "distinguish them",
            count=count,
            n=n,
        ),
        subject=layer.name,
        value=count / n,
        limit=0,
        n=n,
        detail=_(
            "Check whether these classes were trained: {classes}",
            classes=chained(*(some(names[index] for index in own) for own in same[:_LISTED])),
        ),
    )

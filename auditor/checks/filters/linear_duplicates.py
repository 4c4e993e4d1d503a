"""What is said of the units of linear layers that do the same, and of classes that have the same weights."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.language import _, chained, many, some
from auditor.model.linear import Linear, hidden, last
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods.layers.kernels import Pair

_RULE = "filters.duplicate"
_CHANCE = 0.05  # expected pairs by chance over which a layer's duplicates say nothing
_OPPOSITE = 0.999
_LISTED = 8


def unit_findings(context: Context, *, cosine: float, warn: float, images: int) -> Iterator[Finding]:
    """Say of which linear layers many units repeat others, and which classes can't be told apart.

    Two units that point in opposite directions tell an activation two things: sound networks have such pairs, and
    only those are counted that are so exactly.

    Args:
        cosine: Two units of at least this cosine are duplicates, if their outputs are as correlated.
        warn: Share of a layer's units over which the audit warns.
        images: On how many explained images outputs are compared.
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
    pairs = {layer.name: _alike(layer, cosine) for layer in judged}
    outputs = _outputs(context, [name for name, own in pairs.items() if own], images)
    pairs |= {name: methods.confirmed(pairs[name], own, cosine=cosine) for name, own in outputs.items()}
    repeating = {name: {i for pair in own for i in (pair.first, pair.second)} for name, own in pairs.items()}
    shares = {layer.name: len(repeating[layer.name]) / len(layer.weights) for layer in judged}
    bad = [layer for layer in judged if shares[layer.name] > warn]
    for layer in bad:
        yield _repeating(layer, len(repeating[layer.name]), pairs[layer.name], layer.name in outputs, warn)
    if not bad:
        worst = max(shares, key=shares.__getitem__)
        n = sum(len(layer.weights) for layer in judged)
        message = many(
            "no linear layer has many units with a duplicate: of {n} in {count} layer at most {share:.1%} of a layer",
            "no linear layer has many units with a duplicate: of {n} in {count} layers at most {share:.1%} of a layer",
            len(judged),
            n=n,
            share=shares[worst],
        )
        yield Finding(_RULE, Verdict.PASS, message, subject=worst, value=shares[worst], limit=warn, n=n)


def _alike(layer: Linear, cosine: float) -> list[Pair]:
    return [
        pair
        for pair in methods.duplicates(_finite(layer.weights), cosine=cosine)
        if pair.cosine > 0 or pair.cosine <= -_OPPOSITE
    ]


def _finite(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.nan_to_num(weights, nan=0.0, posinf=0.0, neginf=0.0))


def _outputs(context: Context, names: Sequence[str], images: int) -> Mapping[str, NDArray[np.float32]]:
    """Return what the units of some layers give for the explained images, `[k, places]`."""
    samples = context.samples[:images]
    if not names or context.images is None or len(samples) < 2:
        return {}
    import torch

    seen = context.network.observe(torch.stack([sample.tensor for sample in samples]), names)
    return {name: output.float().cpu().flatten(0, -2).T.numpy() for name, output in seen.items()}


def _repeating(layer: Linear, count: int, pairs: Sequence[Pair], confirmed: bool, warn: float) -> Finding:
    n = len(layer.weights)
    listed = ", ".join(
        _("{first} and {second} ({cosine:+.3f})", first=pair.first, second=pair.second, cosine=pair.cosine)
        for pair in pairs[:_LISTED]
    )
    return Finding(
        _RULE,
        at_most(count / n, warn=warn),
        _("{count} of the layer's {n} units have a duplicate (confirmed by their outputs)", count=count, n=n)
        if confirmed
        else _("{count} of the layer's {n} units have a duplicate (not confirmed by outputs)", count=count, n=n),
        subject=layer.name,
        value=count / n,
        limit=warn,
        n=n,
        detail=_(
            "Fewer units would do the same, or training started them alike. Indices and cosines: {pairs}", pairs=listed
        ),
    )


def _classes(context: Context, layer: Linear) -> Iterator[Finding]:
    """Say which classes have exactly the same weights and bias: likeness alone is usual where classes are alike."""
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
            "{count} of the {n} classes have exactly the weights and the bias of another one: the network can't tell "
            "them apart",
            count=count,
            n=n,
        ),
        subject=layer.name,
        value=count / n,
        limit=0,
        n=n,
        detail=_(
            "Were they trained? The same: {classes}",
            classes=chained(*(some(names[index] for index in own) for own in same[:_LISTED])),
        ),
    )

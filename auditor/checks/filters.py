"""Filters that learnt nothing, and filters that learnt the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods, pictures
from auditor.check import Check, Count, Share, Steps
from auditor.model.convolutions import Convolution, convolutions
from auditor.results import Figure, Finding, Scale, Table, Verdict, at_most
from auditor.wording import some

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods.kernels import Pair

_GREYS = tuple(f"#{level:02x}{level:02x}{level:02x}" for level in (*range(0, 256, 4), 255))
_CHANCE = 0.05  # expected pairs by chance over which a layer's duplicates say nothing


@dataclass(frozen=True, slots=True)
class Kernels:
    """The kernels of one convolution, `[k, c, h, w]`.

    Attributes:
        dead: Indices of kernels near zero.
        pairs: Kernels that point the same or the opposite way; None where that would not make one of them
            superfluous (each has inputs of its own, or a depthwise filter of its own behind it), or where
            chance would give such pairs too.
    """

    layer: str
    values: NDArray[np.float32]
    dead: NDArray[np.int64]
    pairs: list[Pair] | None


@Check
def filters(
    context: Context,
    *,
    dead_share: Share = 0.01,
    dead_warn: Share = 0.05,
    duplicate_cosine: Share = 0.95,
    duplicate_warn: Share = 0.05,
    images: Count = 4,
) -> Steps:
    """Are there filters that learnt nothing, or the same thing twice?

    Each tile is one filter of the first convolution, in its colours: grey is zero, and all tiles share one
    scale. A trained first layer shows edges, spots and colour contrasts; noise shows one that was hardly
    trained, and a flat grey tile a filter that is not used.

    Args:
        dead_share: a filter is near zero when its largest weight is under this share of the layer's largest.
        dead_warn: share of near-zero filters of a layer over which the audit warns.
        duplicate_cosine: two filters are duplicates from this absolute cosine on.
        duplicate_warn: share of filters of a layer that have a duplicate over which the audit warns.
        images: on how many explained images duplicates are confirmed.
    Rules:
        filters.dead: filters whose largest weight is under 1 % of the layer's largest; over 5 % of a layer
            a warning.
        filters.duplicate: filters whose absolute cosine is 0.95 or more, and whose outputs are as
            correlated on the explained images; over 5 % of a layer a warning. Not judged are depthwise
            layers, layers right before one, and kernels so short that chance gives such pairs.
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014.
    """
    found = convolutions(context.network.module, context.network.layers)
    layers = [_measured(layer, dead_share, duplicate_cosine) for layer in found]
    if not layers:
        yield Finding("filters.dead", Verdict.SKIP, "the network has no convolution")
        return
    yield from _first_layer(layers[0], context)
    yield from _dead(layers, dead_warn)
    yield from _duplicates(context, layers, duplicate_cosine, duplicate_warn, images)
    yield _table(layers)


def _measured(layer: Convolution, share: float, cosine: float) -> Kernels:
    finite = np.nan_to_num(layer.kernels, nan=0.0, posinf=0.0, neginf=0.0)
    by_chance = methods.chance_pairs(len(finite), finite[0].size, cosine=cosine)
    judged = not layer.depthwise and not layer.before_depthwise and by_chance <= _CHANCE
    return Kernels(
        layer.name,
        finite,
        np.intersect1d(methods.dead(finite, share=share), np.flatnonzero(np.isfinite(layer.kernels).all((1, 2, 3)))),
        methods.duplicates(finite, cosine=cosine) if judged else None,
    )


def _first_layer(first: Kernels, context: Context) -> Iterator[Figure]:
    values = first.values.transpose(0, 2, 3, 1)  # k h w c
    count, height, width, channels = values.shape
    if channels not in (1, 3) or min(height, width) < 2:
        return
    if channels == 3 and context.preprocess.color == "bgr":
        values = values[..., ::-1]
    limit = float(np.abs(values).max()) or 1.0
    shades = ((values / limit + 1) * 127.5).round().astype(np.uint8)
    shades = shades.repeat(3 // channels, axis=3)
    yield Figure(
        f"First convolution: {first.layer}",
        f"{count} filters of {height} x {width} pixels over {channels} colour channel{'s' * (channels > 1)}; "
        "one scale for all.",
        pictures.tiles(shades, enlarge=max(2, 48 // height), gap=3),
        alt=f"Grid of the {count} filters of layer {first.layer}, weights from {-limit:.3g} to {limit:.3g}.",
        scale=Scale(-limit, limit, _GREYS, "weight, by colour channel"),
    )


def _dead(layers: Sequence[Kernels], warn: float) -> Iterator[Finding]:
    rule, total = "filters.dead", sum(len(layer.values) for layer in layers)
    bad = [layer for layer in layers if len(layer.dead) > warn * len(layer.values)]
    for layer in bad:
        n, share = len(layer.values), len(layer.dead) / len(layer.values)
        yield Finding(
            rule,
            at_most(share, warn=warn),
            f"{len(layer.dead)} of the layer's {n} filters are near zero",
            subject=layer.layer,
            value=share,
            limit=warn,
            n=n,
            detail=f"They cost time and do nothing; prune them, or regularise less. Indices: {some(layer.dead)}",
        )
    if not bad:
        few = {layer.layer: some(layer.dead) for layer in layers if len(layer.dead)}
        count = sum(len(layer.dead) for layer in layers)
        message = f"{count or 'none'} of {total} filters are near zero, and no layer has many of them"
        worst = max(len(layer.dead) / len(layer.values) for layer in layers)
        yield Finding(rule, Verdict.PASS, message, value=worst, limit=warn, n=total, detail=_listed(few))


def _duplicates(
    context: Context, layers: Sequence[Kernels], cosine: float, warn: float, images: int
) -> Iterator[Finding]:
    rule, judged = "filters.duplicate", [layer for layer in layers if layer.pairs is not None]
    if not judged:
        yield Finding(rule, Verdict.SKIP, "no layer has filters of which likeness would make one superfluous")
        return
    outputs = _outputs(context, [layer for layer in judged if layer.pairs], images)
    shares, few = [0.0], {}
    for layer in judged:
        pairs = _confirmed(layer, outputs.get(layer.layer), cosine)
        twins = {i for pair in pairs for i in (pair.first, pair.second)}
        shares.append(len(twins) / len(layer.values))
        listed = ", ".join(f"{p.first} and {p.second} ({p.cosine:+.3f})" for p in pairs[:8])
        if shares[-1] > warn:
            yield _twins(layer, len(twins), layer.layer in outputs, listed, warn)
        elif twins:
            few[layer.layer] = listed
    if max(shares) <= warn:
        total = sum(len(layer.values) for layer in judged)
        some = f"a few filters of {len(few)} layers have a duplicate, and no layer has many of them"
        message = some if few else f"none of {total} filters in {len(judged)} layers has a duplicate"
        yield Finding(rule, Verdict.PASS, message, value=max(shares), limit=warn, n=total, detail=_listed(few))


def _twins(layer: Kernels, count: int, confirmed: bool, listed: str, warn: float) -> Finding:
    how = "confirmed by their outputs" if confirmed else "not confirmed by outputs"
    share = count / len(layer.values)
    return Finding(
        "filters.duplicate",
        at_most(share, warn=warn),
        f"{count} of the layer's {len(layer.values)} filters have a duplicate ({how})",
        subject=layer.layer,
        value=share,
        limit=warn,
        n=len(layer.values),
        detail=f"Fewer filters would do the same, or training started them alike. Indices and cosines: {listed}",
    )


def _outputs(context: Context, layers: Sequence[Kernels], images: int) -> dict[str, NDArray[np.float32]]:
    """Return what each layer's channels give for the explained images, `[k, p]`, where that can be seen."""
    if not layers or context.images is None or not len(context.network.layers):
        return {}
    import torch

    tensors = torch.stack([sample.tensor for sample in context.samples[:images]])
    seen = context.network.observe(tensors, [layer.layer for layer in layers])
    return {
        name: output.float().cpu().numpy().transpose(1, 0, 2, 3).reshape(output.shape[1], -1)
        for name, output in seen.items()
        if output.ndim == 4
    }


def _confirmed(layer: Kernels, channels: NDArray[np.float32] | None, cosine: float) -> list[Pair]:
    """Return the pairs whose outputs go together as their kernels do; all, where outputs can't be had."""
    pairs = layer.pairs or []
    return pairs if channels is None else [p for p in pairs if _correlation(channels, p) >= cosine]


def _correlation(channels: NDArray[np.float32], pair: Pair) -> float:
    """Return how the outputs go together, turned so that 1 is what the kernels promise."""
    first, second = channels[pair.first], channels[pair.second]
    if first.std() == 0 or second.std() == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1] * np.sign(pair.cosine))


def _table(layers: Sequence[Kernels]) -> Table:
    rows = []
    for layer in layers:
        norms = np.linalg.norm(layer.values.reshape(len(layer.values), -1), axis=1)
        shape = " x ".join(str(s) for s in layer.values.shape[1:])
        pairs = "not judged" if layer.pairs is None else len(layer.pairs)
        rows.append((layer.layer, len(layer.values), shape, float(np.median(norms)), len(layer.dead), pairs))
    return Table(
        "Filters by layer",
        "Median length of a layer's filters, how many are near zero, and how many pairs point the same way.",
        ("layer", "filters", "size", "median norm", "near zero", "alike"),
        tuple(rows),
    )


def _listed(few: Mapping[str, str]) -> str:
    return "; ".join(f"{layer}: {which}" for layer, which in few.items())

"""Filters that learnt nothing, and filters that learnt the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods, pictures
from auditor.check import Check, Count, Share, Steps
from auditor.results import Figure, Finding, Scale, Table, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods.kernels import Pair

_GREYS = ("#000000", "#808080", "#ffffff")
_CHANCE = 0.05  # expected pairs by chance over which a layer's duplicates say nothing


@dataclass(frozen=True, slots=True)
class Kernels:
    """The kernels of one convolution, `[k, c, h, w]`.

    Attributes:
        dead: Indices of kernels near zero.
        pairs: Kernels that point the same or the opposite way; None where chance would give some too,
            or where each kernel looks at channels of its own.
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
    dead_warn: Share = 0.0,
    duplicate_cosine: Share = 0.95,
    duplicate_warn: Share = 0.0,
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
        filters.dead: filters whose largest weight is under 1 % of the layer's largest; a warning.
        filters.duplicate: filters whose absolute cosine is 0.95 or more, and whose outputs are as
            correlated on the explained images; a warning. Depthwise layers, and kernels so short that
            chance gives such pairs, are not judged.
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014.
    """
    layers = [_measured(name, kernels, groups, dead_share, duplicate_cosine) for name, kernels, groups in _all(context)]
    if not layers:
        yield Finding("filters.dead", Verdict.SKIP, "the network has no convolution")
        return
    yield from _first_layer(layers[0], context)
    yield from _dead(layers, dead_warn)
    yield from _duplicates(context, layers, duplicate_cosine, duplicate_warn, images)
    yield _table(layers)


def _all(context: Context) -> Iterator[tuple[str, NDArray[np.float32], int]]:
    module = context.network.module
    for name, parameter in module.named_parameters():
        if parameter.ndim == 4 and parameter.shape[0] > 1:
            owner = module.get_submodule(name.rpartition(".")[0])
            groups = getattr(owner, "groups", parameter.shape[0] if parameter.shape[1] == 1 else 1)
            yield name.rpartition(".")[0], parameter.detach().float().cpu().numpy(), int(groups)


def _measured(layer: str, kernels: NDArray[np.float32], groups: int, share: float, cosine: float) -> Kernels:
    finite = np.nan_to_num(kernels, nan=0.0, posinf=0.0, neginf=0.0)
    by_chance = methods.chance_pairs(len(kernels), kernels[0].size, cosine=cosine)
    judged = groups == 1 and by_chance <= _CHANCE
    return Kernels(
        layer,
        finite,
        methods.dead(finite, share=share),
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
    bad = [layer for layer in layers if len(layer.dead)]
    total = sum(len(layer.values) for layer in layers)
    for layer in bad:
        n, share = len(layer.values), len(layer.dead) / len(layer.values)
        yield Finding(
            "filters.dead",
            at_most(share, warn=warn),
            f"{len(layer.dead)} of {n} filters are near zero",
            subject=layer.layer,
            value=share,
            limit=warn,
            n=n,
            detail=f"They cost time and do nothing; prune them, or regularise less. Indices: {_some(layer.dead)}",
        )
    if not bad:
        yield Finding(
            "filters.dead", Verdict.PASS, f"none of {total} filters is near zero", value=0.0, limit=warn, n=total
        )


def _duplicates(
    context: Context, layers: Sequence[Kernels], cosine: float, warn: float, images: int
) -> Iterator[Finding]:
    judged = [layer for layer in layers if layer.pairs is not None]
    total = sum(len(layer.values) for layer in judged)
    if not judged:
        yield Finding(
            "filters.duplicate", Verdict.SKIP, "no layer has filters long enough to tell likeness from chance"
        )
        return
    found = 0
    for layer in judged:
        pairs, confirmed = _confirmed(context, layer, cosine, images)
        twins = sorted({i for pair in pairs for i in (pair.first, pair.second)})
        if not twins:
            continue
        found += 1
        share = len(twins) / len(layer.values)
        listed = ", ".join(f"{p.first} and {p.second} ({p.cosine:+.3f})" for p in pairs[:8])
        how = "confirmed by their outputs" if confirmed else "not confirmed by outputs"
        yield Finding(
            "filters.duplicate",
            at_most(share, warn=warn),
            f"{len(twins)} of {len(layer.values)} filters have a duplicate ({how})",
            subject=layer.layer,
            value=share,
            limit=warn,
            n=len(layer.values),
            detail=f"Fewer filters would do the same, or training started them alike. Indices and cosines: {listed}",
        )
    if not found:
        message = f"none of {total} filters in {len(judged)} layers has a duplicate"
        yield Finding("filters.duplicate", Verdict.PASS, message, value=0.0, limit=warn, n=total)


def _confirmed(context: Context, layer: Kernels, cosine: float, images: int) -> tuple[list[Pair], bool]:
    """Return the pairs whose outputs are as correlated as their kernels; all, where outputs can't be had."""
    pairs = layer.pairs or []
    observable = context.images is not None and len(context.network.layers)
    if not pairs or not observable:
        return pairs, False
    import torch

    tensors = torch.stack([sample.tensor for sample in context.samples[:images]])
    output = context.network.observe(tensors, [layer.layer]).get(layer.layer)
    if output is None or output.ndim != 4:
        return pairs, False
    channels = output.float().cpu().numpy().transpose(1, 0, 2, 3).reshape(output.shape[1], -1)  # k p
    return [p for p in pairs if _correlation(channels, p) >= cosine], True


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


def _some(indices: NDArray[np.int64]) -> str:
    shown = ", ".join(str(i) for i in indices[:12])
    return shown + (f" and {len(indices) - 12} more" if len(indices) > 12 else "")

"""Filters that learnt nothing, and filters that learnt the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.check import Check, Count, Layers, Share, Steps
from auditor.checks.filters.figures import Order, lengths, picture
from auditor.checks.filters.linear_duplicates import unit_findings
from auditor.checks.filters.noise import Origin, distances, linear_findings, noise_findings
from auditor.collectors import Predictions
from auditor.config.options import Range
from auditor.language import _, many
from auditor.model.convolutions import Convolution, convolutions, in_other_dimensions, select
from auditor.results import Arrays, Figure, Finding, Table, Verdict, at_most
from auditor.wording import chained, headed, some

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods.layers.kernels import Pair

Deviations = Annotated[float, Range(0)]

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


@Check
def filters(
    context: Context,
    *,
    dead_share: Share = 0.01,
    dead_length: Share = 0.01,
    dead_warn: Share = 0.05,
    duplicate_cosine: Share = 0.95,
    duplicate_warn: Share = 0.05,
    noise_deviations: Deviations = 4.0,
    images: Count = 4,
    layers: Layers = "spread",
    order: Order = "norm",
    shown: Count = 64,
) -> Steps:
    """Are there filters that learnt nothing, or the same thing twice?

    A layer that looks at the image is shown in its colours (grey is zero); filters over one input are shown one by
    one, all others input by input, from blue (negative) to red. All filters of a layer share one scale. A trained
    first layer shows edges, spots and colour contrasts; noise shows a layer that was hardly trained, and an empty
    tile a filter that is not used. The numbers are those that the findings name.

    Args:
        dead_share: a filter is near zero when its largest weight is under this share of the layer's largest.
        dead_length: a filter is near zero, too, when its length is under this share of the layer's median length.
        dead_warn: share of near-zero filters of a layer over which the audit warns.
        duplicate_cosine: two filters are duplicates from this absolute cosine on.
        duplicate_warn: share of filters of a layer that have a duplicate over which the audit warns.
        noise_deviations: standard deviations from fresh draws up to which a layer counts as untrained.
        images: on how many explained images duplicates are confirmed.
        layers: names of convolutions to show, or "spread" for a few from the first to the last, or "all"; all
            of them are judged in any case.
        order: how filters are shown, by "norm" (the longest first), by "similarity" or by "index".
        shown: how many filters of a layer are shown at the most.
    Rules:
        filters.dead: filters whose largest weight is under 1 % of the layer's largest, or whose length is under 1 %
            of the layer's median; over 5 % of a layer a warning.
        filters.duplicate: filters whose absolute cosine is 0.95 or more, and whose outputs are as
            correlated on the explained images; over 5 % of a layer a warning. Not judged are depthwise
            layers, layers right before one, and kernels so short that chance gives such pairs. The same holds for the
            units of linear layers before an activation (opposite ones only if exactly so: cosine under -0.999). Classes
            whose weights and bias are exactly the same are a warning.
        filters.noise: layers that can't be told from fresh draws of an initialisation. The variance entropy of
            their kernels, the evenness of their inputs and of their outputs, the tails, the edge and the mean of their
            weights, and how alike weights beside each other in a kernel are, all lie within 4 standard deviations of
            what draws of the same shape give (three fresh layers in a thousand, at the most, do not). All that can be
            judged, where these are two or more, a failure, unless the answers show that the network was trained (its
            accuracy is surely nearer to 1 than to chance); else a warning. Of layers under 500 weights, where half a
            kernel's length may change unseen, and of linear ones it is only told whether they are spread evenly
            between the bounds of PyTorch's default draws; a warning. A layer that training has hardly moved looks
            fresh too. The limit that the paper gives for 3 x 3 kernels is shown beside that of the draws, but does not
            decide: up to a tenth of fresh layers are under it.
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014. Variance entropy: Gavrikov,
        Keuper: CNN Filter DB, CVPR 2022.
    """
    seen = None
    if context.images:
        seen = yield Predictions()
    module = context.network.module
    if flat := in_other_dimensions(module):
        yield Finding("filters.dead", Verdict.SKIP, _left_out(len(flat)), detail=some(flat))
    found = convolutions(module, context.network.layers)
    if not found:
        yield Finding("filters.dead", Verdict.SKIP, _("the network has no convolution in two dimensions"))
        yield from unit_findings(context, cosine=duplicate_cosine, warn=duplicate_warn, images=images)
        yield from linear_findings(module)
        return
    names = {layer.name for layer in select(found, layers)}
    every = [_measured(layer, dead_share, dead_length, duplicate_cosine) for layer in found]
    twins, confirmed = _twins(context, every, duplicate_cosine, images)
    yield from _dead(every, dead_warn)
    yield from _duplicates(every, twins, confirmed, duplicate_warn)
    yield from unit_findings(context, cosine=duplicate_cosine, warn=duplicate_warn, images=images)
    yield from noise_findings([layer.origin for layer in every], noise_deviations, knows=_knows(context, seen))
    yield from linear_findings(module)
    yield from _shown(context, [layer for layer in every if layer.name in names], twins, order, shown)
    yield from lengths([layer for layer in found if layer.name in names], dead_length)
    yield _table(every)
    yield from distances([layer.origin for layer in every], noise_deviations)


def _knows(context: Context, seen: Predictions | None) -> bool:
    """Return whether more than half of what separates a perfect network from one that guesses is surely there."""
    if seen is None or not seen.labelled:
        return False
    return methods.wilson(seen.right, seen.labelled)[0] > (1 + 1 / len(context.classes)) / 2


def _left_out(count: int) -> str:
    return many(
        "{count} convolution in one or three dimensions left out: their kernels are no pictures",
        "{count} convolutions in one or three dimensions left out: their kernels are no pictures",
        count,
    )


def _shown(
    context: Context, layers: Sequence[Kernels], twins: Mapping[str, list[Pair]], order: Order, most: int
) -> Iterator[Figure | Arrays]:
    bgr = context.preprocess.color == "bgr"
    for layer in layers:
        paired = sorted({i for pair in twins[layer.name] for i in (pair.first, pair.second)})
        yield picture(layer.layer, order=order, shown=most, dead=layer.dead.tolist(), twins=paired, bgr=bgr)
        yield Arrays({f"{layer.name}/kernels": layer.layer.kernels})


def _measured(layer: Convolution, share: float, length: float, cosine: float) -> Kernels:
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


def _dead(layers: Sequence[Kernels], warn: float) -> Iterator[Finding]:
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


def _duplicates(
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


def _twins(
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


def _table(layers: Sequence[Kernels]) -> Table:
    rows = []
    for layer in layers:
        shape = " x ".join(str(s) for s in layer.values.shape[1:])
        pairs = _("not judged") if layer.pairs is None else len(layer.pairs)
        median = float(np.median(methods.norms(layer.values)))
        rows.append((layer.name, len(layer.values), shape, median, len(layer.dead), pairs))
    return Table(
        _("Filters by layer"),
        _("Median length of a layer's filters, how many are near zero, and how many pairs point the same way."),
        (_("layer"), _("filters"), _("size"), _("median norm"), _("near zero"), _("alike")),
        tuple(rows),
    )


def _listed(few: Mapping[str, str]) -> str:
    return chained(*(headed(layer, which) for layer, which in few.items()))

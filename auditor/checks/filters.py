"""Filters that learnt nothing, and filters that learnt the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.check import Check, Count, Layers, Share, Steps
from auditor.filter_rows import Order, lengths, picture
from auditor.language import _, many, marked
from auditor.methods.initialisation import FEWEST, obstacle
from auditor.model.convolutions import Convolution, convolutions, in_other_dimensions, select
from auditor.options import Range
from auditor.results import Arrays, Figure, Finding, Table, Verdict, at_most
from auditor.wording import chained, headed, numeral, some

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods import Freshness
    from auditor.methods.kernels import Pair

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
        fresh: How far they are from fresh draws; None where they can't tell.
        obstacle: Why they can't.
    """

    layer: Convolution
    values: NDArray[np.float32]
    dead: NDArray[np.int64]
    pairs: list[Pair] | None
    fresh: Freshness | None
    obstacle: str

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
            layers, layers right before one, and kernels so short that chance gives such pairs.
        filters.noise: layers that can't be told from fresh draws of an initialisation. The variance entropy of
            their kernels, the evenness of their inputs and of their outputs, the tails of their weights, and how alike
            weights beside each other in a kernel are, all lie within 4 standard deviations of what draws of the same
            shape give (two fresh layers in a thousand, at the most, do not). All layers that can be judged, where these
            are two or more, a failure; else a warning. Not judged are layers under 500 weights, where half a kernel's
            length may change unseen. A layer that training has moved by less than that looks fresh too. The limit that
            the paper gives for 3 x 3 kernels is shown beside that of the draws, but does not decide: up to a tenth of
            fresh layers are under it.
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014. Variance entropy: Gavrikov,
        Keuper: CNN Filter DB, CVPR 2022.
    """
    module = context.network.module
    if flat := in_other_dimensions(module):
        yield Finding("filters.dead", Verdict.SKIP, _left_out(len(flat)), detail=some(flat))
    found = convolutions(module, context.network.layers)
    if not found:
        yield Finding("filters.dead", Verdict.SKIP, _("the network has no convolution in two dimensions"))
        return
    names = {layer.name for layer in select(found, layers)}
    every = [_measured(layer, dead_share, dead_length, duplicate_cosine) for layer in found]
    twins, confirmed = _twins(context, every, duplicate_cosine, images)
    yield from _dead(every, dead_warn)
    yield from _duplicates(every, twins, confirmed, duplicate_warn)
    yield from _noise(every, noise_deviations)
    yield from _shown(context, [layer for layer in every if layer.name in names], twins, order, shown)
    yield from lengths([layer for layer in found if layer.name in names], dead_length)
    yield _table(every)
    if any(layer.fresh for layer in every):
        yield _distances(every, noise_deviations)


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
    untold = obstacle(layer.kernels)
    return Kernels(
        layer,
        finite,
        np.intersect1d(dead, np.flatnonzero(np.isfinite(layer.kernels).all((1, 2, 3)))),
        methods.duplicates(finite, cosine=cosine) if judged else None,
        None if untold else methods.freshness(layer.kernels),
        untold,
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


def _noise(layers: Sequence[Kernels], limit: float) -> Iterator[Finding]:
    rule, unit = "filters.noise", marked("sd")
    judged = [(layer, layer.fresh) for layer in layers if layer.fresh]
    untold = {layer.name: layer.obstacle for layer in layers if not layer.fresh}
    left_out = _("Not judged: {layers}", layers=_listed(dict(list(untold.items())[:8]))) if untold else ""
    if not judged:
        message = _("no layer has enough to tell it from fresh draws ({fewest} weights, all finite)", fewest=FEWEST)
        yield Finding(rule, Verdict.SKIP, message, detail=left_out)
        return
    noise = [(layer, fresh) for layer, fresh in judged if fresh.distance <= limit]
    if not noise:
        nearest, fresh = min(judged, key=lambda one: one[1].distance)
        message = _(
            "none of {layers} layers looks like fresh draws; {layer} comes nearest",
            layers=len(judged),
            layer=nearest.name,
        )
        n = sum(len(layer.values) for layer, found in judged)
        yield Finding(rule, Verdict.PASS, message, value=fresh.distance, limit=limit, unit=unit, n=n, detail=left_out)
    elif len(noise) == len(judged) > 1:
        yield Finding(
            rule,
            Verdict.FAIL,
            _(
                "the kernels of all {layers} layers look like fresh draws: nothing shows that the network was trained",
                layers=len(noise),
            ),
            value=max(fresh.distance for layer, fresh in noise),
            limit=limit,
            unit=unit,
            n=sum(len(layer.values) for layer, fresh in noise),
            detail=f"{_suspect([layer.name for layer, fresh in noise])} {left_out}".strip(),
        )
    else:
        yield from (_untrained(layer, fresh, limit) for layer, fresh in noise)


def _suspect(names: Sequence[str]) -> str:
    return _(
        "Is it the file that training wrote, and was training's network the one that was saved? Layers: {layers}.",
        layers=some(names),
    )


def _untrained(layer: Kernels, fresh: Freshness, limit: float) -> Finding:
    count = len(layer.values)
    return Finding(
        "filters.noise",
        Verdict.WARN,
        _(
            "all {n} filters look like fresh draws: their variance entropy is {entropy:.4f}, that of draws "
            "{draws:.4f} or more, and nothing else sets them apart",
            n=count,
            entropy=fresh.entropy,
            draws=fresh.lowest_draw(limit),
        ),
        subject=layer.name,
        value=fresh.distance,
        limit=limit,
        unit=marked("sd"),
        n=count,
        detail=_(
            "Was the layer trained? It may be frozen, left out of the optimizer, or not reached by gradients; or "
            "training has changed it too little to show."
        ),
    )


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


def _distances(layers: Sequence[Kernels], limit: float) -> Table:
    rows = []
    for layer in layers:
        if fresh := layer.fresh:
            bounds = (fresh.entropy, fresh.lowest_draw(limit), _published(layer))
            measures = (fresh.spectrum, fresh.inputs, fresh.outputs, fresh.tails, fresh.neighbours)
            numbers = (*(b and numeral(b, ".4f") for b in bounds), *(numeral(m, ".1f") for m in measures))
            rows.append((layer.name, *numbers, _("yes") if fresh.distance <= limit else _("no")))
        else:
            rows.append((layer.name, *(None,) * 8, _("not judged")))
    return Table(
        _("Distance from fresh draws"),
        _(
            "The variance entropy of a layer's kernels, the lowest that fresh draws of its shape reach, and T(n), the "
            "limit published for 3 x 3 kernels. Then how far spectrum (of which that is the entropy), inputs, "
            "outputs, tails and neighbours in a kernel are from fresh draws, in standard deviations (sd). A layer with "
            "none over {limit:g} looks fresh.",
            limit=limit,
        ),
        (
            _("layer"),
            _("entropy"),
            _("draws"),
            "T(n)",
            _("spectrum"),
            _("inputs"),
            _("outputs"),
            _("tails"),
            _("neighbours"),
            _("fresh"),
        ),
        tuple(rows),
    )


def _published(layer: Kernels) -> float | None:
    k, c, *size = layer.values.shape
    return methods.published_limit(k * c) if size == [3, 3] else None


def _listed(few: Mapping[str, str]) -> str:
    return chained(*(headed(layer, which) for layer, which in few.items()))

"""Measure what each layer responds to, and find channels that are dead, constant, saturated or not finite."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial, reduce
from typing import TYPE_CHECKING

import numpy as np

from auditor import pictures
from auditor.check import Check, Count, Layers, Share, Steps
from auditor.checks.activations import rules
from auditor.checks.activations.border import border_findings
from auditor.checks.activations.figures import forward_passes, layer_rows
from auditor.checks.activations.idle_channels import Uninformative, idle_findings
from auditor.collectors import ChannelStatistics
from auditor.errors import Skip
from auditor.judging.channels import Wording, by_layer
from auditor.judging.grounds import WEIGHTS
from auditor.language import _, joined, many, marked, numeral
from auditor.results import Figure, Finding, Table, Verdict

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.model.layers import Layer

_ALWAYS = 0.95  # share of all outputs of a channel
_BARS = 40


@Check.with_rules(*rules.RULES, needs=(WEIGHTS,))
def activations(
    context: Context,
    *,
    layers: Layers = "spread",
    images: Count = 4,
    channels: Count = 3,
    dead_warn: Share = 0.1,
    dead_fail: Share = 0.5,
    saturated_warn: Share = 0.1,
    few: Count = 20,
) -> Steps:
    """What does each layer respond to, and which channels are dead?

    A strip follows each image from its pixels to its scores. The maps become smaller and more selective: early layers
    respond to edges and colours, late layers to parts of objects. Below the strips, each layer has a row: where its
    maps respond on average, and the maps of its strongest channels. A dead channel adds nothing to any prediction.

    Args:
        layers: names of layers, or "all", or "spread". With "spread" all layers are judged, and a few from the first
            to the last are shown.
        images: number of explained images that are shown.
        channels: number of the strongest channels that are shown for each image.
        dead_warn: share of a layer's channels that are dead over which the audit warns; the same for constant
            channels.
        dead_fail: share of a layer's channels that are dead or constant, together, over which the audit fails.
        saturated_warn: share of a layer's channels that are saturated over which the audit warns.
        few: number of images under which dead and saturated channels are not judged.
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014. Border: Alsallakh et al.,
        Mind the Pad, ICLR 2021.
    """
    shown = context.layers.select(layers)
    judged = context.layers.judged if layers == "spread" else shown
    if not judged:
        raise Skip(_("the network has no convolution whose maps could be shown"))
    seen = yield ChannelStatistics(judged)
    yield from _not_finite(seen)
    yield from _dead(seen, dead_warn, dead_fail, few)
    yield from _saturated(seen, saturated_warn, few)
    yield _table(seen)
    yield from border_findings(context, shown)
    if not shown:
        return
    yield from forward_passes(context, images)
    yield from layer_rows(context, shown, images, channels)


def _not_finite(seen: ChannelStatistics) -> Iterator[Finding]:
    rule, bad = "activations.nonfinite", [layer for layer in seen.layers if seen.not_finite(layer).any()]
    for layer in bad:
        count, worst = int(seen.not_finite(layer).sum()), int(seen.not_finite(layer).argmax())
        yield Finding(
            rule,
            Verdict.FAIL,
            many(
                "{count} output is NaN or infinite, in channel {channel}",
                "{count} outputs are NaN or infinite, most of them in channel {channel}",
                count,
                channel=worst,
            ),
            subject=layer.name,
            value=count,
            limit=0,
            unit=marked("outputs"),
            n=seen.images,
            detail=_("Look for non-finite weights, a division by zero, or an overflow in half precision."),
        )
    if not bad:
        message = many(
            "all outputs of {count} layer are finite", "all outputs of {count} layers are finite", len(seen.layers)
        )
        yield Finding(rule, Verdict.PASS, message, value=0, limit=0, n=seen.images)


def _dead(seen: ChannelStatistics, warn: float, fail: float, few: int) -> Iterator[Finding | Figure]:
    rule, layers = "activations.dead", list(seen.layers)
    if seen.images >= few:
        for layer in [layer for layer in layers if not np.isfinite(seen.highest(layer)).any()]:
            yield Finding(rule, Verdict.SKIP, _("no output of the layer is finite"), subject=layer.name)
            layers.remove(layer)
    if not layers:
        return
    found = [Uninformative.of(seen, layer) for layer in layers]
    yield from idle_findings(rule, found, images=seen.images, few=few, warn=warn, fail=fail)
    if seen.images >= few:
        maps = {one.layer: one.larger for one in found if not one.layer.whole}
        if maps:
            yield _figure(maps, seen.images, warn)


def _figure(shares: Mapping[Layer, float], images: int, warn: float) -> Figure:
    """Plot the share of each layer; of very many layers the largest shares, in the order of the network."""
    largest = sorted(shares.values(), reverse=True)[:_BARS][-1]
    shown = [layer for layer in shares if shares[layer] >= largest][:_BARS]
    worst = max(shares, key=shares.__getitem__)
    caption = _(
        "Share of each layer's channels that are dead or constant on all {n} images, whichever of the two is larger.",
        n=images,
    )
    if len(shown) < len(shares):
        which = _("The {shown} of {layers} layers with the largest shares.", layers=len(shares), shown=len(shown))
        caption = joined(caption, which)
    return Figure(
        _("Dead channels"),
        caption,
        pictures.bars([x.name for x in shown], [shares[x] for x in shown], xlabel=_("share of channels"), limit=warn),
        alt=_("Dead channels by layer: at most {share:.1%}, in {layer}.", share=shares[worst], layer=worst.name),
    )


def _saturated(seen: ChannelStatistics, warn: float, few: int) -> Iterator[Finding]:
    found = {
        layer: np.flatnonzero(seen.saturated(layer) > _ALWAYS) for layer in seen.layers if math.isfinite(layer.ceiling)
    }
    if not found or seen.images < few:  # without a ceiling no channel can be saturated
        return
    ceilings = reduce(_either, sorted({numeral(layer.ceiling, "g") for layer in found}))
    wording = _about_saturated(ceilings)
    yield from by_layer("activations.saturated", found, wording, images=seen.images, few=few, warn=warn)


def _either(one: str, other: str) -> str:
    return _("{one} or {other}", one=one, other=other)


def _about_saturated(ceiling: str) -> Wording:
    return Wording(
        partial(_count_saturated, ceiling),
        partial(_most_saturated, ceiling),
        _too_few_for_saturated,
        _scale_advice,
    )


def _count_saturated(ceiling: str, count: int, channels: int, images: int) -> str:
    return many(
        "{count} of {channels} channels is saturated: cut off at {ceiling} in over {share:.0%} of its outputs",
        "{count} of {channels} channels are saturated: cut off at {ceiling} in over {share:.0%} of their outputs",
        count,
        channels=channels,
        ceiling=ceiling,
        share=_ALWAYS,
    )


def _most_saturated(ceiling: str, count: int, channels: int, images: int) -> str:
    if not count:
        return _(
            "no channel is saturated (cut off at {ceiling} in over {share:.0%} of its outputs)",
            ceiling=ceiling,
            share=_ALWAYS,
        )
    return many(
        "at most {count} of {channels} channels of a layer is saturated: cut off at {ceiling} in over {share:.0%} of "
        "its outputs",
        "at most {count} of {channels} channels of a layer are saturated: cut off at {ceiling} in over {share:.0%} of "
        "their outputs",
        count,
        channels=channels,
        ceiling=ceiling,
        share=_ALWAYS,
    )


def _too_few_for_saturated(images: int, few: int) -> str:
    return many(
        "{count} image is too few to call a channel saturated ({few} needed)",
        "{count} images are too few to call a channel saturated ({few} needed)",
        images,
        few=few,
    )


def _scale_advice() -> str:
    return _(
        "Saturated channels give the same output for nearly every image. Check the scale of the layer's input "
        "and of its weights."
    )


def _table(seen: ChannelStatistics) -> Table:
    return Table(
        _("Observed layers"),
        _(
            "Outputs of each layer before its rectifier, over {n} images: the number of dead and of constant "
            "channels, the share of outputs above zero, mean and standard deviation of a channel's outputs (averaged "
            "over the channels), and the largest output. A channel that is both dead and constant counts as dead.",
            n=seen.images,
        ),
        (
            _("layer"),
            _("maps"),
            _("dead"),
            _("constant"),
            _("above zero"),
            _("mean"),
            _("deviation"),
            _("largest"),
        ),
        tuple(_row(seen, layer) for layer in seen.layers),
    )


def _row(seen: ChannelStatistics, layer: Layer) -> tuple[str | int | float, ...]:
    return (
        layer.name,
        " x ".join(str(s) for s in layer.output),
        len(seen.dead(layer)) if math.isfinite(layer.floor) else _("no rectifier"),
        len(np.setdiff1d(seen.constant(layer), seen.dead(layer))),
        numeral(float(seen.active(layer).mean()), ".1%"),
        float(seen.mean(layer).mean()),
        float(np.sqrt(seen.variance(layer)).mean()),
        float(seen.highest(layer).max()),
    )

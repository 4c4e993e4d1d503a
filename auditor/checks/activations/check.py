"""What the feature maps of the network respond to, and which never respond."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from auditor import pictures
from auditor.check import Check, Count, Layers, Share, Steps
from auditor.checks.activations.border import border_findings
from auditor.checks.activations.figures import layer_rows, ways
from auditor.checks.activations.idle_channels import Idle, idle_findings
from auditor.collectors import ChannelStatistics
from auditor.errors import Skip
from auditor.judging.channels import Told, by_layer
from auditor.language import _, many, marked, numeral
from auditor.results import Figure, Finding, Table, Verdict

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.model.layers import Layer

_ALWAYS = 0.95  # of all places
_BARS = 40

_SATURATED = Told(
    count=marked("{count} of the {channels} channels are cut off at {ceiling} nearly everywhere"),
    at_most=marked("at most {count} of the {channels} channels are cut off at {ceiling} nearly everywhere"),
    none=marked("none of the {channels} channels are cut off at {ceiling} nearly everywhere"),
    too_few=marked(
        "{images} images are too few (under {few}) to say that channels are cut off at {ceiling} nearly everywhere"
    ),
    advice=marked("They say the same of every image: look at the scale of the layer's input and of its weights."),
)


@Check
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
    """What do the feature maps respond to, and which of them never respond?

    A strip follows each image on its way from pixels to scores: the maps get smaller and more selective, early ones
    follow edges and colours, late ones whole parts of the object. Below it stands layer by layer where all maps
    together respond, and the maps of the strongest channels. A channel that stays silent on all images adds nothing
    to any answer.

    Args:
        layers: names of layers, or "all", or "spread": all are judged, and of a few from the first to the last
            the maps are shown.
        images: how many of the explained images are shown.
        channels: how many of the strongest channels are shown for each image.
        dead_warn: share of a layer's channels over which the audit warns, of the silent ones and of those that give
            one number throughout, each by themselves.
        dead_fail: share of a layer's channels over which the audit fails, of both together.
        saturated_warn: share of saturated channels of a layer over which the audit warns.
        few: images under which nothing is said about silent and saturated channels.
    Rules:
        activations.dead: channels whose output after the rectifier is zero on all images (after GELU, SiLU and the
            like: under a millionth), and channels that give the same number everywhere, to a thousandth. Either of
            them over 10 % of a layer a warning, both together over 50 % a failure. On N images a silent channel fires
            on less than 3/N of such images, with 95 % confidence. The units of linear layers before an activation are
            channels, too. Of those that give one number an image up to a third may be silent from the first draw on:
            there silent ones are a warning over 50 %, and nothing is said of them under 300 images.
        activations.saturated: channels that a rectifier with a ceiling, as ReLU6, cuts off there at over 95 % of
            all places; over 10 % of a layer a warning (heuristic).
        activations.nonfinite: outputs that are NaN or infinite; any is a failure (exact).
        activations.border: how strongly the maps respond at their border, against their inside, and which strides
            leave rows or columns out (information): padding shows there.
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
    yield from ways(context, images)
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
        message = _("all outputs of the {layers} observed layers are finite", layers=len(seen.layers))
        yield Finding(rule, Verdict.PASS, message, value=0, limit=0, n=seen.images)


def _dead(seen: ChannelStatistics, warn: float, fail: float, few: int) -> Iterator[Finding | Figure]:
    rule, layers = "activations.dead", list(seen.layers)
    if seen.images >= few:
        for layer in [layer for layer in layers if not np.isfinite(seen.highest(layer)).any()]:
            reason = _("no output is a number, so that no channel is judged")
            yield Finding(rule, Verdict.SKIP, reason, subject=layer.name)
            layers.remove(layer)
    if not layers:
        return
    found = [Idle.of(seen, layer) for layer in layers]
    yield from idle_findings(rule, found, images=seen.images, few=few, warn=warn, fail=fail)
    if seen.images >= few:
        maps = {one.layer: one.larger for one in found if not one.layer.whole}
        if maps:
            yield _figure(maps, seen.images, warn)


def _figure(shares: Mapping[Layer, float], images: int, warn: float) -> Figure:
    """Show the shares of the layers; of very many those with the largest, in the order of the network."""
    largest = sorted(shares.values(), reverse=True)[:_BARS][-1]
    shown = [layer for layer in shares if shares[layer] >= largest][:_BARS]
    worst = max(shares, key=shares.__getitem__)
    caption = _(
        "Share of each layer's channels that stay silent on all {n} images, or of those that give one number "
        "throughout, where these are more.",
        n=images,
    )
    if len(shown) < len(shares):
        which = _("Of {layers} layers those {shown} with most.", layers=len(shares), shown=len(shown))
        caption = f"{which} {caption}"
    return Figure(
        _("Silent channels"),
        caption,
        pictures.bars([x.name for x in shown], [shares[x] for x in shown], xlabel=_("share of channels"), limit=warn),
        alt=_("Silent channels by layer: at most {share:.1%}, in {layer}.", share=shares[worst], layer=worst.name),
    )


def _saturated(seen: ChannelStatistics, warn: float, few: int) -> Iterator[Finding]:
    found = {
        layer: np.flatnonzero(seen.saturated(layer) > _ALWAYS) for layer in seen.layers if math.isfinite(layer.ceiling)
    }
    if not found or seen.images < few:  # without a ceiling there is nothing to say
        return
    ceilings = sorted({numeral(layer.ceiling, "g") for layer in found})
    told = replace(_SATURATED, values={"ceiling": reduce(_either, ceilings)})
    yield from by_layer("activations.saturated", found, told, images=seen.images, few=few, warn=warn)


def _either(one: str, other: str) -> str:
    return _("{one} or {other}", one=one, other=other)


def _table(seen: ChannelStatistics) -> Table:
    return Table(
        _("Observed layers"),
        _(
            "Over {n} images: how many channels a layer has, how many stay silent, how many others give one number "
            "throughout, the share of outputs above zero, the mean and the standard deviation of a channel's outputs "
            "(averaged over the channels), and the highest output. What is observed is the output before the "
            "rectifier.",
            n=seen.images,
        ),
        (_("layer"), _("maps"), _("silent"), _("one number"), _("above zero"), _("mean"), _("deviation"), _("highest")),
        tuple(
            (
                layer.name,
                " x ".join(str(s) for s in layer.output),
                len(seen.dead(layer)) if math.isfinite(layer.floor) else _("no rectifier"),
                len(np.setdiff1d(seen.constant(layer), seen.dead(layer))),
                numeral(float(seen.active(layer).mean()), ".1%"),
                float(seen.mean(layer).mean()),
                float(np.sqrt(seen.variance(layer)).mean()),
                float(seen.highest(layer).max()),
            )
            for layer in seen.layers
        ),
    )

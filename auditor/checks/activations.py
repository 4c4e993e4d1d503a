"""What the feature maps of the network respond to, and which never respond."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import pictures
from auditor.check import Check, Count, Layers, Share, Steps
from auditor.collectors import ChannelStatistics
from auditor.errors import Skip
from auditor.results import Arrays, Figure, Finding, Gallery, Item, Table, Verdict, at_most
from auditor.wording import some

if TYPE_CHECKING:
    from auditor.context import Context, Sample
    from auditor.model.layers import Layer

Maps = NDArray[np.float32]

_ALWAYS = 0.95  # of all places
_BARS = 40


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

    From the first layer to the last the maps get smaller and more selective: early ones follow edges and
    colours, late ones whole parts of the object. Beside each image stand the maps of its strongest channels;
    all maps of a layer share one scale. A channel that stays silent on all images adds nothing to any answer.

    Args:
        layers: names of layers, or "all", or "spread": all are judged, and of a few from the first to the last
            the maps are shown.
        images: how many of the explained images are shown.
        channels: how many of the strongest channels are shown for each image.
        dead_warn: share of silent channels of a layer over which the audit warns.
        dead_fail: share of silent channels of a layer over which the audit fails.
        saturated_warn: share of saturated channels of a layer over which the audit warns.
        few: images under which nothing is said about silent and saturated channels.
    Rules:
        activations.dead: channels whose output after the rectifier is zero on all images; over 10 % of a
            layer a warning, over 50 % a failure. On N images a silent channel fires on less than 3/N of
            such images, with 95 % confidence.
        activations.saturated: channels that a rectifier with a ceiling, as ReLU6, cuts off there at over 95 % of
            all places; over 10 % of a layer a warning (heuristic).
        activations.nonfinite: outputs that are NaN or infinite; any is a failure (exact).
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014.
    """
    shown = context.layers.select(layers)
    if not shown:
        raise Skip("the network has no convolution whose maps could be shown")
    seen = yield ChannelStatistics(context.layers.maps if layers == "spread" else shown)
    yield from _not_finite(seen)
    yield from _dead(seen, dead_warn, dead_fail, few)
    yield from _saturated(seen, saturated_warn, few)
    yield _table(seen)
    yield from _galleries(context, shown, images, channels)


def _not_finite(seen: ChannelStatistics) -> Iterator[Finding]:
    rule, bad = "activations.nonfinite", [layer for layer in seen.layers if seen.not_finite(layer).any()]
    for layer in bad:
        count, worst = int(seen.not_finite(layer).sum()), int(seen.not_finite(layer).argmax())
        yield Finding(
            rule,
            Verdict.FAIL,
            f"{count} outputs are NaN or infinite, most of them in channel {worst}",
            subject=layer.name,
            value=count,
            limit=0,
            unit="outputs",
            n=seen.images,
            detail="Look for non-finite weights, a division by zero, or an overflow in half precision.",
        )
    if not bad:
        message = f"all outputs of the {len(seen.layers)} observed layers are finite"
        yield Finding(rule, Verdict.PASS, message, value=0, limit=0, n=seen.images)


def _dead(seen: ChannelStatistics, warn: float, fail: float, few: int) -> Iterator[Finding | Figure]:
    rule, rectified = "activations.dead", [layer for layer in seen.layers if layer.rectified]
    if not rectified:
        yield Finding(rule, Verdict.SKIP, "no rectifier follows the observed layers, so that no channel can be silent")
        return
    if seen.images < few:
        yield Finding(rule, Verdict.SKIP, f"{seen.images} images are too few (under {few}) to call a channel silent")
        return
    for layer in [layer for layer in rectified if not np.isfinite(seen.highest(layer)).any()]:
        yield Finding(rule, Verdict.SKIP, "no output is a number, so that no channel is judged", subject=layer.name)
        rectified.remove(layer)
    if not rectified:
        return
    found = {layer: silent(seen, layer) for layer in rectified}
    shares = {layer: len(channels) / len(seen.highest(layer)) for layer, channels in found.items()}
    for layer in [layer for layer in rectified if shares[layer] > warn] or [max(rectified, key=shares.__getitem__)]:
        yield _dead_in(layer, found[layer], shares[layer], seen, warn, fail)
    yield _figure(shares, seen.images, warn)


def _figure(shares: Mapping[Layer, float], images: int, warn: float) -> Figure:
    """Show the shares of the layers; of very many those with the largest, in the order of the network."""
    largest = sorted(shares.values(), reverse=True)[:_BARS][-1]
    shown = [layer for layer in shares if shares[layer] >= largest][:_BARS]
    worst = max(shares, key=shares.__getitem__)
    which = f"Of {len(shares)} layers those {len(shown)} with most. " if len(shown) < len(shares) else ""
    return Figure(
        "Silent channels",
        f"{which}Share of each layer's channels that stay silent on all {images} images.",
        pictures.bars([x.name for x in shown], [shares[x] for x in shown], xlabel="share of channels", limit=warn),
        alt=f"Silent channels by layer: at most {shares[worst]:.1%}, in {worst.name}.",
    )


def _dead_in(
    layer: Layer, channels: NDArray[np.int64], share: float, seen: ChannelStatistics, warn: float, fail: float
) -> Finding:
    total = len(seen.highest(layer))
    verdict = at_most(share, warn=warn, fail=fail)
    advice = "They add nothing: a lower learning rate, another initialisation or a leaky rectifier keeps them alive. "
    return Finding(
        "activations.dead",
        verdict,
        f"{_counted(len(channels), verdict)} of {total} channels stay silent on all {seen.images} images",
        subject=layer.name,
        value=share,
        limit=fail if verdict is Verdict.FAIL else warn,
        n=seen.images,
        detail=f"{advice}Channels: {some(channels)}" if len(channels) and verdict > Verdict.PASS else "",
    )


def _saturated(seen: ChannelStatistics, warn: float, few: int) -> Iterator[Finding]:
    found = {
        layer: np.flatnonzero(seen.saturated(layer) > _ALWAYS) for layer in seen.layers if math.isfinite(layer.ceiling)
    }
    if not found or seen.images < few:  # without a ceiling there is nothing to say
        return
    shares = {layer: len(channels) / len(seen.highest(layer)) for layer, channels in found.items()}
    for layer in [layer for layer in found if shares[layer] > warn] or [max(found, key=shares.__getitem__)]:
        verdict, channels = at_most(shares[layer], warn=warn), found[layer]
        yield Finding(
            "activations.saturated",
            verdict,
            f"{_counted(len(channels), verdict)} of {len(seen.highest(layer))} channels are cut off at "
            f"{layer.ceiling:g} nearly everywhere",
            subject=layer.name,
            value=shares[layer],
            limit=warn,
            n=seen.images,
            detail=f"They say the same of every image: look at the scale of the layer's input and of its weights. "
            f"Channels: {some(channels)}"
            if verdict > Verdict.PASS
            else "",
        )


def _counted(count: int, verdict: Verdict) -> str:
    """Return a number in words; where all is well it is that of the worst layer."""
    return f"at most {count}" if count and verdict <= Verdict.PASS else str(count or "none")


def silent(seen: ChannelStatistics, layer: Layer) -> NDArray[np.int64]:
    """Return the channels whose output was a number throughout, and never above zero."""
    return np.flatnonzero((seen.active(layer) == 0) & (seen.not_finite(layer) == 0))


def _table(seen: ChannelStatistics) -> Table:
    return Table(
        "Observed layers",
        f"Over {seen.images} images: how many channels a layer has, how many stay silent, the share of outputs above "
        "zero, the mean and the standard deviation of a channel's outputs (averaged over the channels), and the "
        "highest output. What is observed is the output before the rectifier.",
        ("layer", "maps", "silent", "above zero", "mean", "deviation", "highest"),
        tuple(
            (
                layer.name,
                " x ".join(str(s) for s in layer.output),
                len(silent(seen, layer)) if layer.rectified else "no rectifier",
                f"{float(seen.active(layer).mean()):.1%}",
                float(seen.mean(layer).mean()),
                float(np.sqrt(seen.variance(layer)).mean()),
                float(seen.highest(layer).max()),
            )
            for layer in seen.layers
        ),
    )


def _galleries(context: Context, layers: Sequence[Layer], images: int, channels: int) -> Iterator[Gallery | Arrays]:
    import torch

    samples = context.samples[:images]
    outputs = context.network.observe(torch.stack([s.tensor for s in samples]), [layer.tap for layer in layers])
    for layer in layers:
        maps = outputs[layer.tap].float().cpu().numpy()  # n c h w
        if layer.rectified:
            maps = maps.clip(min=0)
        strongest = np.argsort(-maps.max((2, 3)), axis=1, kind="stable")[:, :channels]  # n channels
        yield _gallery(layer, samples, maps, strongest)
        picked = np.take_along_axis(maps, strongest[:, :, None, None], axis=1)
        yield Arrays({f"{layer.name}/maps": picked, f"{layer.name}/channels": strongest})


def _gallery(layer: Layer, samples: Sequence[Sample], maps: Maps, strongest: NDArray[np.int64]) -> Gallery:
    shown = np.take_along_axis(maps, strongest[:, :, None, None], axis=1)
    finite = shown[np.isfinite(shown)]
    limit = float(np.abs(finite).max()) if finite.size and finite.any() else 1.0
    items = []
    for sample, order, own in zip(samples, strongest, maps, strict=True):
        items.append(Item(pictures.photo(sample.pixels, 160), sample.name, file=sample.name))
        items += [_item(layer, sample, int(c), own[c], limit) for c in order]
    count, height, width = layer.output
    scale = pictures.heat_scale(0.0, limit, "what reaches the rectifier, 0 where it is below")
    return Gallery(
        f"Layer {layer.name}",
        f"{count} maps of {height} x {width}; the channels that respond most to each image, with their highest output.",
        tuple(items),
        scale if layer.rectified else pictures.signed_scale(limit, "output"),
    )


def _item(layer: Layer, sample: Sample, channel: int, values: Maps, limit: float) -> Item:
    if not np.isfinite(values).any():
        return Item(pictures.heat(np.zeros_like(values), low=0.0, high=1.0, size=112), f"channel {channel}: no number")
    drawn = (
        pictures.heat(values, low=0.0, high=limit, size=112)
        if layer.rectified
        else pictures.signed(values, limit=limit, size=112)
    )
    row, column = np.unravel_index(int(np.nanargmax(values)), values.shape)
    alt = f"Map of channel {channel} of {layer.name} on {sample.name}: strongest at row {row}, column {column}."
    return Item(drawn, f"channel {channel}", float(np.nanmax(values)), sample.name, alt)

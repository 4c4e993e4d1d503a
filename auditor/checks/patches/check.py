"""Show the patches of the data that activate each channel most, and judge the channels by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from auditor.check import Check, Count, Layers, Share, Steps
from auditor.checks.patches import findings, rules
from auditor.checks.patches.figures import channel_row, channel_sheets
from auditor.collectors import TopActivations
from auditor.collectors.patches import patches_of
from auditor.config.options import Range
from auditor.context import ONE_CLASS
from auditor.errors import Skip, UsageError
from auditor.judging.grounds import WEIGHTS
from auditor.language import _, joined
from auditor.model.convolutions import convolutions
from auditor.results import Arrays, Finding, Gallery, Verdict

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.model.fields.receptive_fields import ReceptiveField
    from auditor.model.layers import Layer

Channels = Literal["notable", "all"] | tuple[Annotated[int, Range(0)], ...]


@Check.with_rules(*rules.RULES, needs=(WEIGHTS,))
def patches(
    context: Context,
    *,
    layers: Layers = "spread",
    channels: Channels = "notable",
    top: Count = 9,
    each: Count = 1,
    dead_warn: Share = 0.1,
    dead_fail: Share = 0.5,
    duplicate_warn: Share = 0.05,
    corner_warn: Share = 0.5,
    few: Count = 20,
) -> Steps:
    """Which patches of the data activate each channel most?

    Each column is one image: the receptive field of the channel's most active unit in the file's own resolution, the
    guided backprop of that unit for the same pixels (zero is grey, one scale a row), and the whole image with the
    patch outlined. What the patches have in common is what the channel responds to: edges and colours in the first
    layers, parts of objects in the last. The first column shows the distribution of the channel's maxima over the
    data, and its filter: in colour, or over the inputs with the largest weights, blue below zero and red above.

    Args:
        layers: names of layers, or "spread" for a few from the first to the last, or "all".
        channels: indices of channels; or "notable" for the channels with the highest, the median and the most
            selective response of each layer; or "all" for the patches of every channel.
        top: number of patches that are shown of each channel.
        each: largest number of patches from the same image.
        dead_warn: share of a layer's channels that are dead over which the audit warns.
        dead_fail: share of a layer's channels that are dead over which the audit fails.
        duplicate_warn: share of a layer's channels that have the patches of another one over which the audit warns.
        corner_warn: share of a layer's channels that respond only at the border over which the audit warns.
        few: number of images under which channels are not judged.
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014. Selective: lifetime
        sparseness, Vinje, Gallant, Science 2000.
    """
    chosen = context.layers.select(layers)
    if not chosen:
        raise Skip(_("the network has no convolution whose maps could be shown"))
    _refuse_unknown(chosen, channels)
    seen = yield TopActivations(chosen, top, each=each, leave_out=context.data.listing.duplicates)
    yield from findings.dead(seen, dead_warn, dead_fail, few)
    yield from findings.duplicate(seen, duplicate_warn, few)
    yield from findings.corner(seen, corner_warn, few)
    if context.task.multilabel:
        yield Finding("patches.class-pure", Verdict.SKIP, _(ONE_CLASS))
    else:
        yield findings.class_pure(seen, context.data.labels.indices, context.data.listing.duplicates, context.classes)
    kernels = {one.name: one.kernels for one in convolutions(context.network.module, context.network.layers)}
    for layer in chosen:
        yield from _shown(context, seen, layer, channels, kernels.get(layer.name))
        yield Arrays({f"{layer.name}/{name}": values for name, values in seen.best(layer)._asdict().items()})


def _refuse_unknown(layers: Sequence[Layer], channels: Channels) -> None:
    if isinstance(channels, str):
        return
    for channel in channels:
        for layer in layers:
            if channel >= layer.output[0]:
                raise UsageError(
                    f"patches.channels asks for channel {channel}, but layer {layer.name!r} has {layer.output[0]}, "
                    "numbered from 0; name a layer with patches.layers"
                )


def _shown(
    context: Context, seen: TopActivations, layer: Layer, channels: Channels, kernels: NDArray[np.float32] | None
) -> Iterator[Gallery]:
    best, field = seen.best(layer), context.network.receptive_field(layer.tap)
    size = context.network.input_shape[1:]
    field_size = _field_size(field, size)
    if channels == "all":
        found = {channel: patches_of(best, channel, field, size) for channel in range(layer.output[0])}
        if active := {channel: own for channel, own in found.items() if own}:
            items = tuple(channel_sheets(context, layer, active))
            caption = _("The {n} patches that activate each channel most.", n=seen.count)
            title = _("{layer}: all channels", layer=layer.name)
            yield Gallery(title, joined(caption, field_size), items, about={"layer": layer.name})
        return
    roles = notable(seen, layer) if channels == "notable" else dict.fromkeys(channels, "")
    for channel, role in roles.items():
        if own := patches_of(best, channel, field, size):
            kernel = None if kernels is None else kernels[channel]
            yield channel_row(context, seen, layer, channel, own, kernel=kernel, role=role, field_size=field_size)


def _field_size(field: ReceptiveField | None, size: tuple[int, int]) -> str:
    if field is None:
        return _("The receptive field could not be found; whole images are shown.")
    pixels = " x ".join(str(side) for side in field.size)
    if field.local:
        return _(
            "The receptive field is the whole image, because of an operation such as squeeze-excite. The patches show "
            "the receptive field of the local path: {pixels} pixels.",
            pixels=pixels,
        )
    if field.size[0] >= size[0] and field.size[1] >= size[1]:
        return _("Receptive field: {pixels} pixels, larger than the image.", pixels=pixels)
    return _("Receptive field: {pixels} pixels.", pixels=pixels)


def notable(seen: TopActivations, layer: Layer) -> dict[int, str]:
    """Return the channels with the highest, the median and the most selective response, and the reason for each."""
    highest, sparseness = seen.best(layer).inputs[:, 0], seen.sparseness(layer)
    active = np.flatnonzero(highest > 0)
    if not len(active):
        return {}
    ranked = active[np.argsort(-highest[active], kind="stable")]
    often = [channel for channel in active if seen.best(layer).values[channel, -1] > 0] or list(active)
    selective = max(often, key=lambda channel: sparseness[channel])
    roles: defaultdict[int, list[str]] = defaultdict(list)
    roles[int(ranked[0])].append(_("highest response"))
    roles[int(ranked[len(ranked) // 2])].append(_("median response"))
    roles[int(selective)].append(_("most selective (sparseness {sparseness:.2f})", sparseness=sparseness[selective]))
    return {channel: reduce(_both, why) for channel, why in roles.items()}


def _both(one: str, other: str) -> str:
    return _("{one} and {other}", one=one, other=other)

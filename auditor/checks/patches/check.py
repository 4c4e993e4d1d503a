"""The patches of the data that excite each channel most."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.check import Check, Count, Layers, Share, Steps
from auditor.checks.patches.figures import channel_row, channel_sheets, patches_of
from auditor.collectors import TopActivations
from auditor.config.options import Range
from auditor.errors import Skip, UsageError
from auditor.judging.channels import Told, by_layer, silent_by_layer
from auditor.language import _, many, marked
from auditor.model.convolutions import convolutions
from auditor.results import Arrays, Finding, Gallery, Verdict
from auditor.wording import chained, headed, some

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.model.fields.receptive_fields import ReceptiveField
    from auditor.model.layers import Layer

Channels = Literal["notable", "all"] | tuple[Annotated[int, Range(0)], ...]
Places = NDArray[np.int64]

_ERROR = 0.05
_SMALLEST_MAP = 5  # rows or columns: of a smaller map most places lie on the border

_REPEATING = Told(
    count=marked(
        "{count} of the {channels} channels are excited most by the same places of the same images as another channel"
    ),
    at_most=marked(
        "at most {count} of the {channels} channels are excited most by the same places of the same images as another "
        "channel"
    ),
    none=marked(
        "none of the {channels} channels are excited most by the same places of the same images as another channel"
    ),
    too_few=marked(
        "{images} images are too few (under {few}) to say that channels are excited most by the same places of the "
        "same images as another channel"
    ),
    advice=marked(
        "They cost time and add nothing: compare filters.duplicate, and prune them or train with more decay."
    ),
)
_CORNER = Told(
    count=marked("{count} of the {channels} channels respond most at the border of the image throughout"),
    at_most=marked("at most {count} of the {channels} channels respond most at the border of the image throughout"),
    none=marked("none of the {channels} channels respond most at the border of the image throughout"),
    too_few=marked(
        "{images} images are too few (under {few}) to say that channels respond most at the border of the image "
        "throughout"
    ),
    advice=marked(
        "Look for a frame, a time stamp or a watermark in the images, and at padding with zeros, which such channels "
        "take for an edge."
    ),
)


@Check
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
    """Which patches of the data excite each feature map most?

    Each column is one image of the data set: the part of it that the most active unit of the channel sees, in the
    file's own resolution; below it what guided backprop sends from that unit to the same pixels (grey is zero, one
    scale a row); below that the whole image with the part outlined. What the patches have in common is what the
    channel responds to: edges and colours in the first layers, parts of objects in the last. The first column is how
    its maxima are spread over the data, and below it the channel's filter: in colour, or over the inputs with the
    largest weights, blue below zero and red above.

    Args:
        layers: names of layers, or "spread" for a few from the first to the last, or "all".
        channels: numbers of channels; or "notable" for the one with the highest, the median and the most selective
            response of each layer; or "all" for a sheet of patches of every channel.
        top: how many patches are shown of each channel.
        each: how many of them may lie in the same image.
        dead_warn: share of channels of a layer that never fire, over which the audit warns.
        dead_fail: share of channels of a layer that never fire, over which the audit fails.
        duplicate_warn: share of channels of a layer that repeat another one, over which the audit warns.
        corner_warn: share of channels of a layer that respond at the border alone, over which the audit warns.
        few: images under which nothing is said about all the data.
    Rules:
        patches.dead: channels whose output after the rectifier is zero on all images; over 10 % of a layer a
            warning, over 50 % a failure. On N images such a channel fires on less than 3/N, with 95 % confidence.
        patches.duplicate: channels whose best patches are the same places of the same images as another channel's;
            over 5 % of a layer a warning (heuristic).
        patches.corner: channels whose best patches all lie in the outermost ring of the map, as chance would not
            put them there (corrected for the number of channels by Holm, 5 %): padding, a frame or a watermark.
            Over half of a layer a warning (heuristic): some such channels are usual where maps are padded.
        patches.class-pure: how many channels have the best patches from images of a single class (information).
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014. Selective: lifetime
        sparseness, Vinje, Gallant, Science 2000.
    """
    chosen = context.layers.select(layers)
    if not chosen:
        raise Skip(_("the network has no convolution whose maps could be shown"))
    _refuse_unknown(chosen, channels)
    seen = yield TopActivations(chosen, top, each=each, leave_out=context.data.listing.duplicates)
    yield from _dead(seen, dead_warn, dead_fail, few)
    yield from _duplicate(seen, duplicate_warn, few)
    yield from _corner(seen, corner_warn, few)
    yield _class_pure(context, seen)
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


def _dead(seen: TopActivations, warn: float, fail: float, few: int) -> Iterator[Finding]:
    rectified = [layer for layer in seen.layers if math.isfinite(layer.floor)]
    if not rectified:
        reason = _("no rectifier follows the layers, so that no channel can be silent")
        yield Finding("patches.dead", Verdict.SKIP, reason)
        return
    silent = {layer: never_firing(seen, layer) for layer in rectified}
    yield from silent_by_layer("patches.dead", silent, images=seen.images, few=few, warn=warn, fail=fail)


def never_firing(seen: TopActivations, layer: Layer) -> Places:
    """Return the channels whose largest output is a number, and not above the layer's floor."""
    highest = seen.best(layer).values[:, 0]
    return np.flatnonzero((highest <= layer.floor) & np.isfinite(highest))


def _duplicate(seen: TopActivations, warn: float, few: int) -> Iterator[Finding]:
    found = {layer: repeating(seen, layer) for layer in seen.layers}
    enough = max(few, seen.count)
    yield from by_layer("patches.duplicate", found, _REPEATING, images=seen.images, few=enough, warn=warn)


def repeating(seen: TopActivations, layer: Layer) -> Places:
    """Return the channels whose best places are those of a channel before them, in whatever order."""
    best = seen.best(layer)
    first: dict[frozenset[tuple[int, int, int]], int] = {}
    found = []
    for channel in range(len(best.images)):
        if not best.values[channel, -1] > 0:
            continue  # silent, or with fewer places than there might be
        places = frozenset(zip(*(part[channel].tolist() for part in (best.images, best.rows, best.cols)), strict=True))
        if first.setdefault(places, channel) != channel:
            found.append(channel)
    return np.array(found, dtype=np.int64)


def _corner(seen: TopActivations, warn: float, few: int) -> Iterator[Finding]:
    large = {layer: at_border(seen, layer) for layer in seen.layers if min(layer.output[1:]) >= _SMALLEST_MAP}
    if not large:
        reason = _("no map has {side} rows and columns or more", side=_SMALLEST_MAP)
        yield Finding("patches.corner", Verdict.SKIP, reason)
        return
    yield from by_layer("patches.corner", large, _CORNER, images=seen.images, few=few, warn=warn)


def at_border(seen: TopActivations, layer: Layer) -> Places:
    """Return the channels whose best places all lie in the outermost ring of the map, against chance."""
    best, (height, width) = seen.best(layer), layer.output[1:]
    fires = best.values > 0
    ring = (best.rows == 0) | (best.rows == height - 1) | (best.cols == 0) | (best.cols == width - 1)
    share = 1 - (height - 2) * (width - 2) / (height * width)
    throughout = (ring | ~fires).all(1) & fires.any(1)
    chance = np.where(throughout, share ** fires.sum(1), 1.0)
    return np.flatnonzero(np.array(methods.holm(chance.tolist())) < _ERROR)


def _class_pure(context: Context, seen: TopActivations) -> Finding:
    labels = context.data.labels.indices
    distinct = [label for i, label in enumerate(labels) if i not in context.data.listing.duplicates]
    counts = Counter(label for label in distinct if label is not None)
    if len(counts) < 2 or seen.each > 1 or len(distinct) < seen.count:
        reason = _("this needs one place an image, {n} images or more, and at least two classes", n=seen.count)
        return Finding("patches.class-pure", Verdict.SKIP, reason)
    pure: defaultdict[str, list[str]] = defaultdict(list)
    judged = 0
    for layer in seen.layers:
        best = seen.best(layer)
        for channel in np.flatnonzero(best.values[:, -1] > 0):
            found = {labels[image] for image in best.images[channel]}
            judged += 1
            if len(found) == 1 and (label := found.pop()) is not None:
                pure[context.classes[label]].append(f"{layer.name}:{channel}")
    number = sum(len(channels) for channels in pure.values())
    ways = sum(math.comb(n, seen.count) for n in counts.values())
    chance = judged * ways / math.comb(len(distinct), seen.count)
    return Finding(
        "patches.class-pure",
        Verdict.INFO,
        _pure(number, judged, seen.count, chance),
        value=number,
        unit=marked("channels"),
        n=seen.images,
        detail=chained(*(headed(name, some(channels, 4)) for name, channels in pure.items())),
    )


def _pure(number: int, judged: int, count: int, chance: float) -> str:
    numbers = {"channels": judged, "patches": count, "chance": chance}
    if not number:
        return _(
            "none of {channels} channels have all {patches} best patches from images of one class; chance would give "
            "{chance:.2g}",
            **numbers,
        )
    return many(
        "{count} of {channels} channels has all {patches} best patches from images of one class; chance would give "
        "{chance:.2g}",
        "{count} of {channels} channels have all {patches} best patches from images of one class; chance would give "
        "{chance:.2g}",
        number,
        **numbers,
    )


def _shown(
    context: Context, seen: TopActivations, layer: Layer, channels: Channels, kernels: NDArray[np.float32] | None
) -> Iterator[Gallery]:
    best, field = seen.best(layer), context.network.receptive_field(layer.tap)
    size = context.network.input_shape[1:]
    told = _field_told(field, size)
    if channels == "all":
        every = {channel: patches_of(best, channel, field, size) for channel in range(layer.output[0])}
        if fires := {channel: own for channel, own in every.items() if own}:
            items = tuple(channel_sheets(context, layer, fires))
            caption = _("The {n} best patches of each.", n=seen.count)
            title = _("{layer}: all channels", layer=layer.name)
            yield Gallery(title, f"{caption} {told}", items, about={"layer": layer.name})
        return
    roles = notable(seen, layer) if channels == "notable" else dict.fromkeys(channels, "")
    for channel, role in roles.items():
        if own := patches_of(best, channel, field, size):
            kernel = None if kernels is None else kernels[channel]
            yield channel_row(context, seen, layer, channel, own, kernel=kernel, role=role, told=told)


def _field_told(field: ReceptiveField | None, size: tuple[int, int]) -> str:
    if field is None:
        return _("What a unit sees could not be found, so that whole images are shown.")
    pixels = " x ".join(str(side) for side in field.size)
    if field.local:
        return _(
            "A unit sees the whole image, through an operation such as squeeze-excite; shown are the {pixels} pixels "
            "that it sees by the local path.",
            pixels=pixels,
        )
    if field.size[0] >= size[0] and field.size[1] >= size[1]:
        return _("A unit sees {pixels} pixels, more than the image has.", pixels=pixels)
    return _("A unit sees {pixels} pixels.", pixels=pixels)


def notable(seen: TopActivations, layer: Layer) -> dict[int, str]:
    """Return the channels with the highest, the median and the most selective response, and why each is chosen."""
    highest, sparseness = seen.best(layer).inputs[:, 0], seen.sparseness(layer)
    fires = np.flatnonzero(highest > 0)
    if not len(fires):
        return {}
    ranked = fires[np.argsort(-highest[fires], kind="stable")]
    often = [channel for channel in fires if seen.best(layer).values[channel, -1] > 0] or list(fires)
    selective = max(often, key=lambda channel: sparseness[channel])
    roles: defaultdict[int, list[str]] = defaultdict(list)
    roles[int(ranked[0])].append(_("the highest response"))
    roles[int(ranked[len(ranked) // 2])].append(_("the median response"))
    roles[int(selective)].append(
        _("the most selective (sparseness {sparseness:.2f})", sparseness=sparseness[selective])
    )
    return {channel: reduce(_both, why) for channel, why in roles.items()}


def _both(one: str, other: str) -> str:
    return _("{one} and {other}", one=one, other=other)

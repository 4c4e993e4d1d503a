"""Rows of pictures of a channel: the patches that activate it most, their guided backprop, and where they lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import pictures
from auditor.collectors.patches import Box, Patch
from auditor.collectors.top import TopActivations, edges
from auditor.errors import DataError
from auditor.language import _, headed, joined, message_of
from auditor.results import Gallery, Item

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from auditor.context import Context
    from auditor.model.layers import Layer


_SIDE = 176  # pixels of a picture
_SMALL = 64
_INPUTS = 9  # of a filter, shown below the distribution


def channel_row(
    context: Context,
    seen: TopActivations,
    layer: Layer,
    channel: int,
    patches: Sequence[Patch],
    *,
    kernel: NDArray[np.float32] | None,
    role: str,
    field_size: str,
) -> Gallery:
    """Show the distribution of a channel's maxima, its filter, and its best patches.

    Args:
        kernel: Its weights `[c, h, w]`; None if the layer is not a convolution.
        role: Why it is shown; empty if it was asked for.
        field_size: A sentence about its receptive field.
    """
    counts = seen.histogram(layer)[channel]
    title = _("{layer}, channel {channel}", layer=layer.name, channel=channel)
    caption = _(
        "Active on {active} of {n} images, largest output {highest:.3g}.",
        active=seen.images - int(counts[0]),
        n=seen.images,
        highest=patches[0].value,
    )
    about = _("channel {channel} of {layer}", channel=channel, layer=layer.name)
    signals = projected(context, layer, channel, patches)
    items = _items(context, patches, None if isinstance(signals, str) else signals, about)
    belongs = {"layer": layer.name, "channel": str(channel)}
    distribution = _distribution(counts, kernel, about, bgr=context.preprocess.color == "bgr")
    if role:
        title = headed(title, role)
    why = _("Without guided backprop: {reason}.", reason=signals) if isinstance(signals, str) else ""
    return Gallery(title, joined(caption, field_size, why), (distribution, *items), about=belongs)


def channel_sheets(context: Context, layer: Layer, found: Mapping[int, Sequence[Patch]]) -> Iterator[Item]:
    """Show the best patches of each channel as one picture; each file is read once."""
    wanted = defaultdict(list)
    for channel, patches in found.items():
        for number, patch in enumerate(patches):
            wanted[patch.image].append((channel, number, patch))
    parts: dict[tuple[int, int], Image] = {}
    for index, places in wanted.items():
        image = _original(context, index)
        for channel, number, patch in places:
            parts[channel, number] = pictures.part(image, _in_original(context, image, patch), _SMALL)
    for channel, patches in found.items():
        names = ", ".join(context.data.listing.names[patch.image] for patch in patches[:3])
        alt = _(
            "The {n} patches that activate channel {channel} of {layer} most, from {files}.",
            n=len(patches),
            channel=channel,
            layer=layer.name,
            files=names,
        )
        drawn = pictures.sheet([parts[channel, number] for number in range(len(patches))], 3, _SMALL)
        yield Item(drawn, _("channel {channel}", channel=channel), patches[0].value, alt=alt)


def projected(context: Context, layer: Layer, channel: int, patches: Sequence[Patch]) -> NDArray[np.float32] | str:
    """Return the guided backprop of each patch's unit, `[n, c, h, w]`, or why there is none.

    It is defined for ReLU only, and needs a gradient from the layer to the image.
    """
    import torch

    from auditor.methods.attribution.forward_pass import NotDifferentiable
    from auditor.methods.attribution.gradients import sent_back, sent_back_from
    from auditor.methods.attribution.rectifiers import NoRectifier, Rule
    from auditor.methods.attribution.targets import Position

    network, signals = context.network, []
    once = context.layers[layer.tap].runs == 1  # the number of runs of other layers may depend on the images
    send = sent_back_from if once else lambda *args: sent_back(*args)[:, 0]
    for start in range(0, len(patches), context.batch_size):
        some = patches[start : start + context.batch_size]
        images = torch.stack([_tensor(context, patch.image) for patch in some]).to(network.device)
        rows, cols, values = (
            torch.tensor([getattr(patch, part) for patch in some], device=network.device)
            for part in ("row", "col", "value")
        )
        unit = Position(layer.tap, channel, rows, cols, values)
        try:
            found = send(network, images, unit, Rule.GUIDED)
        except NoRectifier as reason:
            if not reason.linear:
                return message_of(reason)
            found = send(network, images, unit, Rule.GRADIENT)  # without an activation function the two are the same
        except NotDifferentiable as reason:
            return message_of(reason)
        signals.append(found.cpu().numpy())
    return np.concatenate(signals)


def _items(
    context: Context, patches: Sequence[Patch], projections: NDArray[np.float32] | None, about: str
) -> Iterator[Item]:
    limit = _limit(projections, patches) if projections is not None else 0.0
    for number, patch in enumerate(patches):
        image = _original(context, patch.image)
        box = _in_original(context, image, patch)
        shown = [pictures.part(image, box, _SIDE)]
        if projections is not None:
            signal = pictures.signal(projections[number][list(context.preprocess.shown)], limit)
            shown.append(pictures.part(signal, patch.box, _SIDE))
        shown.append(pictures.outlined(image, box, _SIDE))
        name, label = context.data.listing.names[patch.image], context.data.labels.indices[patch.image]
        truth = context.classes[label] if label is not None else _("no label")
        alt = _(
            "Patch {number} of {about}, in {file}: unit at row {row} and column {column} of its map.",
            number=number + 1,
            about=about,
            file=name,
            row=patch.row,
            column=patch.col,
        )
        yield Item(pictures.stacked(shown, _SIDE), truth, patch.value, name, alt)


def _limit(projections: NDArray[np.float32], patches: Sequence[Patch]) -> float:
    """Return the end of a row's colour scale: 1 % of the values inside the patches are larger."""
    inside = []
    for signal, patch in zip(projections, patches, strict=True):
        left, top, right, bottom = map(int, patch.box)
        inside.append(np.abs(signal[:, top:bottom, left:right]).ravel())
    every = np.concatenate(inside)
    every = every[np.isfinite(every)]
    return float(np.quantile(every, 0.99) or every.max()) if every.size else 0.0


def _distribution(counts: NDArray[np.int64], kernel: NDArray[np.float32] | None, about: str, *, bgr: bool) -> Item:
    bounds = edges().tolist()
    drawn = pictures.distribution(counts.tolist(), bounds, xlabel=_("maximum in an image"), ylabel=_("images"))
    alt = _(
        "Distribution of the maxima of {about} over {n} images; it is active on {active} of them.",
        about=about,
        n=counts.sum(),
        active=counts.sum() - counts[0],
    )
    if kernel is None or not (limit := float(np.abs(np.nan_to_num(kernel)).max())):
        return Item(drawn, _("over the data"), alt=alt)
    values = np.nan_to_num(kernel)
    ends = {"low": float(values.min()), "high": float(values.max())}
    if len(values) == 3 and values[0].size > 1:
        tiles = pictures.coloured(values[None, ::-1] if bgr else values[None], limit)
        weights = _("Its filter: weights from {low:.3g} to {high:.3g}.", **ends)
        return Item(pictures.with_filter(drawn, tiles), _("over the data; its filter"), alt=joined(alt, weights))
    largest = np.sort(np.argsort(-np.square(values).sum((1, 2)), kind="stable")[:_INPUTS])
    label = _("over the data; its filter over {shown} of {inputs} inputs", shown=len(largest), inputs=len(values))
    weights = _(
        "Its filter over the inputs {inputs}: weights from {low:.3g} to {high:.3g}.",
        inputs=", ".join(map(str, largest)),
        **ends,
    )
    return Item(pictures.with_filter(drawn, pictures.weighted(values[largest], limit)), label, alt=joined(alt, weights))


def _tensor(context: Context, index: int) -> Tensor:
    tensor = context.data[index].tensor
    if tensor is None:  # the sweep could read it
        raise DataError(f"{context.data.listing.names[index]} could be read before and can't be read now")
    return tensor


def _in_original(context: Context, image: Image, patch: Patch) -> Box:
    return context.preprocess.box_in_original(image.size, patch.box)


def _original(context: Context, index: int) -> Image:
    return context.data.decoded(index)

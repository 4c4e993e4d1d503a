"""Rows of pictures: each image layer by layer from pixels to scores, and the maps of each layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import pictures
from auditor.checks.activations.stages import ForwardPass, Route, Stage, forward_pass, route
from auditor.context import Maps, tensors
from auditor.language import _, chained, headed, joined, marked, numeral
from auditor.pictures.samples import photo
from auditor.results import Arrays, Gallery, Item, Scale

if TYPE_CHECKING:
    from auditor.context import Context, Sample
    from auditor.model.layers import Layer

_SIDE = 112
_CLASSES = 5
_ONE_ROW = 7  # that many pictures always fit into one row


def forward_passes(context: Context, count: int) -> Iterator[Gallery | Arrays]:
    """Show the first images resolution by resolution, from their pixels to their scores."""
    samples = context.samples[:count]
    stages = route(context.network, tensors(context, samples[:1]))
    for start in range(0, len(samples), context.batch_size):
        batch = samples[start : start + context.batch_size]
        found = forward_pass(context, batch, stages)
        for place, sample in enumerate(batch):
            yield _strip(context, sample, found, stages, place)
            yield Arrays({f"way/{sample.name}/{name}": values for name, values in _numbers(found, place)})


def _numbers(found: ForwardPass, place: int) -> Iterator[tuple[str, Maps]]:
    for stage in found.stages:
        yield stage.layer, stage.strength[place]
    if found.features is not None:
        yield "features", found.features[place]


def _strip(context: Context, sample: Sample, found: ForwardPass, route: Route, place: int) -> Gallery:
    items = [photo(context, sample), *(_stage_item(stage, sample, place) for stage in found.stages)]
    if found.features is not None:
        items.append(_features_item(found.features[place], sample))
    items.append(_scores_item(context, sample, tall=len(items) >= _ONE_ROW))
    title = _("{image}: from pixels to scores", image=sample.name)
    return Gallery(title, _strip_caption(found, route), tuple(items), about={"image": sample.name})


def _strip_caption(found: ForwardPass, route: Route) -> str:
    if not found.stages:
        return _("No maps are shown: {reason}.", reason=route.trouble or _("no layer returns maps"))
    which = _which_stages(found, route)
    scales = _("Each map has its own scale, from its smallest value to its largest.")
    if all(stage.rectified for stage in found.stages):
        mean = _("{layers}. Each map is the mean over all channels; a square is one unit.", layers=which)
    else:
        mean = _(
            "{layers}. Each map is the mean absolute output over all channels; a square is one unit.", layers=which
        )
    return joined(mean, scales)


def _which_stages(found: ForwardPass, route: Route) -> str:
    shown, one = len(found.stages), len({stage.shape[1:] for stage in found.stages}) < 2
    if shown == route.found:
        return _("The blocks of the network") if one else _("The last layer of each resolution")
    if one:
        return _("The blocks of the network, {shown} of {found}", shown=shown, found=route.found)
    return _("The last layer of each resolution, {shown} of {found}", shown=shown, found=route.found)


def _stage_item(stage: Stage, sample: Sample, place: int) -> Item:
    size = " x ".join(map(str, stage.shape))
    name = _("{layer}, rectified", layer=stage.layer) if stage.rectified else stage.layer
    zero = _("zero everywhere: all {channels} channels are zero", channels=stage.shape[0])
    return pictures.stage_item(stage.strength[place], joined(name, size, between="\n"), sample.name, zero=zero)


def _features_item(values: NDArray[np.float32], sample: Sample) -> Item:
    of = {"n": len(values), "image": sample.name}
    label = joined(_("features, sorted by size"), _count_of_features(values), between="\n")
    if not np.isfinite(values).all():
        alt = _("The {n} features of {image} are not all finite.", **of)
        return Item(pictures.written(_("no finite value")), label, alt=alt)
    if not values.any():
        alt = _("The {n} features of {image} are all zero.", **of)
        return Item(pictures.written(_("zero everywhere")), label, alt=alt)
    ends = {"low": float(values.min()), "high": float(values.max())}
    alt = _("The {n} features of {image}: from {low:.3g} to {high:.3g}.", **of, **ends)
    if not values.all():
        zero = float((values == 0).mean())
        alt = _("The {n} features of {image}: from {low:.3g} to {high:.3g}, {zero:.0%} zero.", **of, **ends, zero=zero)
    return Item(pictures.profile(values), label, alt=alt)


def _count_of_features(values: NDArray[np.float32]) -> str:
    if not np.isfinite(values).all():
        return _("{n:,}, not all finite", n=len(values))
    if not values.any():
        return _("{n:,}, all zero", n=len(values))
    zero = float((values == 0).mean())
    return _("{n:,}, {zero:.0%} zero", n=len(values), zero=zero) if zero else numeral(len(values), ",")


def _scores_item(context: Context, sample: Sample, *, tall: bool) -> Item:
    best, count = sample.by_score[:_CLASSES], len(sample.scores)
    label = _("probability and score")
    if count > len(best):
        label = joined(label, _("{shown} of {count:,} classes", shown=len(best), count=count), between="\n")
    if not np.isfinite(sample.scores).all():
        alt = _("The scores of {image} are not finite.", image=sample.name)
        return Item(pictures.written(_("no finite value")), label, alt=alt)
    names = [context.classes[target] for target in best]
    shares, scores = sample.probabilities[best].tolist(), sample.scores[best].tolist()
    numbers = zip(names, shares, scores, strict=True)
    classes = chained(*(_("{name} {share:.1%}, score {score:.3g}", name=n, share=p, score=s) for n, p, s in numbers))
    drawn = pictures.class_probabilities(names, shares, scores, tall=tall)
    return Item(
        drawn, label, alt=_("The most probable classes of {image}: {classes}.", image=sample.name, classes=classes)
    )


def layer_rows(context: Context, layers: Sequence[Layer], images: int, channels: int) -> Iterator[Gallery | Arrays]:
    """Show for each layer the images, the mean of its maps over each image, and the maps of the strongest channels."""
    samples = context.samples[:images]
    outputs = context.network.observe(tensors(context, samples), [layer.tap for layer in layers])
    for layer in layers:
        maps = outputs[layer.tap].float().cpu().numpy()  # n c h w
        mean = np.abs(layer.rectify(maps)).mean(1)
        shown = maps.clip(min=0) if layer.rectified else maps
        strongest = np.argsort(-shown.max((2, 3)), axis=1, kind="stable")[:, :channels]  # n channels
        yield _gallery(layer, samples, maps, mean, strongest)
        picked = np.take_along_axis(shown, strongest[:, :, None, None], axis=1)
        numbers = {"maps": picked, "channels": strongest, "mean": mean}
        yield Arrays({f"{layer.name}/{name}": values for name, values in numbers.items()})


def _gallery(layer: Layer, samples: Sequence[Sample], maps: Maps, mean: Maps, strongest: NDArray[np.int64]) -> Gallery:
    picked = np.take_along_axis(maps, strongest[:, :, None, None], axis=1)
    limit = _largest(picked.clip(min=0) if layer.rectified else picked)
    items = []
    for sample, order, own, overall in zip(samples, strongest, maps, mean, strict=True):
        items.append(Item(pictures.photo(sample.pixels, 160), sample.name, file=sample.name, role="photo"))
        items.append(_mean_item(layer, sample, own, overall, _ends(mean)))
        items += [_channel_item(layer, sample, int(c), own[c], limit or 1.0) for c in order]
    about = {"layer": layer.name}
    return Gallery(_("Layer {layer}", layer=layer.name), _caption(layer), tuple(items), _scale(layer, limit), about)


def _caption(layer: Layer) -> str:
    count, height, width = layer.output
    caption = (
        marked(
            "{count} maps of {height} x {width}. Over each image: the mean of all maps behind the rectifier, smoothly "
            "enlarged, coloured from the smallest mean to the largest. Beside it: the channels that respond most, with "
            "their largest output, in the scale of the layer."
        )
        if layer.rectified
        else marked(
            "{count} maps of {height} x {width}. Over each image: the mean of the absolute values of all maps, "
            "smoothly enlarged, coloured from the smallest mean to the largest. Beside it: the channels that respond "
            "most, with their largest output, in the scale of the layer."
        )
    )
    return _(caption, count=count, height=height, width=width)


def _scale(layer: Layer, limit: float) -> Scale | None:
    if not limit:
        return None
    if layer.rectified:
        return pictures.heat_scale(0.0, limit, _("channels: output behind the rectifier"))
    return pictures.signed_scale(limit, _("channels: output"))


def _largest(maps: Maps) -> float:
    return float(np.abs(maps[np.isfinite(maps)]).max(initial=0.0))


def _ends(mean: Maps) -> tuple[float, float]:
    """Return the range of the colours of a layer's means, which are often all far from zero."""
    finite = mean[np.isfinite(mean)]
    low, high = float(finite.min(initial=np.inf)), float(finite.max(initial=0.0))
    return (low if low < high else 0.0), high


def _mean_item(layer: Layer, sample: Sample, maps: Maps, mean: Maps, ends: tuple[float, float]) -> Item:
    about = _("the maps of {layer}, on {image}", layer=layer.name, image=sample.name)
    label = _("mean of {n} maps", n=len(maps))
    if not mean.any():
        return _zero_item(layer, maps, label, about, sample.name)
    return pictures.overlay_item(sample.pixels, mean, label, about, low=ends[0], limit=ends[1], file=sample.name)


def _channel_item(layer: Layer, sample: Sample, channel: int, values: Maps, limit: float) -> Item:
    label = _("channel {channel}", channel=channel)
    about = _("{layer} on {image}", layer=layer.name, image=sample.name)
    finite = values[np.isfinite(values)]
    if not finite.size:
        plate = pictures.written(_("no finite value"), values.shape)
        return Item(plate, headed(label, _("no finite value")), alt=_("{map} of {about}.", map=label, about=about))
    shown = values.clip(min=0) if layer.rectified else values
    if finite.size == values.size and not shown.any():
        return _zero_item(layer, values, label, about, sample.name)
    drawn = (
        pictures.heat(shown, low=0.0, high=limit, size=_SIDE)
        if layer.rectified
        else pictures.signed(shown, limit=limit, size=_SIDE)
    )
    row, column = np.unravel_index(int(np.nanargmax(shown)), shown.shape)
    alt = _(
        "Map of {map} of {about}: largest at row {row}, column {column}.",
        map=label,
        about=about,
        row=row,
        column=column,
    )
    return Item(drawn, label, float(np.nanmax(shown)), sample.name, alt)


def _zero_item(layer: Layer, values: Maps, label: str, about: str, file: str) -> Item:
    """Say in words that maps are zero, and how far the largest input of the rectifier is from zero."""
    reason = (
        _("zero everywhere: the largest input of the rectifier is {highest:.3g}", highest=float(values.max()))
        if layer.rectified
        else _("zero everywhere: all outputs of the layer are zero")
    )
    drawn = pictures.written(_("zero everywhere"), values.shape[-2:])
    alt = _("{map} of {about}: {reason}.", map=label, about=about, reason=reason)
    return Item(drawn, headed(label, reason), file=file, alt=alt)

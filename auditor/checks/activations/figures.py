"""Rows of pictures of what layers make of some images, and of the way of each image to its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import pictures
from auditor.checks.activations.stages import Route, Stage, Way, route, way
from auditor.context import Maps, tensors
from auditor.language import _, headed, marked, numeral
from auditor.pictures.samples import photo
from auditor.results import Arrays, Gallery, Item, Scale

if TYPE_CHECKING:
    from auditor.context import Context, Sample
    from auditor.model.layers import Layer

_SIDE = 112
_ANSWERS = 5
_ONE_ROW = 7  # pictures stand side by side in any case


def ways(context: Context, count: int) -> Iterator[Gallery | Arrays]:
    """Show what the first images become, resolution by resolution, on their way to the scores."""
    samples = context.samples[:count]
    stops = route(context.network, tensors(context, samples[:1]))
    for start in range(0, len(samples), context.batch_size):
        some = samples[start : start + context.batch_size]
        found = way(context, some, stops)
        for place, sample in enumerate(some):
            yield _way(context, sample, found, stops, place)
            yield Arrays({f"way/{sample.name}/{name}": values for name, values in _numbers(found, place)})


def _numbers(found: Way, place: int) -> Iterator[tuple[str, Maps]]:
    for stage in found.stages:
        yield stage.layer, stage.strength[place]
    if found.features is not None:
        yield "features", found.features[place]


def _way(context: Context, sample: Sample, found: Way, stops: Route, place: int) -> Gallery:
    items = [photo(context, sample), *(_stage_item(stage, sample, place) for stage in found.stages)]
    if found.features is not None:
        items.append(_features_item(found.features[place], sample))
    items.append(_answers_item(context, sample, tall=len(items) >= _ONE_ROW))
    title, about = _("{image}: the way to its scores", image=sample.name), {"image": sample.name}
    return Gallery(title, _way_caption(found, stops), tuple(items), about=about)


def _way_caption(found: Way, stops: Route) -> str:
    if not found.stages:
        return _("No layer's maps can be shown: {reason}.", reason=stops.trouble or _("none gives any"))
    which = _which_stages(found, stops)
    scales = _("Each map has its own scale, from its smallest value to its largest.")
    if all(stage.rectified for stage in found.stages):
        mean = _("{layers}: the mean over all channels, one square a place.", layers=which)
    else:
        mean = _("{layers}: the mean of the absolute outputs over all channels, one square a place.", layers=which)
    return f"{mean} {scales}"


def _which_stages(found: Way, stops: Route) -> str:
    shown, one = len(found.stages), len({stage.shape[1:] for stage in found.stages}) < 2
    if shown == stops.found:
        return _("The steps of the one resolution") if one else _("The last layer of each resolution")
    if one:
        return _("The steps of the one resolution, {shown} of {found}", shown=shown, found=stops.found)
    return _("The last layer of each resolution, {shown} of {found}", shown=shown, found=stops.found)


def _stage_item(stage: Stage, sample: Sample, place: int) -> Item:
    size = " x ".join(map(str, stage.shape))
    name = _("{layer}, rectified", layer=stage.layer) if stage.rectified else stage.layer
    zero = _("zero everywhere, because all {channels} channels are", channels=stage.shape[0])
    return pictures.stage_item(stage.strength[place], f"{name}\n{size}", sample.name, zero=zero)


def _features_item(values: NDArray[np.float32], sample: Sample) -> Item:
    told, of = _told_features(values), {"n": len(values), "image": sample.name}
    label = _("features by size") + f"\n{told}"
    if not np.isfinite(values).all():
        alt = _("The {n} features of {image} are not all numbers.", **of)
        return Item(pictures.written(_("no numbers")), label, alt=alt)
    if not values.any():
        alt = _("The {n} features of {image} are all zero.", **of)
        return Item(pictures.written(_("zero everywhere")), label, alt=alt)
    ends = {"low": float(values.min()), "high": float(values.max())}
    alt = _("The {n} features of {image}: from {low:.3g} to {high:.3g}.", **of, **ends)
    if not values.all():
        zero = float((values == 0).mean())
        alt = _("The {n} features of {image}: from {low:.3g} to {high:.3g}, {zero:.0%} zero.", **of, **ends, zero=zero)
    return Item(pictures.profile(values), label, alt=alt)


def _told_features(values: NDArray[np.float32]) -> str:
    if not np.isfinite(values).all():
        return _("{n:,}, not all finite", n=len(values))
    if not values.any():
        return _("{n:,}, all zero", n=len(values))
    zero = float((values == 0).mean())
    return _("{n:,}, {zero:.0%} zero", n=len(values), zero=zero) if zero else numeral(len(values), ",")


def _answers_item(context: Context, sample: Sample, *, tall: bool) -> Item:
    best, count = sample.ranked[:_ANSWERS], len(sample.scores)
    label = _("probability and score")
    if count > len(best):
        label += "\n" + _("{shown} of {count:,} classes", shown=len(best), count=count)
    if not np.isfinite(sample.scores).all():
        alt = _("The scores of {image} are no numbers.", image=sample.name)
        return Item(pictures.written(_("no numbers")), label, alt=alt)
    names = [context.classes[target] for target in best]
    shares, scores = sample.probabilities[best].tolist(), sample.scores[best].tolist()
    numbers = zip(names, shares, scores, strict=True)
    told = "; ".join(_("{name} {share:.1%}, score {score:.3g}", name=n, share=p, score=s) for n, p, s in numbers)
    drawn = pictures.class_probabilities(names, shares, scores, tall=tall)
    return Item(drawn, label, alt=_("The best classes of {image}: {classes}.", image=sample.name, classes=told))


def layer_rows(context: Context, layers: Sequence[Layer], images: int, channels: int) -> Iterator[Gallery | Arrays]:
    """Show for each layer the images, the mean of all its maps over each, and the maps of the strongest channels."""
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
            "{count} maps of {height} x {width}. The mean of all maps, as the rectifier hands them on, lies over each "
            "image, smoothly enlarged, its colours from the smallest mean to the largest. Beside it are the channels "
            "that respond most, with their highest output, in the scale of the layer."
        )
        if layer.rectified
        else marked(
            "{count} maps of {height} x {width}. The mean of the absolute values of all maps lies over each image, "
            "smoothly enlarged, its colours from the smallest mean to the largest. Beside it are the channels that "
            "respond most, with their highest output, in the scale of the layer."
        )
    )
    return _(caption, count=count, height=height, width=width)


def _scale(layer: Layer, limit: float) -> Scale | None:
    if not limit:
        return None
    if layer.rectified:
        return pictures.heat_scale(0.0, limit, _("channels: what reaches the rectifier, 0 where it is below"))
    return pictures.signed_scale(limit, _("channels: output"))


def _largest(maps: Maps) -> float:
    return float(np.abs(maps[np.isfinite(maps)]).max(initial=0.0))


def _ends(mean: Maps) -> tuple[float, float]:
    """Return where the colours of the means of a layer begin and end: often they are far from zero throughout."""
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
        plate, told = pictures.written(_("no number"), values.shape), _("{map}: no number", map=label)
        return Item(plate, told, alt=_("{map} of {about}.", map=label, about=about))
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
        "Map of {map} of {about}: strongest at row {row}, column {column}.",
        map=label,
        about=about,
        row=row,
        column=column,
    )
    return Item(drawn, label, float(np.nanmax(shown)), sample.name, alt)


def _zero_item(layer: Layer, values: Maps, label: str, about: str, file: str) -> Item:
    """Say in words that maps are zero, and by how much they miss being anything else."""
    told = (
        _("zero everywhere, because nothing above {highest:.3g} reaches the rectifier", highest=float(values.max()))
        if layer.rectified
        else _("zero everywhere, because the layer gives nothing else")
    )
    drawn = pictures.written(_("zero everywhere"), values.shape[-2:])
    alt = _("{map} of {about}: {told}.", map=label, about=about, told=told)
    return Item(drawn, headed(label, told), file=file, alt=alt)

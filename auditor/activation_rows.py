"""Rows of pictures of what layers make of some images, and of the way of each image to its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import pictures
from auditor.explained import Maps, tensors
from auditor.explained_rows import photo
from auditor.results import Arrays, Gallery, Item, Scale
from auditor.stages import Route, Stage, Way, route, way

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
    title, about = f"{sample.name}: the way to its scores", {"image": sample.name}
    return Gallery(title, _way_caption(found, stops), tuple(items), about=about)


def _way_caption(found: Way, stops: Route) -> str:
    if not found.stages:
        return f"No layer's maps can be shown: {stops.trouble or 'none gives any'}."
    one = len({stage.shape[1:] for stage in found.stages}) < 2
    which = "The steps of the one resolution" if one else "The last layer of each resolution"
    some = f", {len(found.stages)} of {stops.found}" if stops.found > len(found.stages) else ""
    negative = "" if all(stage.rectified for stage in found.stages) else " of the absolute outputs"
    scales = "Each map has its own scale, from its smallest value to its largest."
    return f"{which}{some}: the mean{negative} over all channels, one square a place. {scales}"


def _stage_item(stage: Stage, sample: Sample, place: int) -> Item:
    size = " x ".join(map(str, stage.shape))
    label = f"{stage.layer}, rectified\n{size}" if stage.rectified else f"{stage.layer}\n{size}"
    silent = f"all {stage.shape[0]} channels are"
    return pictures.stage_item(stage.strength[place], label, sample.name, zero=silent)


def _features_item(values: NDArray[np.float32], sample: Sample) -> Item:
    label, about = f"features by size\n{len(values):,}", f"The {len(values)} features of {sample.name}"
    if not np.isfinite(values).all():
        return Item(pictures.written("no numbers"), f"{label}, not all finite", alt=f"{about} are not all numbers.")
    if not values.any():
        return Item(pictures.written("zero everywhere"), f"{label}, all zero", alt=f"{about} are all zero.")
    zero = "" if values.all() else f", {(values == 0).mean():.0%} zero"
    alt = f"{about}: from {values.min():.3g} to {values.max():.3g}{zero}."
    return Item(pictures.profile(values), f"{label}{zero}", alt=alt)


def _answers_item(context: Context, sample: Sample, *, tall: bool) -> Item:
    best, count = sample.ranked[:_ANSWERS], len(sample.scores)
    label = "probability and score" + (f"\n{len(best)} of {count:,} classes" if count > len(best) else "")
    if not np.isfinite(sample.scores).all():
        return Item(pictures.written("no numbers"), label, alt=f"The scores of {sample.name} are no numbers.")
    names = [context.classes[target] for target in best]
    shares, scores = sample.probabilities[best].tolist(), sample.scores[best].tolist()
    told = "; ".join(f"{n} {p:.1%}, score {s:.3g}" for n, p, s in zip(names, shares, scores, strict=True))
    drawn = pictures.answers(names, shares, scores, tall=tall)
    return Item(drawn, label, alt=f"The best classes of {sample.name}: {told}.")


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
    count, height, width = layer.output
    mean_of = "all maps, as the rectifier hands them on," if layer.rectified else "the absolute values of all maps"
    return Gallery(
        f"Layer {layer.name}",
        f"{count} maps of {height} x {width}. The mean of {mean_of} lies over each image, smoothly enlarged, its "
        "colours from the smallest mean to the largest. Beside it are the channels that respond most, with their "
        "highest output, in the scale of the layer.",
        tuple(items),
        _scale(layer, limit),
        {"layer": layer.name},
    )


def _scale(layer: Layer, limit: float) -> Scale | None:
    if not limit:
        return None
    if layer.rectified:
        return pictures.heat_scale(0.0, limit, "channels: what reaches the rectifier, 0 where it is below")
    return pictures.signed_scale(limit, "channels: output")


def _largest(maps: Maps) -> float:
    return float(np.abs(maps[np.isfinite(maps)]).max(initial=0.0))


def _ends(mean: Maps) -> tuple[float, float]:
    """Return where the colours of the means of a layer begin and end: often they are far from zero throughout."""
    finite = mean[np.isfinite(mean)]
    low, high = float(finite.min(initial=np.inf)), float(finite.max(initial=0.0))
    return (low if low < high else 0.0), high


def _mean_item(layer: Layer, sample: Sample, maps: Maps, mean: Maps, ends: tuple[float, float]) -> Item:
    about = f"the maps of {layer.name}, on {sample.name}"
    if not mean.any():
        return _zero_item(layer, maps, f"mean of {len(maps)} maps", about, sample.name)
    return pictures.overlay_item(
        sample.pixels, mean, f"mean of {len(maps)} maps", about, low=ends[0], limit=ends[1], file=sample.name
    )


def _channel_item(layer: Layer, sample: Sample, channel: int, values: Maps, limit: float) -> Item:
    label, about = f"channel {channel}", f"{layer.name} on {sample.name}"
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Item(pictures.written("no number", values.shape), f"{label}: no number", alt=f"{label} of {about}.")
    shown = values.clip(min=0) if layer.rectified else values
    if finite.size == values.size and not shown.any():
        return _zero_item(layer, values, label, about, sample.name)
    drawn = (
        pictures.heat(shown, low=0.0, high=limit, size=_SIDE)
        if layer.rectified
        else pictures.signed(shown, limit=limit, size=_SIDE)
    )
    row, column = np.unravel_index(int(np.nanargmax(shown)), shown.shape)
    alt = f"Map of {label} of {about}: strongest at row {row}, column {column}."
    return Item(drawn, label, float(np.nanmax(shown)), sample.name, alt)


def _zero_item(layer: Layer, values: Maps, label: str, about: str, file: str) -> Item:
    """Say in words that maps are zero, and by how much they miss being anything else."""
    reason = (
        f"nothing above {values.max():.3g} reaches the rectifier" if layer.rectified else "the layer gives nothing else"
    )
    told = f"zero everywhere, because {reason}"
    drawn = pictures.written("zero everywhere", values.shape[-2:])
    return Item(drawn, f"{label}: {told}", file=file, alt=f"{label} of {about}: {told}.")

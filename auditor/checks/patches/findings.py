"""Which channels are dead, duplicated, tied to the border, or respond to a single class."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.collectors import TopActivations
from auditor.judging.channels import Told, by_layer, silent_by_layer
from auditor.language import _, chained, headed, many, marked, some
from auditor.results import Finding, Verdict

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.model.layers import Layer


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


def dead(seen: TopActivations, warn: float, fail: float, few: int) -> Iterator[Finding]:
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


def duplicate(seen: TopActivations, warn: float, few: int) -> Iterator[Finding]:
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


def corner(seen: TopActivations, warn: float, few: int) -> Iterator[Finding]:
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


def class_pure(context: Context, seen: TopActivations) -> Finding:
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

"""Judge which channels are dead, duplicated, tied to the border, or respond to a single class."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.collectors import TopActivations
from auditor.judging.channels import DEAD, Wording, by_layer
from auditor.language import _, chained, headed, many, marked, some
from auditor.results import Finding, Verdict

if TYPE_CHECKING:
    from auditor.model.layers import Layer


Places = NDArray[np.int64]

_ERROR = 0.05

_SMALLEST_MAP = 5  # rows or columns: most units of a smaller map lie on its border


def dead(seen: TopActivations, warn: float, fail: float, few: int) -> Iterator[Finding]:
    """Judge each layer before a rectifier by its share of dead channels."""
    rectified = [layer for layer in seen.layers if math.isfinite(layer.floor)]
    if not rectified:
        yield Finding("patches.dead", Verdict.SKIP, _("no rectifier follows the layers: no channel can be dead"))
        return
    found = {layer: never_active(seen, layer) for layer in rectified}
    yield from by_layer("patches.dead", found, DEAD, images=seen.images, few=few, warn=warn, fail=fail)


def never_active(seen: TopActivations, layer: Layer) -> Places:
    """Return the channels whose largest output is finite, and not above the layer's floor."""
    highest = seen.best(layer).values[:, 0]
    return np.flatnonzero((highest <= layer.floor) & np.isfinite(highest))


def duplicate(seen: TopActivations, warn: float, few: int) -> Iterator[Finding]:
    """Judge each layer by its share of channels that have the same best patches as another channel."""
    found = {layer: repeating(seen, layer) for layer in seen.layers}
    enough = max(few, seen.count)
    yield from by_layer("patches.duplicate", found, _DUPLICATE, images=seen.images, few=enough, warn=warn)


def repeating(seen: TopActivations, layer: Layer) -> Places:
    """Return the channels whose best patches are those of an earlier channel, in any order."""
    best = seen.best(layer)
    first: dict[frozenset[tuple[int, int, int]], int] = {}
    found = []
    for channel in range(len(best.images)):
        if not best.values[channel, -1] > 0:
            continue  # dead, or active on fewer patches than are kept
        places = frozenset(zip(*(part[channel].tolist() for part in (best.images, best.rows, best.cols)), strict=True))
        if first.setdefault(places, channel) != channel:
            found.append(channel)
    return np.array(found, dtype=np.int64)


def corner(seen: TopActivations, warn: float, few: int) -> Iterator[Finding]:
    """Judge each layer by its share of channels that respond most at the border of the image."""
    large = {layer: at_border(seen, layer) for layer in seen.layers if min(layer.output[1:]) >= _SMALLEST_MAP}
    if not large:
        message = _("no map has at least {rows} rows and columns", rows=_SMALLEST_MAP)
        yield Finding("patches.corner", Verdict.SKIP, message)
        return
    yield from by_layer("patches.corner", large, _CORNER, images=seen.images, few=few, warn=warn)


def at_border(seen: TopActivations, layer: Layer) -> Places:
    """Return the channels whose best patches all lie in the outermost ring of the map, more often than by chance."""
    best, (height, width) = seen.best(layer), layer.output[1:]
    active = best.values > 0
    ring = (best.rows == 0) | (best.rows == height - 1) | (best.cols == 0) | (best.cols == width - 1)
    share = 1 - (height - 2) * (width - 2) / (height * width)
    throughout = (ring | ~active).all(1) & active.any(1)
    chance = np.where(throughout, share ** active.sum(1), 1.0)
    return np.flatnonzero(np.array(methods.holm(chance.tolist())) < _ERROR)


def class_pure(
    seen: TopActivations, labels: Sequence[int | None], copies: Collection[int], classes: Sequence[str]
) -> Finding:
    """Count the channels whose best patches are all from images of one class.

    Args:
        labels: The class of each image; None if it has no label.
        copies: Indices of images that are copies of another file, and are not seen.
        classes: Names of the classes.
    """
    distinct = [label for i, label in enumerate(labels) if i not in copies]
    counts = Counter(label for label in distinct if label is not None)
    if len(counts) < 2 or seen.each > 1 or len(distinct) < seen.count:
        message = _("needs one patch an image, at least {n} images and at least 2 classes", n=seen.count)
        return Finding("patches.class-pure", Verdict.SKIP, message)
    pure: defaultdict[str, list[str]] = defaultdict(list)
    judged = 0
    for layer in seen.layers:
        best = seen.best(layer)
        for channel in np.flatnonzero(best.values[:, -1] > 0):
            found = {labels[image] for image in best.images[channel]}
            judged += 1
            if len(found) == 1 and (label := found.pop()) is not None:
                pure[classes[label]].append(f"{layer.name}:{channel}")
    combinations = sum(math.comb(n, seen.count) for n in counts.values())
    expected = judged * combinations / math.comb(len(distinct), seen.count)
    return _pure(pure, judged, seen, expected)


def _pure(pure: Mapping[str, list[str]], judged: int, seen: TopActivations, expected: float) -> Finding:
    number = sum(len(channels) for channels in pure.values())
    return Finding(
        "patches.class-pure",
        Verdict.INFO,
        many(
            "{count} of {channels} channels has its {patches} best patches from images of one class "
            "({expected:.2g} expected by chance)",
            "{count} of {channels} channels have their {patches} best patches from images of one class "
            "({expected:.2g} expected by chance)",
            number,
            channels=judged,
            patches=seen.count,
            expected=expected,
        ),
        value=number,
        unit=marked("channels"),
        n=seen.images,
        detail=chained(*(headed(name, some(channels, 4)) for name, channels in pure.items())),
    )


def _duplicated(count: int, channels: int, images: int) -> str:
    return many(
        "{count} of {channels} channels has the same best patches as another channel",
        "{count} of {channels} channels have the same best patches as another channel",
        count,
        channels=channels,
    )


def _most_duplicated(count: int, channels: int, images: int) -> str:
    if not count:
        return _("no channel has the same best patches as another channel")
    return many(
        "at most {count} of {channels} channels of a layer has the same best patches as another channel",
        "at most {count} of {channels} channels of a layer have the same best patches as another channel",
        count,
        channels=channels,
    )


def _too_few_to_compare(images: int, few: int) -> str:
    return many(
        "{count} image is too few to compare the best patches of channels ({few} needed)",
        "{count} images are too few to compare the best patches of channels ({few} needed)",
        images,
        few=few,
    )


def _about_duplicates() -> str:
    return _(
        "Duplicates cost time and add nothing. Compare them with filters.duplicate, then prune them or train with more "
        "weight decay."
    )


def _tied(count: int, channels: int, images: int) -> str:
    return many(
        "{count} of {channels} channels has all its best patches at the border of the image",
        "{count} of {channels} channels have all their best patches at the border of the image",
        count,
        channels=channels,
    )


def _most_tied(count: int, channels: int, images: int) -> str:
    if not count:
        return _("no channel has all its best patches at the border of the image")
    return many(
        "at most {count} of {channels} channels of a layer has all its best patches at the border of the image",
        "at most {count} of {channels} channels of a layer have all their best patches at the border of the image",
        count,
        channels=channels,
    )


def _too_few_at_border(images: int, few: int) -> str:
    return many(
        "{count} image is too few to judge where channels respond most ({few} needed)",
        "{count} images are too few to judge where channels respond most ({few} needed)",
        images,
        few=few,
    )


def _about_border() -> str:
    return _(
        "Look for a frame, a time stamp or a watermark in the images. Padding with zeros can also act as an edge for "
        "such channels."
    )


_DUPLICATE = Wording(_duplicated, _most_duplicated, _too_few_to_compare, _about_duplicates)
_CORNER = Wording(_tied, _most_tied, _too_few_at_border, _about_border)

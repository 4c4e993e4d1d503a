"""Many images of each of some classes, with their predicted classes."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.data import sampling
from auditor.errors import Skip
from auditor.language import _, many

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ClassImages:
    """Images of some classes, and a few of all other classes.

    Attributes:
        classes: The classes of which many images were read, ascending.
        indices: The place of each image in the data set, `[n]`.
        images: `[n, c, h, w]`, on the CPU.
        labels: The true class of each image, `[n]`.
        predicted: The predicted class, `[n]`; -1 if a score is not finite.
    """

    classes: tuple[int, ...]
    indices: Indices
    images: Tensor
    labels: Indices
    predicted: Indices

    def of(self, target: int) -> Indices:
        """Return the correctly classified images of a class."""
        return np.flatnonzero((self.labels == target) & (self.predicted == target))

    def rest(self) -> Indices:
        """Return the correctly classified images of classes other than `classes`."""
        return np.flatnonzero((self.labels == self.predicted) & ~np.isin(self.labels, self.classes))

    def others(self, target: int) -> Indices:
        """Return the images that neither show a class nor are predicted as it, cycling through the other classes."""
        found = np.flatnonzero((self.labels != target) & (self.predicted != target) & (self.predicted >= 0))
        own = [found[self.labels[found] == label] for label in np.unique(self.labels[found])]
        turns = chain.from_iterable(zip_longest(*(places.tolist() for places in own)))
        return np.array([place for place in turns if place is not None], np.int64)


def class_images(context: Context, *, classes: int, images: int, few: int) -> ClassImages:
    """Read images of the classes with the most images, and as many of all other classes together.

    Args:
        classes: How many classes are read; of classes with as many images, the first ones.
        images: How many images of each class.
        few: Classes with fewer images are left out.

    Raises:
        Skip: No image has a label, no class has `few` images, no image can be read, or there is only one class.
    """
    members = _members(context)
    counts = Counter({label: len(places) for label, places in members.items()})
    if not counts:
        raise Skip(_("no image has a label"))
    chosen = sorted(label for label, count in counts.most_common(classes) if count >= few)
    if not chosen:
        raise Skip(_too_few(max(counts.values()), few))
    if len(counts) < 2:
        raise Skip(_("all images show one class; a shortcut can only be tested against images of other classes"))
    own = [place for label in chosen for place in members[label][:images]]
    return _read(context, tuple(chosen), own + _of_the_rest(members, chosen, images, context.seed))


def _too_few(most: int, few: int) -> str:
    return many(
        "no class has {few} images: the largest has {count}",
        "no class has {few} images: the largest has {count}",
        most,
        few=few,
    )


def _members(context: Context) -> dict[int, list[int]]:
    """Return the images of each class, shuffled; duplicate files are left out."""
    members: defaultdict[int, list[int]] = defaultdict(list)
    for place, label in enumerate(context.data.labels.indices):
        if label is not None and place not in context.data.listing.duplicates:
            members[label].append(place)
    stream = random.Random(context.seed)  # noqa: S311 - a sample, no secret
    return {label: stream.sample(members[label], len(members[label])) for label in sorted(members)}


def _of_the_rest(members: dict[int, list[int]], chosen: Sequence[int], count: int, seed: int) -> list[int]:
    rest = [(place, label) for label, places in members.items() if label not in chosen for place in places]
    return [rest[i][0] for i in sampling.spread([label for _place, label in rest], count, seed)]


def _read(context: Context, classes: tuple[int, ...], indices: Sequence[int]) -> ClassImages:
    import torch

    from auditor.methods.shortcuts.exchange import answers
    from auditor.process.isolation import surroundings

    loaded = [(one, one.tensor) for one in map(context.data.__getitem__, indices) if one.tensor is not None]
    if not loaded:
        raise Skip(_("no image can be read: see data.unreadable"))
    images = torch.stack([tensor for _one, tensor in loaded])
    with surroundings(context.seed, "class images", context.network.device):
        predicted = answers(context.network, images, batch=context.batch_size).cpu().numpy()
    read, labels = ([getattr(one, name) for one, _tensor in loaded] for name in ("index", "label"))
    return ClassImages(classes, np.array(read), images, np.array(labels), predicted)

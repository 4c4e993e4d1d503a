"""The images, and the places in them, that excite each channel of a layer most.

One pass over any number of images keeps, for each channel, the largest of the images' maxima. A value and its image
are one whole number, larger where the value is larger and, of equal values, where the image comes first. So the best
of two parts of the data together are the best of the whole, whatever order they come in.

M. D. Zeiler, R. Fergus: Visualizing and Understanding Convolutional Networks. ECCV 2014.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Places = NDArray[np.int32]

_NONE = np.iinfo(np.int64).min
_LAST_IMAGE = 0xFFFFFFFF
_WIDEST = 2**15  # columns of a map
_TOGETHER = 64  # images that are ranked at once: sorting in few takes as long


class Peaks(NamedTuple):
    """The largest outputs of each channel for each image, the largest first.

    Attributes:
        values: `[n, c, m]`, float32; minus infinity where no output is finite.
        places: `[n, c, m]`, counted in reading order; of equal outputs the first.
        columns: How many the map has.
    """

    values: Tensor
    places: Tensor
    columns: int


class Top(NamedTuple):
    """The images that excite each channel of a layer most, the best first.

    Attributes:
        values: `[n, channels]`; minus infinity where there were fewer images.
        images: Their numbers in the order in which they came, `[n, channels]`; -1 where there were fewer.
        positions: Row and column of the unit, `[n, channels, 2]`.
    """

    values: Float32[Tensor, "n c"]
    images: Int64[Tensor, "n c"]
    positions: Int64[Tensor, "n c 2"]


def top_activations(
    model: nn.Module, batches: Iterable[Tensor | Sequence[Any]], layers: Sequence[str], n: int = 9
) -> dict[str, Top]:
    """Return the `n` images that excite each channel of some layers most, with one place in each.

        top = top_activations(model, loader, ["layer4.1.conv2"])["layer4.1.conv2"]
        top.images[:, 20]  # the images for channel 20, the best first

    The outputs are the layers' own, before any normalisation or activation that follows. Of equal values the
    image that came first is taken, and of equal maxima of an image the first in reading order. Outputs that are
    NaN or infinite take no part. Of a layer that runs several times the last run counts.

    Args:
        batches: Images `[b, c, h, w]`, or tuples that begin with them, as a `DataLoader` gives.
        layers: Names of modules that give `[b, channels, rows, columns]` or `[b, channels]`.
        n: How many images are kept for each channel.

    The model runs in eval mode, and is handed back as it was.

    Raises:
        AttributeError: The model has no module of that name.
        ValueError: A layer was not run for every batch, gives no maps of every image, or there were no images.
    """
    if n < 1:
        raise ValueError(f"n is {n}, but at least one image has to be kept")
    rankings, seen = {name: Ranking(n) for name in layers}, 0
    with torch.inference_mode(), _evaluating(model), _observed(model, layers) as found:
        for batch in batches:
            images = batch if isinstance(batch, Tensor) else batch[0]
            model(images)
            for name, ranking in rankings.items():
                shown = _of_every_image(found, name, len(images))
                places = packed(shown.places.cpu().numpy(), shown.columns)
                ranking.add(shown.values.cpu().numpy(), places, np.arange(seen, seen + len(images)))
            found.clear()
            seen += len(images)
    if not seen:
        raise ValueError("there are no images")
    return {name: _top(ranking) for name, ranking in rankings.items()}


def _of_every_image(found: Mapping[str, Peaks], name: str, count: int) -> Peaks:
    if name not in found:
        raise ValueError(f"the layer {name!r} was not run for every batch")
    if len(found[name].values) != count:
        raise ValueError(f"the layer {name!r} gives {len(found[name].values)} maps of {count} images")
    return found[name]


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _observed(model: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Peaks]]:
    """Hand out what is filled, in each forward pass, with the layers' peaks."""
    found: dict[str, Peaks] = {}

    def looking(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise ValueError(f"the layer {name!r} gives {type(output).__name__}, but has to give a tensor")
            found[name] = peaks(output)

        return look

    handles = [model.get_submodule(name).register_forward_hook(looking(name)) for name in dict.fromkeys(layers)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _top(ranking: Ranking) -> Top:
    values, images, places = ranking.best()
    positions = np.stack(place_of(places.T), -1).astype(np.int64)
    return Top(torch.from_numpy(values.T.copy()), torch.from_numpy(images.T.copy()), torch.from_numpy(positions))


def packed(places: NDArray[Any], columns: int | NDArray[Any]) -> Places:
    """Return places in reading order as numbers that do not depend on how many columns a map has.

    Raises:
        ValueError: It has too many.
    """
    widest = int(np.max(columns))
    if widest > _WIDEST:
        raise ValueError(f"a map has {widest} columns, but may have {_WIDEST}")
    return np.asarray(places + places // columns * (_WIDEST - columns), np.int32)


def place_of(places: Places) -> tuple[Places, Places]:
    """Return the rows and the columns of packed places."""
    return places // _WIDEST, places % _WIDEST


def peaks(output: Tensor, each: int = 1) -> Peaks:
    """Return the `each` largest outputs, `[n, c, rows, columns]` or `[n, c]`, of each channel for each image.

    Raises:
        ValueError: The output has another shape.
    """
    if output.ndim not in (2, 4):
        raise ValueError(f"a layer gives {list(output.shape)}, but has to give [images, channels, rows, columns]")
    maps = output if output.ndim == 4 else output[:, :, None, None]
    found = _largest(maps, each)
    if not math.isfinite(found.values.sum().item()):
        found = _largest(maps.masked_fill(~maps.isfinite(), -torch.inf), each)
    return found


def _largest(maps: Tensor, each: int) -> Peaks:
    """One pass over the maps gives value and place: `max` of a flattened map takes several times as long."""
    if each > 1:
        values, places = maps.flatten(2).sort(dim=2, descending=True, stable=True)
        values, places = values[:, :, :each], places[:, :, :each]
    else:
        values, places = functional.max_pool2d(maps, maps.shape[2:], return_indices=True)
    return Peaks(values.flatten(2).float(), places.flatten(2), maps.shape[3])


class Ranking:
    """The `count` largest values of each of `c` channels, with image and place.

    Args:
        count: How many are kept.
        each: How many an image may have.
    """

    def __init__(self, count: int, each: int = 1) -> None:
        self._count, self._each = count, each
        self._keys = np.zeros((0, count), np.int64)  # [c, count], the largest first
        self._places = np.zeros((0, count), np.int32)
        self._waiting: list[tuple[NDArray[np.float32], Places, NDArray[np.int64]]] = []  # as they were added

    def add(self, values: NDArray[np.float32], places: Places, images: NDArray[np.int64]) -> None:
        """Take in the peaks, `[n, c, each]`, of images with the numbers `[n]`; the arrays are kept."""
        self._waiting.append((values, places, images))
        if sum(len(waiting) for _, _, waiting in self._waiting) >= _TOGETHER:
            self._rank()

    def merge(self, other: Ranking) -> None:
        """Take in what another ranking of the same channels has kept."""
        other._rank()
        self._rank()
        self._insert(other._keys, other._places)

    def best(self) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int32]]:
        """Return values (minus infinity for none), images (-1 for none) and places, each `[c, count]`."""
        self._rank()
        none = self._keys == _NONE
        return _values(self._keys), np.where(none, -1, _LAST_IMAGE - (self._keys & _LAST_IMAGE)), self._places.copy()

    def state(self) -> dict[str, NDArray[Any]]:
        self._rank()
        return {"keys": self._keys, "places": self._places}

    def load(self, state: dict[str, NDArray[Any]]) -> None:
        self._keys, self._places, self._waiting = state["keys"], state["places"], []

    def _rank(self) -> None:
        if not self._waiting:
            return
        values, places, images = (np.concatenate(part) for part in zip(*self._waiting, strict=True))
        self._waiting = []
        channels = values.shape[1]
        values, places = (one.swapaxes(0, 1).reshape(channels, -1) for one in (values, places))  # [c, n * each]
        images = np.broadcast_to(images.repeat(self._each), values.shape)
        if len(self._keys):
            values, places, images = _hopeful(values >= _values(self._keys[:, -1:]), values, places, images)
        self._insert(_keys(values, images), places)

    def _insert(self, keys: NDArray[np.int64], places: NDArray[np.int32]) -> None:
        """Keep the largest of what is kept and of `[c, m]` new ones."""
        if not len(self._keys):
            self._keys = np.full((len(keys), self._count), _NONE)
            self._places = np.zeros((len(keys), self._count), np.int32)
        entered = np.flatnonzero((keys > self._keys[:, -1:]).any(1))
        every = np.concatenate([self._keys[entered], keys[entered]], 1)
        order = np.argsort(~every, axis=1, kind="stable")[:, : self._count] if self._each > 1 else self._best_of(every)
        self._keys[entered] = np.take_along_axis(every, order, 1)
        self._places[entered] = np.take_along_axis(
            np.concatenate([self._places[entered], places[entered]], 1), order, 1
        )

    def _best_of(self, every: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where the largest are, in descending order; no two are equal but those for none."""
        chosen = np.argpartition(every, -self._count, axis=1)[:, -self._count :]
        order = np.argsort(~np.take_along_axis(every, chosen, 1), axis=1)
        return np.take_along_axis(chosen, order, 1)


def _hopeful(
    hope: NDArray[np.bool_], values: NDArray[np.float32], places: Places, images: NDArray[np.int64]
) -> tuple[NDArray[np.float32], Places, NDArray[np.int64]]:
    """Return only what there is hope for, `[c, m]`, filled up with minus infinity: of many images it is little."""
    counts = hope.sum(1)
    if 2 * counts.max() > hope.shape[1]:
        return values, places, images
    channels, taken = np.nonzero(hope)
    slots = np.arange(len(channels)) - (counts.cumsum() - counts).repeat(counts)
    shape = (len(hope), int(counts.max()))
    best, where, whose = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.int32), np.zeros(shape, np.int64)
    best[channels, slots] = values[channels, taken]
    where[channels, slots] = places[channels, taken]
    whose[channels, slots] = images[channels, taken]
    return best, where, whose


def _keys(values: NDArray[np.float32], images: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return numbers ordered as the values, `[c, m]`, are and, where they are equal, against the images.

    The bits of a float, read as a whole number, are in order but for those below zero, which run backwards.
    """
    bits = (values + np.float32(0)).view(np.int32)  # of the two zeros there is one left
    ordered = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
    keys = (ordered << 32) | (_LAST_IMAGE - images)
    return np.where(np.isfinite(values), keys, _NONE)


def _values(keys: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the values; minus infinity for none."""
    ordered = (keys >> 32).astype(np.int32)
    values = (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(np.float32)
    return np.where(keys == _NONE, np.float32(-np.inf), values)

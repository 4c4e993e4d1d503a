"""The images, and the places in them, with the largest activation of each channel.

One pass over any number of images keeps the largest of the images' maxima for each channel. A value and the number of
its image form one integer key. It is larger for a larger value and, for equal values, for the image that came first. So
the largest keys of two parts of the data together are the largest of the whole, in whatever order the parts come.

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
_TOGETHER = 64  # images to rank at once: sorting a few takes as long


class Peaks(NamedTuple):
    """The largest outputs of each channel for each image, the largest first.

    Attributes:
        values: `[n, c, m]`, float32; minus infinity if no output is finite.
        places: `[n, c, m]`, counted in reading order; the first of equal outputs.
        columns: Number of columns of the map.
    """

    values: Tensor
    places: Tensor
    columns: int


class Top(NamedTuple):
    """The images with the largest activation of each channel, the largest first.

    Attributes:
        values: The activations, `[n, channels]`; minus infinity if there were fewer images.
        images: Numbers of the images in the order in which they came, `[n, channels]`; -1 if there were fewer.
        positions: Row and column of the unit, `[n, channels, 2]`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> top = methods.top_activations(model, [torch.rand(3, 3, 8, 8)], ["0"], n=5)["0"]
        >>> top.images[:, 0].tolist()[3:]  # there are only three images
        [-1, -1]
    """

    values: Float32[Tensor, "n c"]
    images: Int64[Tensor, "n c"]
    positions: Int64[Tensor, "n c 2"]


def top_activations(
    model: nn.Module, batches: Iterable[Tensor | Sequence[Any]], layers: Sequence[str], n: int = 9
) -> dict[str, Top]:
    """Return for each channel of some layers the `n` images with the largest activation, and the place in each.

    The outputs are the layers' own, before any normalisation or activation that follows. Of equal values the image that
    came first is taken; of equal maxima in an image the first in reading order. NaN and infinite outputs are ignored.
    If a layer runs several times, its last run counts. The model runs in eval mode and is restored afterwards.

    Args:
        batches: Images `[b, c, h, w]`, or tuples whose first element they are, as a `DataLoader` returns.
        layers: Names of modules with the output `[b, channels, rows, columns]` or `[b, channels]`.
        n: Number of images to keep for each channel.

    Raises:
        AttributeError: The model has no module of that name.
        ValueError: A layer did not run for every batch or has no map for every image, `n` is less than 1, or there are
            no images.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> images = torch.rand(20, 3, 8, 8)
        >>> top = methods.top_activations(model, images.split(8), ["0"], n=5)["0"]
        >>> best = top.images[0, 2]  # the image with the largest activation of channel 2
        >>> row, col = top.positions[0, 2]
        >>> torch.allclose(model[0](images)[best, 2, row, col], top.values[0, 2], atol=1e-5)
        True
    """
    if n < 1:
        raise ValueError(f"n is {n}, but has to be at least 1")
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
        raise ValueError(f"the layer {name!r} did not run for every batch")
    if len(found[name].values) != count:
        raise ValueError(f"the layer {name!r} has {len(found[name].values)} maps for {count} images")
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
    """Yield a dictionary that each forward pass fills with the layers' peaks."""
    found: dict[str, Peaks] = {}

    def looking(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise ValueError(
                    f"the output of the layer {name!r} is a {type(output).__name__}, but has to be a tensor"
                )
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
    """Return places in reading order as integers that do not depend on the number of columns.

    Raises:
        ValueError: There are too many columns.
    """
    widest = int(np.max(columns))
    if widest > _WIDEST:
        raise ValueError(f"a map has {widest} columns, but may have at most {_WIDEST}")
    return np.asarray(places + places // columns * (_WIDEST - columns), np.int32)


def place_of(places: Places) -> tuple[Places, Places]:
    """Return the rows and the columns of packed places."""
    return places // _WIDEST, places % _WIDEST


def peaks(output: Tensor, each: int = 1) -> Peaks:
    """Return the `each` largest outputs of each channel for each image.

    Args:
        output: `[n, c, rows, columns]` or `[n, c]`.

    Raises:
        ValueError: The output has another shape.
    """
    if output.ndim not in (2, 4):
        raise ValueError(f"a layer's output is {list(output.shape)}, but has to be [images, channels, rows, columns]")
    maps = output if output.ndim == 4 else output[:, :, None, None]
    found = _largest(maps, each)
    if not math.isfinite(found.values.sum().item()):
        found = _largest(maps.masked_fill(~maps.isfinite(), -torch.inf), each)
    return found


def _largest(maps: Tensor, each: int) -> Peaks:
    """Return the largest values and their places in one pass; `max` of flattened maps takes several times as long."""
    if each > 1:
        values, places = maps.flatten(2).sort(dim=2, descending=True, stable=True)
        values, places = values[:, :, :each], places[:, :, :each]
    else:
        values, places = functional.max_pool2d(maps, maps.shape[2:], return_indices=True)
    return Peaks(values.flatten(2).float(), places.flatten(2), maps.shape[3])


class Ranking:
    """The `count` largest values of each of `c` channels, with image and place.

    Args:
        count: How many to keep.
        each: The largest number of values of one image.
    """

    def __init__(self, count: int, each: int = 1) -> None:
        self._count, self._each = count, each
        self._keys = np.zeros((0, count), np.int64)  # [c, count], the largest first
        self._places = np.zeros((0, count), np.int32)
        self._waiting: list[tuple[NDArray[np.float32], Places, NDArray[np.int64]]] = []  # as they were added

    def add(self, values: NDArray[np.float32], places: Places, images: NDArray[np.int64]) -> None:
        """Add the peaks `[n, c, each]` of images with the numbers `[n]`. The arrays are not copied."""
        self._waiting.append((values, places, images))
        if sum(len(waiting) for _, _, waiting in self._waiting) >= _TOGETHER:
            self._rank()

    def merge(self, other: Ranking) -> None:
        """Add the values that another ranking of the same channels has kept."""
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
            values, places, images = _candidates(values >= _values(self._keys[:, -1:]), values, places, images)
        self._insert(_keys(values, images), places)

    def _insert(self, keys: NDArray[np.int64], places: NDArray[np.int32]) -> None:
        """Keep the largest of the kept keys and of new ones, `[c, m]`."""
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
        """Return the places of the largest keys, in falling order. Only keys for "none" can be equal."""
        chosen = np.argpartition(every, -self._count, axis=1)[:, -self._count :]
        order = np.argsort(~np.take_along_axis(every, chosen, 1), axis=1)
        return np.take_along_axis(chosen, order, 1)


def _candidates(
    chosen: NDArray[np.bool_], values: NDArray[np.float32], places: Places, images: NDArray[np.int64]
) -> tuple[NDArray[np.float32], Places, NDArray[np.int64]]:
    """Return only the candidates, `[c, m]`, padded with minus infinity. Of many images only a few are candidates."""
    counts = chosen.sum(1)
    if 2 * counts.max() > chosen.shape[1]:
        return values, places, images
    channels, taken = np.nonzero(chosen)
    slots = np.arange(len(channels)) - (counts.cumsum() - counts).repeat(counts)
    shape = (len(chosen), int(counts.max()))
    best, where, whose = np.full(shape, -np.inf, np.float32), np.zeros(shape, np.int32), np.zeros(shape, np.int64)
    best[channels, slots] = values[channels, taken]
    where[channels, slots] = places[channels, taken]
    whose[channels, slots] = images[channels, taken]
    return best, where, whose


def _keys(values: NDArray[np.float32], images: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return integer keys in the order of the values `[c, m]`; equal values are in falling order of the images.

    The bits of a positive float, read as an integer, are in the order of the floats. Those of negative floats are
    reversed.
    """
    bits = (values + np.float32(0)).view(np.int32)  # merges the two zeros
    ordered = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64)
    keys = (ordered << 32) | (_LAST_IMAGE - images)
    return np.where(np.isfinite(values), keys, _NONE)


def _values(keys: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the values of keys; minus infinity for none."""
    ordered = (keys >> 32).astype(np.int32)
    values = (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(np.float32)
    return np.where(keys == _NONE, np.float32(-np.inf), values)

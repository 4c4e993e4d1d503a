"""The images with the highest activations of each channel, and the distribution of the maxima."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from auditor.collectors.collector import Batch, State
from auditor.collectors.reductions import shared_peaks
from auditor.collectors.sums import Sums, added, exact
from auditor.errors import Skip
from auditor.language import _

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.methods.layers.top_activations import Peaks, Ranking
    from auditor.model.layers import Layer

_OCTAVES = 8
_LOWEST = (127 - _OCTAVES) * 4  # the exponent of 2^-8 and two bits of the fraction, as in a float32
_TOGETHER = 64  # images whose maxima are counted at once
BINS = 2 + 2 * _OCTAVES * 4


class Best(NamedTuple):
    """The images with the highest activations of each channel of a layer, the highest first.

    Attributes:
        values: `[c, count]`, after the rectifier if one follows; minus infinity if there were fewer images.
        inputs: The same before the rectifier.
        images: Their indices in the data set, `[c, count]`; -1 if there were fewer images.
        rows, cols: The position in the map, `[c, count]`.
    """

    values: NDArray[np.float32]
    inputs: NDArray[np.float32]
    images: NDArray[np.int64]
    rows: NDArray[np.int32]
    cols: NDArray[np.int32]


class TopActivations:
    """For each channel: the images with the largest maxima, and the distribution of all maxima.

    A maximum is taken over a channel's map for one image. Layers are observed at their `tap`, before the rectifier,
    which keeps the order of positive values. Values above its ceiling are ordered by the rectifier's input.

    Attributes:
        layers: The layers, each observed at its `tap`.
        count: The number of images that are kept for each channel.
        each: The largest number of positions of one image among them.
        images: The number of images seen, without those left out.
    """

    def __init__(
        self, layers: Sequence[Layer], count: int = 9, *, each: int = 1, leave_out: frozenset[int] = frozenset()
    ) -> None:
        self.layers = tuple(layers)
        self.count = count
        self.each = each
        self.images = 0
        self._leave_out = np.array(sorted(leave_out), np.int64)
        self._channels = np.zeros(0, np.int64)  # of each tap; the arrays below hold the channels of all taps
        self._ranking: Ranking | None = None
        self._waiting: list[NDArray[np.float32]] = []  # maxima that are in no histogram yet, [n, c]
        self._histogram = np.zeros((0, BINS), np.int64)
        self._sums: Sums = np.zeros((2, 2, 0))  # of the maxima and of their squares

    @property
    def key(self) -> tuple[Any, ...]:
        return ("top activations", self.taps, self.count, self.each, tuple(self._leave_out.tolist()))

    @property
    def taps(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(layer.tap for layer in self.layers))

    def best(self, layer: Layer) -> Best:
        """Return the images with the highest activations of each channel."""
        from auditor.methods.layers.top_activations import place_of

        own = self._of(layer)
        values, images, places = self._required().best()
        values, images, places = values[own], images[own], places[own]
        return Best(layer.rectify(values), values, images, *place_of(places))

    def histogram(self, layer: Layer) -> NDArray[np.int64]:
        """Return the number of images with their maximum in each bin of `edges`, `[c, bins]`."""
        self._count()
        return self._histogram[self._of(layer)]

    def sparseness(self, layer: Layer) -> NDArray[np.float64]:
        """Return the sparseness of each channel over the images, `[c]`.

        It is 0 if all images have the same maximum, 1 if only one has a maximum above zero, and NaN if none has.
        Maxima below zero count as zero.
        A. Treves, E. T. Rolls: What determines the capacity of autoassociative memories in the brain? Network 2,
        1991. W. E. Vinje, J. L. Gallant: Sparse coding and decorrelation in primary visual cortex during natural
        vision. Science 287, 2000.
        """
        total, squares = self._sums[0][:, self._of(layer)]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((1 - total**2 / (self.images * squares)) / (1 - 1 / self.images))

    def reduce(self, tap: str, output: Tensor) -> Peaks:
        return shared_peaks(output, self.each)

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        from auditor.methods.layers.top_activations import packed

        kept = ~np.isin(batch.indices, self._leave_out)
        if not kept.any():
            return
        self.images += int(kept.sum())
        last = [_last(reduced, tap, len(batch.indices)) for tap in self.taps]
        self._channels = np.array([one.values.shape[1] for one in last])
        values = _joined([one.values for one in last], self.each, -np.inf)
        columns = np.repeat([one.columns for one in last], self._channels)[:, None]
        places = packed(_joined([one.places for one in last], self.each, 0), columns)
        self._required().add(values[kept], places[kept], batch.indices[kept])
        maxima = np.where(np.isfinite(values[kept, :, 0]), values[kept, :, 0], 0).clip(0)
        wide = maxima.astype(np.float64)
        self._add(exact(np.stack([wide.sum(0), (wide * wide).sum(0)])))
        self._waiting.append(maxima)
        if sum(map(len, self._waiting)) >= _TOGETHER:
            self._count()

    def merge(self, other: Self) -> None:
        if other._ranking is None:
            return
        other._count()
        self.images += other.images
        self._channels = other._channels
        self._required().merge(other._ranking)
        self._add(other._sums)
        self._count(other._histogram)

    def state(self) -> State:
        self._count()
        kept = {} if self._ranking is None else self._ranking.state()
        sums = {"histogram": self._histogram, "sums": self._sums}
        return {"images": np.array(self.images), "channels": self._channels, **kept, **sums}

    def load(self, state: State) -> None:
        self._ranking, self._waiting = None, []
        self.images, self._channels = int(state["images"]), state["channels"]
        self._histogram, self._sums = state["histogram"], state["sums"]
        if "keys" in state:
            self._required().load({name: state[name] for name in ("keys", "places")})

    def _required(self) -> Ranking:
        from auditor.methods.layers.top_activations import Ranking

        if self._ranking is None:
            self._ranking = Ranking(self.count, self.each)
        return self._ranking

    def _of(self, layer: Layer) -> slice:
        """Return the slice of a layer's channels in the arrays."""
        place = self.taps.index(layer.tap)
        end = int(self._channels[: place + 1].sum())
        return slice(end - int(self._channels[place]), end)

    def _add(self, sums: Sums) -> None:
        self._sums = added(self._sums, sums) if self._sums.shape == sums.shape else sums

    def _count(self, more: NDArray[np.int64] | None = None) -> None:
        """Add the waiting maxima, and another histogram, to the histogram."""
        waiting = [_counted(np.concatenate(self._waiting))] if self._waiting else []
        self._waiting = []
        for one in [*waiting, *([] if more is None else [more])]:
            self._histogram = self._histogram + one if len(self._histogram) else one


def edges() -> NDArray[np.float64]:
    """Return the lower edges of the histogram's bins, `[bins]`: four bins of equal width for each power of two.

    The first bin holds zero and below, the second begins right above zero, and the last has no upper edge.
    """
    octaves = 2.0 ** np.arange(-_OCTAVES, _OCTAVES)[:, None] * (1 + np.arange(4) / 4)
    return np.concatenate([[-np.inf], octaves.ravel(), [2.0**_OCTAVES]])


def _counted(maxima: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the histogram of each channel, `[c, bins]`, of maxima `[n, c]` that are not below zero."""
    bins = ((maxima.view(np.int32) >> 21) - _LOWEST + 1).clip(1, BINS - 1)
    bins = np.where(maxima > 0, bins, 0)
    channels = maxima.shape[1]
    counts = np.bincount((np.arange(channels) * BINS + bins).ravel(), minlength=channels * BINS)
    return counts.reshape(channels, BINS)


def _last(reduced: Mapping[str, Sequence[Peaks]], tap: str, count: int) -> Peaks:
    """Return the peaks of a layer's last run.

    Raises:
        Skip: The layer did not run once for each image.
    """
    found = reduced.get(tap, ())
    if not found or len(found[-1].values) != count:
        raise Skip(_("layer {layer!r} does not run once for each image; choose others", layer=tap))
    return found[-1]


def _joined(tensors: Sequence[Tensor], each: int, lacking: float) -> NDArray[Any]:
    """Return the channels of all layers, concatenated as `[n, c, each]` and copied from their device at once.

    Args:
        lacking: The value for missing positions of a map with fewer than `each`.
    """
    import torch
    from torch.nn import functional

    filled = [
        tensor if tensor.shape[2] == each else functional.pad(tensor, (0, each - tensor.shape[2]), value=lacking)
        for tensor in tensors
    ]
    return np.asarray(torch.cat(filled, 1).cpu().numpy())

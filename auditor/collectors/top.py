"""The images that excite each channel of some layers most, and how the maxima of every channel are spread."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from auditor.collectors.collector import Batch, State
from auditor.collectors.sums import Sums, added, exact

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.methods.top import Peaks, Ranking
    from auditor.model.layers import Layer

_OCTAVES = 8
_LOWEST = (127 - _OCTAVES) * 4  # the exponent of 2^-8, and two bits of the fraction, as a float32 holds them
_TOGETHER = 64  # images whose maxima are counted at once
BINS = 2 + 2 * _OCTAVES * 4


class Best(NamedTuple):
    """The images that excite each channel of a layer most, the best first.

    Attributes:
        values: `[c, count]`, after the rectifier if one follows; minus infinity where there were fewer.
        inputs: The same before the rectifier.
        images: Their places in the data set, `[c, count]`; -1 where there were fewer.
        rows, cols: Where in the map, `[c, count]`.
    """

    values: NDArray[np.float32]
    inputs: NDArray[np.float32]
    images: NDArray[np.int64]
    rows: NDArray[np.int32]
    cols: NDArray[np.int32]


class TopActivations:
    """Per channel of some layers: the images with the largest maximum, and the distribution of all maxima.

    A maximum is that of a channel's map for one image. Layers are observed at their `tap`: a rectifier keeps the
    order of what is above zero, and of what its ceiling makes equal the larger input comes first.

    Attributes:
        layers: The layers, each observed at its `tap`.
        count: How many images are kept for each channel.
        each: How many places of one image may be among them.
        images: How many images were seen, without those left out.
    """

    def __init__(
        self, layers: Sequence[Layer], count: int = 9, *, each: int = 1, leave_out: frozenset[int] = frozenset()
    ) -> None:
        self.layers = tuple(layers)
        self.count = count
        self.each = each
        self.images = 0
        self._leave_out = np.array(sorted(leave_out), np.int64)
        self._rankings: dict[str, Ranking] = {}
        self._waiting: dict[str, list[NDArray[np.float32]]] = defaultdict(list)  # maxima that are not counted yet
        self._histograms: dict[str, NDArray[np.int64]] = {}  # [c, bins]
        self._sums: dict[str, Sums] = {}  # [2, 2, c]: maxima and their squares

    @property
    def key(self) -> tuple[Any, ...]:
        return ("top activations", self.taps, self.count, self.each, tuple(self._leave_out.tolist()))

    @property
    def taps(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(layer.tap for layer in self.layers))

    def best(self, layer: Layer) -> Best:
        """Return the images that excite each channel most."""
        values, images, places = self._rankings[layer.tap].best()
        columns = layer.output[2] if len(layer.output) == 3 else 1
        return Best(layer.rectify(values), values, images, places // columns, places % columns)

    def histogram(self, layer: Layer) -> NDArray[np.int64]:
        """Return how many images have their maximum in each bin of `edges`, `[c, bins]`."""
        self._count()
        return self._histograms[layer.tap]

    def sparseness(self, layer: Layer) -> NDArray[np.float64]:
        """Return how selective each channel is over the images, `[c]`.

        0 where all images have the same maximum, 1 where a single one has any, NaN where none has. What is
        below zero counts as zero.
        A. Treves, E. T. Rolls: What determines the capacity of autoassociative memories in the brain? Network 2,
        1991. W. E. Vinje, J. L. Gallant: Sparse coding and decorrelation in primary visual cortex during natural
        vision. Science 287, 2000.
        """
        total, squares = self._sums[layer.tap][0]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((1 - total**2 / (self.images * squares)) / (1 - 1 / self.images))

    def reduce(self, tap: str, output: Tensor) -> Peaks:
        from auditor.methods.top import peaks

        return peaks(output, self.each)

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        kept = ~np.isin(batch.indices, self._leave_out)
        if not kept.any():
            return
        self.images += int(kept.sum())
        last = [reduced[tap][-1] for tap in self.taps]
        values, places = (_fetched([getattr(one, part) for one in last]) for part in ("values", "places"))
        for tap, tops, where in zip(self.taps, values, places, strict=True):
            self._ranking(tap).add(tops[kept], where[kept], batch.indices[kept])
            maxima = np.where(np.isfinite(tops[kept, :, 0]), tops[kept, :, 0], 0).clip(0)
            self._waiting[tap].append(maxima)
            wide = maxima.astype(np.float64)
            self._add(tap, exact(np.stack([wide.sum(0), (wide * wide).sum(0)])))
        if sum(map(len, self._waiting[self.taps[0]])) >= _TOGETHER:
            self._count()

    def _count(self) -> None:
        """Take the maxima that wait into the histograms."""
        for tap, waiting in self._waiting.items():
            counted = _counted(np.concatenate(waiting))
            self._histograms[tap] = self._histograms[tap] + counted if tap in self._histograms else counted
        self._waiting.clear()

    def _add(self, tap: str, sums: Sums) -> None:
        self._sums[tap] = added(self._sums[tap], sums) if tap in self._sums else sums

    def merge(self, other: Self) -> None:
        self._count()
        other._count()
        self.images += other.images
        for tap, ranking in other._rankings.items():
            self._ranking(tap).merge(ranking)
            self._add(tap, other._sums[tap])
            counted = other._histograms[tap]
            self._histograms[tap] = self._histograms[tap] + counted if tap in self._histograms else counted

    def _ranking(self, tap: str) -> Ranking:
        from auditor.methods.top import Ranking

        return self._rankings.setdefault(tap, Ranking(self.count, self.each))

    def state(self) -> State:
        self._count()
        kept = {"images": np.array(self.images)}
        for tap, ranking in self._rankings.items():
            own = {**ranking.state(), "histogram": self._histograms[tap], "sums": self._sums[tap]}
            kept |= {f"{name}/{tap}": values for name, values in own.items()}
        return kept

    def load(self, state: State) -> None:
        self.images = int(state["images"])
        self._rankings, self._histograms, self._sums = {}, {}, {}
        self._waiting.clear()
        for tap in [name.removeprefix("sums/") for name in state if name.startswith("sums/")]:
            self._ranking(tap).load({name: state[f"{name}/{tap}"] for name in ("keys", "places")})
            self._histograms[tap], self._sums[tap] = state[f"histogram/{tap}"], state[f"sums/{tap}"]


def edges() -> NDArray[np.float64]:
    """Return where the bins of a histogram begin, `[bins]`: four bins of equal width for each power of two.

    The first bin is zero and below, the second begins right above, the last has no end.
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


def _fetched(tensors: Sequence[Tensor]) -> list[NDArray[Any]]:
    """Return tensors as arrays, fetched from their device in one piece."""
    import torch

    together = torch.cat([tensor.flatten() for tensor in tensors]).cpu().numpy()
    pieces = np.split(together, np.cumsum([tensor.numel() for tensor in tensors])[:-1])
    return [piece.reshape(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)]

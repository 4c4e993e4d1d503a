"""Statistics of the channels of some layers over the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from auditor.collectors.collector import Batch, State
from auditor.collectors.reductions import shared_peaks
from auditor.collectors.sums import Sums, added, exact

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.model.layers import Layer

_PIECE = 2**18  # values that are counted together on a CPU: small enough for its caches
_SAME = 1e-3  # standard deviation over mean; for equal numbers rounding makes it up to a ten-thousandth
_LARGE_PIECE = 2**24  # the same on other devices; float32 can't count further


class Reduced(NamedTuple):
    """The statistics of one output of a layer, by channel, `[c]`.

    Attributes:
        mean, variance: Over all values; NaN and infinite values count as zero.
        highest: The largest finite value.
        places: The number of values of each channel.
        above, flat, wrong: The numbers of values above zero, at the ceiling, and NaN or infinite.
    """

    mean: Tensor
    variance: Tensor
    highest: Tensor
    places: int
    above: Tensor
    flat: Tensor
    wrong: Tensor


class ChannelStatistics:
    """For each channel: mean, variance, maximum, the shares above zero and at the ceiling, and the values not finite.

    Attributes:
        layers: The layers, each observed at its `tap`.
        images: The number of images seen.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        self.images = 0
        self._ceilings = {layer.tap: layer.ceiling for layer in self.layers}
        self._linear = {layer.tap for layer in self.layers if layer.linear}
        self._spans: dict[
            str, slice
        ] = {}  # of each tap that has run, in the arrays below, which hold the channels of all taps
        self._sums: Sums = np.zeros((2, 2, 0))  # of the values and of their squares
        self._counts = np.zeros((4, 0), np.int64)  # values, above zero, at the ceiling, not finite
        self._highest = np.zeros(0, np.float32)
        self._held: Tensor | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        return ("channel statistics", self.taps, tuple(self._ceilings.values()))

    @property
    def taps(self) -> tuple[str, ...]:
        return tuple(layer.tap for layer in self.layers)

    def mean(self, layer: Layer) -> NDArray[np.float64]:
        """Return the mean of the finite outputs, `[c]`."""
        own = self._spans[layer.tap]
        return np.asarray(self._sums[0, 0, own] / self._finite(own))

    def variance(self, layer: Layer) -> NDArray[np.float64]:
        """Return the variance of the finite outputs, `[c]`, with a relative error of up to 1e-5."""
        own = self._spans[layer.tap]
        return np.asarray((self._sums[0, 1, own] / self._finite(own) - self.mean(layer) ** 2).clip(0))

    def active(self, layer: Layer) -> NDArray[np.float64]:
        """Return the share of the finite outputs that are above zero, `[c]`, 0 to 1."""
        own = self._spans[layer.tap]
        return np.asarray(self._counts[1, own] / self._finite(own))

    def dead(self, layer: Layer) -> NDArray[np.int64]:
        """Return the channels whose outputs were finite and never above the layer's floor."""
        return np.flatnonzero((self.highest(layer) <= layer.floor) & (self.not_finite(layer) == 0))

    def constant(self, layer: Layer) -> NDArray[np.int64]:
        """Return the channels whose outputs were finite and constant, to a thousandth of the mean."""
        same = self.variance(layer) <= (_SAME * self.mean(layer)) ** 2
        return np.flatnonzero(same & (self.not_finite(layer) == 0))

    def saturated(self, layer: Layer) -> NDArray[np.float64]:
        """Return the share of the finite outputs that are at the rectifier's ceiling, `[c]`, 0 to 1."""
        own = self._spans[layer.tap]
        return np.asarray(self._counts[2, own] / self._finite(own))

    def highest(self, layer: Layer) -> NDArray[np.float32]:
        """Return the largest finite output, `[c]`."""
        return self._highest[self._spans[layer.tap]]

    def not_finite(self, layer: Layer) -> NDArray[np.int64]:
        """Return the number of outputs that are NaN or infinite, `[c]`."""
        return self._counts[3, self._spans[layer.tap]]

    def _finite(self, own: slice) -> NDArray[np.int64]:
        return np.asarray(np.maximum(self._counts[0, own] - self._counts[3, own], 1))

    def reduce(self, tap: str, output: Tensor) -> Reduced:
        import torch

        if tap in self._linear:
            output = output.reshape(len(output), -1, output.shape[-1]).movedim(2, 1)  # [n, c, places]
        maps = output if output.ndim == 4 else output.reshape(*output.shape[:2], -1, 1)
        highest = shared_peaks(maps).values.amax((0, 2))
        maps = maps.float().contiguous(memory_format=torch.channels_last)
        return _reduced(maps, highest, self._ceilings[tap], self._room(maps))

    def _room(self, maps: Tensor) -> Tensor:
        """Return memory for counting; it is reused, because allocating it for each layer takes longer than counting."""
        wanted = max(maps.shape[1], min(maps.numel(), _PIECE if maps.device.type == "cpu" else _LARGE_PIECE))
        if self._held is None or len(self._held) < wanted or self._held.device != maps.device:
            self._held = maps.new_empty(wanted)
        return self._held

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        self.images += len(batch.indices)
        for runs in zip_longest(*(reduced[tap] for tap in self.taps)):  # a layer may run several times
            self._take_in({tap: run for tap, run in zip(self.taps, runs, strict=True) if run is not None})

    def _take_in(self, ran: Mapping[str, Reduced]) -> None:
        """Add one run of some layers; all at once, because there are many layers with few channels each."""
        import torch

        def together(part: str) -> NDArray[Any]:
            return torch.cat([getattr(one, part) for one in ran.values()]).cpu().numpy()

        channels = {tap: len(one.mean) for tap, one in ran.items()}
        places = np.repeat([one.places for one in ran.values()], list(channels.values()))
        mean, variance = together("mean").astype(np.float64), together("variance").astype(np.float64)
        sums = exact(np.stack([mean * places, (variance + mean**2) * places]))
        counts = np.stack([places, *(together(part).astype(np.int64) for part in ("above", "flat", "wrong"))])
        self._add(channels, sums, counts, together("highest"))

    def merge(self, other: Self) -> None:
        self.images += other.images
        channels = {tap: own.stop - own.start for tap, own in other._spans.items()}
        if channels:
            self._add(channels, other._sums, other._counts, other._highest)

    def _add(
        self, channels: Mapping[str, int], sums: Sums, counts: NDArray[np.int64], highest: NDArray[np.float32]
    ) -> None:
        """Add the statistics of some taps, whose channels are concatenated."""
        own = self._places(channels)
        self._sums[..., own] = added(self._sums[..., own], sums)
        self._counts[:, own] += counts
        self._highest[own] = np.maximum(self._highest[own], highest)

    def _places(self, channels: Mapping[str, int]) -> slice | NDArray[np.int64]:
        """Return the indices of the channels of some taps in the arrays, which are extended for a new tap."""
        for tap, count in channels.items():
            if tap not in self._spans:
                end = len(self._highest)
                self._spans[tap] = slice(end, end + count)
                self._sums = np.pad(self._sums, ((0, 0), (0, 0), (0, count)))
                self._counts = np.pad(self._counts, ((0, 0), (0, count)))
                self._highest = np.pad(self._highest, (0, count), constant_values=-np.inf)
        if list(channels) == list(self._spans):
            return slice(None)
        return np.concatenate([np.arange(self._spans[tap].start, self._spans[tap].stop) for tap in channels])

    def state(self) -> State:
        return {
            "images": np.array(self.images),
            "taps": np.array(list(self._spans), str),
            "channels": np.array([own.stop - own.start for own in self._spans.values()], np.int64),
            "sums": self._sums.copy(),
            "counts": self._counts.copy(),
            "highest": self._highest.copy(),
        }

    def load(self, state: State) -> None:
        self.images = int(state["images"])
        ends = state["channels"].cumsum().tolist()
        starts = [0, *ends][: len(ends)]
        self._spans = {str(tap): slice(*span) for tap, *span in zip(state["taps"], starts, ends, strict=True)}
        self._sums, self._counts, self._highest = (state[name].copy() for name in ("sums", "counts", "highest"))


def _reduced(maps: Tensor, highest: Tensor, ceiling: float, held: Tensor) -> Reduced:
    """Return the statistics of maps in channels_last memory format; `held` is the memory for counting."""
    import torch

    (mean, variance), wrong = _moments(maps), torch.zeros_like(highest, dtype=torch.int64)
    if not math.isfinite(mean.sum().item()):
        bad = ~maps.isfinite()
        maps, wrong = maps.masked_fill(bad, 0), bad.sum((0, 2, 3))
        mean, variance = _moments(maps)
    values = maps.movedim(1, 3).flatten(0, 2)  # [places, c], without a copy
    above = _counted(values, torch.gt, 0.0, held)
    reached = highest.max().item() >= ceiling  # otherwise there is nothing to count
    flat = _counted(values, torch.ge, ceiling, held) if reached else torch.zeros_like(above)
    return Reduced(mean, variance, highest, len(values), above, flat, wrong)


def _moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance of each channel."""
    import torch

    if maps.device.type == "cpu":  # many times as fast there
        return torch.batch_norm_update_stats(maps, None, None, 0.0)
    variance, mean = torch.var_mean(maps, (0, 2, 3), correction=0)
    return mean, variance


def _counted(values: Tensor, beyond: Callable[..., Tensor], limit: float, held: Tensor) -> Tensor:
    """Return the number of values `[places, c]` of each channel that are beyond a limit."""
    import torch

    count = values.new_zeros(values.shape[1], dtype=torch.int64)
    for piece in values.split(len(held) // values.shape[1]):
        room = held[: piece.numel()].view_as(piece)  # in floats, which are summed fastest
        count = count + beyond(piece, limit, out=room).sum(0).long()
    return count

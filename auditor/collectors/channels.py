"""What the channels of some layers do over the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from auditor.collectors.collector import Batch, State
from auditor.collectors.sums import Sums, added, exact

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.model.layers import Layer

_PIECE = 2**20  # values that are looked at together: four megabytes


class ChannelStatistics:
    """Per channel of some layers: mean, variance, share above zero and at the ceiling, maximum, and what is no number.

    Attributes:
        layers: The layers, each observed at its `tap`.
        images: How many images were seen.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        self.images = 0
        self._ceilings = {layer.tap: layer.ceiling for layer in self.layers}
        self._sums: dict[str, Sums] = {}  # [2, 6, c]: values, sum, squares, above zero, at the ceiling, not finite
        self._highest: dict[str, NDArray[np.float32]] = {}  # [c]
        self._held: Tensor | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        return ("channel statistics", self.taps, tuple(self._ceilings.values()))

    @property
    def taps(self) -> tuple[str, ...]:
        return tuple(layer.tap for layer in self.layers)

    def mean(self, layer: Layer) -> NDArray[np.float64]:
        """The mean output, `[c]`, of the values that are finite."""
        values, total, _, _, _, wrong = self._sums[layer.tap][0]
        return np.asarray(total / np.maximum(values - wrong, 1))

    def variance(self, layer: Layer) -> NDArray[np.float64]:
        """The variance of the outputs that are finite, `[c]`; right to a hundred-thousandth."""
        values, _, squares, _, _, wrong = self._sums[layer.tap][0]
        return np.asarray((squares / np.maximum(values - wrong, 1) - self.mean(layer) ** 2).clip(0))

    def active(self, layer: Layer) -> NDArray[np.float64]:
        """The share of the finite outputs that are above zero, `[c]`."""
        values, _, _, above, _, wrong = self._sums[layer.tap][0]
        return np.asarray(above / np.maximum(values - wrong, 1))

    def saturated(self, layer: Layer) -> NDArray[np.float64]:
        """The share of the finite outputs that the rectifier cuts off above, `[c]`."""
        values, _, _, _, flat, wrong = self._sums[layer.tap][0]
        return np.asarray(flat / np.maximum(values - wrong, 1))

    def highest(self, layer: Layer) -> NDArray[np.float32]:
        """The largest finite output, `[c]`."""
        return self._highest[layer.tap]

    def not_finite(self, layer: Layer) -> NDArray[np.int64]:
        """How many outputs are NaN or infinite, `[c]`."""
        return np.asarray(self._sums[layer.tap][0, 5].astype(np.int64))

    def reduce(self, tap: str, output: Tensor) -> Tensor:
        """Return the six sums and the maximum of each channel, `[7, c]`."""
        maps = output.float()
        if maps.ndim != 4:
            maps = maps.reshape(*maps.shape[:2], -1, 1)
        return _reduced(maps, self._ceilings[tap], self._room(maps))

    def _room(self, maps: Tensor) -> Tensor:
        """Return memory for what is counted: kept, as getting it anew for each layer takes longer than counting."""
        wanted = max(maps[0].numel(), min(maps.numel(), _PIECE)) if maps.device.type == "cpu" else maps.numel()
        if self._held is None or self._held.numel() < wanted or self._held.device != maps.device:
            self._held = maps.new_empty(wanted)
        return self._held

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        self.images += len(batch.indices)
        for tap in self.taps:
            for one in reduced[tap]:
                rows = one.cpu().numpy()
                self._add(tap, exact(rows[:6]), rows[6].astype(np.float32))

    def merge(self, other: Self) -> None:
        self.images += other.images
        for tap, sums in other._sums.items():
            self._add(tap, sums, other._highest[tap])

    def _add(self, tap: str, sums: Sums, highest: NDArray[np.float32]) -> None:
        if tap in self._sums:
            sums, highest = added(self._sums[tap], sums), np.maximum(self._highest[tap], highest)
        self._sums[tap], self._highest[tap] = sums, highest

    def state(self) -> State:
        sums = {f"sums/{tap}": values for tap, values in self._sums.items()}
        highest = {f"highest/{tap}": values for tap, values in self._highest.items()}
        return {"images": np.array(self.images), **sums, **highest}

    def load(self, state: State) -> None:
        self.images = int(state["images"])
        self._sums = {k.removeprefix("sums/"): v for k, v in state.items() if k.startswith("sums/")}
        self._highest = {k.removeprefix("highest/"): v for k, v in state.items() if k.startswith("highest/")}


def _reduced(maps: Tensor, ceiling: float, held: Tensor) -> Tensor:
    """Return, in float64, each channel's count, sum, squares, above zero, at the ceiling, not finite, and maximum."""
    import torch

    mean, variance = _moments(maps)
    wrong, highest = torch.zeros_like(mean), _highest(maps)
    if not bool((mean + variance).isfinite().all()):
        bad = ~maps.isfinite()
        wrong, highest = bad.sum((0, 2, 3)).double(), _highest(maps.masked_fill(bad, -math.inf))
        maps = maps.masked_fill(bad, 0)
        mean, variance = _moments(maps)
    count = maps.numel() // maps.shape[1]
    above = _counted(maps, 0.0, torch.gt, held)
    flat = _counted(maps, ceiling, torch.ge, held) if math.isfinite(ceiling) else torch.zeros_like(above)
    sums = (mean * count, (variance + mean**2) * count)
    return torch.stack([torch.full_like(mean, count), *sums, above, flat, wrong, highest.double()])


def _highest(maps: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.max_pool2d(maps, maps.shape[2:]).amax((0, 2, 3))


def _moments(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel, in float64."""
    import torch

    if maps.device.type == "cpu":  # many times as fast there
        mean, variance = torch.batch_norm_update_stats(maps, None, None, 0.0)
    else:
        variance, mean = torch.var_mean(maps, (0, 2, 3), correction=0)
    return mean.double(), variance.double()


def _counted(maps: Tensor, limit: float, beyond: Callable[..., Tensor], held: Tensor) -> Tensor:
    """Return how many values of each channel lie beyond a limit, in pieces of whole images that `held` has room for."""
    import torch

    count, channels, rows, cols = maps.shape
    together = max(1, min(count, held.numel() // maps[0].numel()))
    room = held[: together * maps[0].numel()].view(together, rows, cols, channels).movedim(3, 1)
    counts = torch.zeros(channels, dtype=torch.float64, device=maps.device)
    for piece in maps.split(together):
        counts += beyond(piece, limit, out=room[: len(piece)]).sum((0, 2, 3))
    return counts

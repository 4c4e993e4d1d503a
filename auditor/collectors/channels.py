"""What the channels of some layers do over the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from auditor.collectors.collector import Batch, State
from auditor.collectors.sums import Sums, added, exact

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.model.layers import Layer

_PIECE = 4096  # values of each channel that are looked at together: about a megabyte


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

    @property
    def key(self) -> tuple[Any, ...]:
        return ("channel statistics", self.taps)

    @property
    def taps(self) -> tuple[str, ...]:
        return tuple(layer.tap for layer in self.layers)

    def mean(self, layer: Layer) -> NDArray[np.float64]:
        """The mean output, `[c]`, of the values that are finite."""
        values, total, _, _, _, wrong = self._sums[layer.tap][0]
        return np.asarray(total / np.maximum(values - wrong, 1))

    def variance(self, layer: Layer) -> NDArray[np.float64]:
        """The variance of the outputs that are finite, `[c]`; right to a millionth of the mean's square."""
        values, _, squares, _, _, wrong = self._sums[layer.tap][0]
        return np.asarray((squares / np.maximum(values - wrong, 1) - self.mean(layer) ** 2).clip(0))

    def active(self, layer: Layer) -> NDArray[np.float64]:
        """The share of outputs above zero, `[c]`."""
        values, _, _, above, _, _ = self._sums[layer.tap][0]
        return np.asarray(above / values)

    def saturated(self, layer: Layer) -> NDArray[np.float64]:
        """The share of outputs that the rectifier cuts off above, `[c]`."""
        values, _, _, _, flat, _ = self._sums[layer.tap][0]
        return np.asarray(flat / values)

    def highest(self, layer: Layer) -> NDArray[np.float32]:
        """The largest finite output, `[c]`."""
        return self._highest[layer.tap]

    def not_finite(self, layer: Layer) -> NDArray[np.int64]:
        """How many outputs are NaN or infinite, `[c]`."""
        return np.asarray(self._sums[layer.tap][0, 5].astype(np.int64))

    def reduce(self, tap: str, output: Tensor) -> Tensor:
        """Return the six sums and the maximum of each channel, `[7, c]`."""
        return _reduced(output.movedim(1, -1).reshape(-1, output.shape[1]), self._ceilings[tap])

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


def _reduced(rows: Tensor, ceiling: float) -> Tensor:
    """Return, in float64, of each column: values, sum, squares, above zero, at the ceiling, not finite, and maximum."""
    import torch

    sums, highest = _sums(rows, ceiling)
    wrong = torch.zeros_like(highest)
    if not bool(sums[0].isfinite().all()):
        bad = ~rows.isfinite()
        wrong = bad.double().sum(0)
        sums, _ = _sums(rows.masked_fill(bad, 0), ceiling)
        highest = rows.masked_fill(bad, -math.inf).amax(0).double()
    return torch.stack([torch.full_like(wrong, len(rows)), *sums, wrong, highest])


def _sums(rows: Tensor, ceiling: float) -> tuple[Tensor, Tensor]:
    """Return sum, squares, count above zero and count at the ceiling of each column, and the maximum.

    On a CPU in pieces that stay in its cache, so that the rows are fetched from memory once.
    """
    import torch

    found, highest = [], []
    for piece in rows.split(_PIECE if rows.device.type == "cpu" else len(rows)):
        piece = piece.float()
        counts = [(piece > 0).float().sum(0)]
        counts += [(piece >= ceiling).float().sum(0) if math.isfinite(ceiling) else torch.zeros_like(counts[0])]
        found.append(torch.stack([piece.sum(0), (piece * piece).sum(0), *counts]))
        highest.append(piece.amax(0))
    return torch.stack(found).double().sum(0), torch.stack(highest).amax(0).double()

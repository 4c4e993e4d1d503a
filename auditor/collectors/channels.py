"""What the channels of some layers do over the data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from auditor.collectors.collector import Batch, State

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.model.layers import Layer

_PIECE = 4096  # values of each channel that are looked at together: about a megabyte


class ChannelStatistics:
    """Per channel of some layers: mean, share above zero, maximum, and how many values are no number.

    Attributes:
        layers: The layers, each observed at its `tap`.
        images: How many images were seen.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        self.images = 0
        self._sums: dict[str, NDArray[np.float64]] = {}  # [4, c]: values, sum, above zero, not finite
        self._highest: dict[str, NDArray[np.float32]] = {}  # [c]

    @property
    def key(self) -> tuple[Any, ...]:
        return ("channel statistics", self.taps)

    @property
    def taps(self) -> tuple[str, ...]:
        return tuple(layer.tap for layer in self.layers)

    def mean(self, layer: Layer) -> NDArray[np.float64]:
        """The mean output, `[c]`, of the values that are finite."""
        values, total, _, wrong = self._sums[layer.tap]
        return np.asarray(total / np.maximum(values - wrong, 1))

    def active(self, layer: Layer) -> NDArray[np.float64]:
        """The share of outputs above zero, `[c]`."""
        values, _, above, _ = self._sums[layer.tap]
        return np.asarray(above / values)

    def highest(self, layer: Layer) -> NDArray[np.float32]:
        """The largest finite output, `[c]`."""
        return self._highest[layer.tap]

    def not_finite(self, layer: Layer) -> NDArray[np.int64]:
        """How many outputs are NaN or infinite, `[c]`."""
        return np.asarray(self._sums[layer.tap][3].astype(np.int64))

    def reduce(self, tap: str, output: Tensor) -> tuple[int, Tensor, Tensor, Tensor, Tensor]:
        rows = output.movedim(1, -1).reshape(-1, output.shape[1])  # values c
        total, above, highest = _reduced(rows)
        wrong = total * 0
        if not bool(total.isfinite().all()):
            bad = ~rows.isfinite()
            wrong = bad.sum(0)
            total, above, _ = _reduced(rows.masked_fill(bad, 0))
            highest = rows.masked_fill(bad, -math.inf).amax(0)
        return len(rows), total, above, wrong, highest

    def update(self, batch: Batch, reduced: Mapping[str, Sequence[Any]]) -> None:
        self.images += len(batch.indices)
        for tap in self.taps:
            for count, total, above, wrong, highest in reduced[tap]:
                rows = [np.full(len(total), count), *(t.cpu().numpy() for t in (total, above, wrong))]
                self._add(tap, np.stack(rows).astype(np.float64), highest.float().cpu().numpy())

    def merge(self, other: Self) -> None:
        self.images += other.images
        for tap, sums in other._sums.items():
            self._add(tap, sums, other._highest[tap])

    def _add(self, tap: str, sums: NDArray[np.float64], highest: NDArray[np.float32]) -> None:
        if tap in self._sums:
            sums, highest = self._sums[tap] + sums, np.maximum(self._highest[tap], highest)
        self._sums[tap], self._highest[tap] = sums, highest

    def state(self) -> State:
        sums = {f"sums/{tap}": values for tap, values in self._sums.items()}
        highest = {f"highest/{tap}": values for tap, values in self._highest.items()}
        return {"images": np.array(self.images), **sums, **highest}

    def load(self, state: State) -> None:
        self.images = int(state["images"])
        self._sums = {k.removeprefix("sums/"): v for k, v in state.items() if k.startswith("sums/")}
        self._highest = {k.removeprefix("highest/"): v for k, v in state.items() if k.startswith("highest/")}


def _reduced(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return sum, count above zero and maximum of each column, in one pass of cache-sized pieces on a CPU."""
    pieces = rows.split(_PIECE if rows.device.type == "cpu" else len(rows))
    sums = [(piece.float().sum(0), (piece > 0).float().sum(0), piece.amax(0)) for piece in pieces]
    total, above, highest = sums[0]
    for more, further, higher in sums[1:]:
        total, above, highest = total + more, above + further, highest.maximum(higher)
    return total, above, highest

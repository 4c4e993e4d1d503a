"""Each method's maps as trained, and while more and more of the network's layers are re-drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.statistics.correlation import correlation, ranks

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context
    from auditor.methods.sanity.ssim import Moments

Maps = NDArray[np.float32]
Numbers = NDArray[np.float64]
Explain = Callable[[], Mapping[str, Maps]]


@dataclass(frozen=True, eq=False)
class Redrawn:
    """How the maps of `n` images change at `s` stops, from the last layer re-drawn to all of them.

    Attributes:
        total: How many layers there are.
        counts: How many are re-drawn at each stop, from the last on; `layers` are the first of these.
        half: Which stop has the last half of them re-drawn.
        correlation: By method the rank correlation with the map as trained, `[s, n]`; NaN where there is none.
        structure: The same for the structural similarity of maps that end at 1.
        twins: By method the maps of the first images, `[s, m, h, w]`.
    """

    total: int
    counts: tuple[int, ...]
    layers: tuple[str, ...]
    half: int
    correlation: Mapping[str, Numbers]
    structure: Mapping[str, Numbers]
    twins: Mapping[str, Maps]


def redrawn(
    context: Context,
    images: Tensor,
    explain: Explain,
    trained: Mapping[str, Maps],
    *,
    depths: int,
    shown: int,
    seen: Callable[[int], None],
) -> Redrawn:
    """Re-draw the network's layers, from the last to all of them, and explain the images at each stop.

    Args:
        explain: Explains them as the network is now; `trained` is what it gave before.
        depths: At how many stops: the last layer, all, half, a quarter, an eighth and so on; at least the first three.
        shown: Of how many images the maps are kept.
        seen: Is told of each stop.

    Raises:
        ValueError: The network does not show its modules.
    """
    known = {name: [_known(values) for values in maps] for name, maps in trained.items()}
    pairs: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in trained}
    twins: dict[str, list[Maps]] = {name: [] for name in trained}
    with methods.cascading(context.network, images, seed=context.seed) as cascade:
        names = cascade.layers
        counts = sorted({1, *(math.ceil(len(names) / 2**halving) for halving in range(max(2, depths - 1)))})
        for count in counts:
            cascade.redraw(count)
            maps = explain()
            for name in trained:
                pairs[name].append([_alike(one, twin) for one, twin in zip(known[name], maps[name], strict=True)])
                twins[name].append(maps[name][:shown])
            seen(1)
    found = {name: np.array(rows, dtype=np.float64) for name, rows in pairs.items()}  # [s, n, 2]
    return Redrawn(
        len(names),
        tuple(counts),
        tuple(names[-count] for count in counts),
        counts.index(math.ceil(len(names) / 2)),
        {name: rows[..., 0] for name, rows in found.items()},
        {name: rows[..., 1] for name, rows in found.items()},
        {name: np.stack(rows) for name, rows in twins.items()},
    )


def agreements(trained: Mapping[str, Maps]) -> Numbers:
    """Return the mean rank correlation of each method's maps with each other's, `[methods, methods]`."""
    every = [[_order(values) for values in maps] for maps in trained.values()]
    found = np.eye(len(every))
    for row in range(len(every)):
        for column in range(row):
            each = [correlation(a, b) for a, b in zip(every[row], every[column], strict=True)]
            told = [one for one in each if not math.isnan(one)]
            found[row, column] = found[column, row] = np.mean(told) if told else math.nan
    return found


def _order(values: Maps) -> Numbers:
    """Return the ranks of a map's places; NaN throughout where any of it is no number."""
    return ranks(values.ravel()) if np.isfinite(values).all() else np.full(values.size, np.nan)


def _known(trained: Maps) -> tuple[Numbers, Moments] | None:
    """Return the ranks of a map's places, and its moments; None where it says nothing."""
    from auditor.methods.sanity.ssim import moments

    if not np.isfinite(trained).all() or np.ptp(trained) == 0:
        return None
    return ranks(trained.ravel()), moments(_scaled(trained))


def _alike(trained: tuple[Numbers, Moments] | None, twin: Maps) -> tuple[float, float]:
    """Return rank correlation and structural similarity; a map that is the same everywhere is like no other."""
    from auditor.methods.sanity.ssim import moments, similarity

    if trained is None or not np.isfinite(twin).all():
        return math.nan, math.nan
    order, before = trained
    found = correlation(order, ranks(twin.ravel()))
    return 0.0 if math.isnan(found) else found, float(similarity(before, moments(_scaled(twin))))


def _scaled(values: Maps) -> Tensor:
    """Return a map whose largest value, of either sign, is 1, `[1, h, w]`."""
    import torch

    return torch.from_numpy(values / (np.abs(values).max() or 1.0))[None]

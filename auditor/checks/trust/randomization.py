"""Each method's attribution maps of the trained network, and of the same network with ever more layers randomised."""

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
class Randomization:
    """How the maps of `n` images change over `s` steps, from the last layer randomised to all layers.

    Attributes:
        total: How many layers there are.
        counts: How many are randomised at each step, from the last on, `[s]`.
        layers: The first of these layers at each step, `[s]`.
        half: The step at which the last half of the layers is randomised.
        correlation: By method the rank correlation with the map of the trained network, `[s, n]`, -1 to 1; 0 for a map
            that has become constant, NaN if the trained map is constant or either is not finite.
        structure: The same for the structural similarity of maps whose largest absolute value is 1.
        maps: By method the maps of the first `m` images, `[s, m, h, w]`.
    """

    total: int
    counts: tuple[int, ...]
    layers: tuple[str, ...]
    half: int
    correlation: Mapping[str, Numbers]
    structure: Mapping[str, Numbers]
    maps: Mapping[str, Maps]


def randomized(
    context: Context,
    images: Tensor,
    explain: Explain,
    trained: Mapping[str, Maps],
    *,
    depths: int,
    shown: int,
    advance: Callable[[int], None],
) -> Randomization:
    """Randomise the layers of the network step by step, and explain the images at each step.

    Args:
        explain: Returns the maps of the network as it is when called, by method `[n, h, w]`.
        trained: What `explain` returned for the trained network.
        depths: How many steps: the last layer, all, half, a quarter, an eighth and so on; at least the first three.
        shown: Of how many images the maps are kept.
        advance: Called with 1 after each step.

    Raises:
        ValueError: The network does not show its modules.
    """
    known = {name: [_reference(values) for values in maps] for name, maps in trained.items()}
    pairs: dict[str, list[list[tuple[float, float]]]] = {name: [] for name in trained}
    kept: dict[str, list[Maps]] = {name: [] for name in trained}
    with methods.cascading(context.network, images, seed=context.seed) as cascade:
        layers = cascade.layers
        counts = sorted({1, *(math.ceil(len(layers) / 2**halving) for halving in range(max(2, depths - 1)))})
        for count in counts:
            cascade.redraw(count)
            maps = explain()
            for name in trained:
                pairs[name].append([_similarity(one, new) for one, new in zip(known[name], maps[name], strict=True)])
                kept[name].append(maps[name][:shown])
            advance(1)
    found = {name: np.array(rows, dtype=np.float64) for name, rows in pairs.items()}  # [s, n, 2]
    return Randomization(
        len(layers),
        tuple(counts),
        tuple(layers[-count] for count in counts),
        counts.index(math.ceil(len(layers) / 2)),
        {name: rows[..., 0] for name, rows in found.items()},
        {name: rows[..., 1] for name, rows in found.items()},
        {name: np.stack(rows) for name, rows in kept.items()},
    )


def agreements(trained: Mapping[str, Maps]) -> Numbers:
    """Return the mean rank correlation of each method's maps with each other method's, `[methods, methods]`."""
    every = [[_ranks(values) for values in maps] for maps in trained.values()]
    found = np.eye(len(every))
    for row in range(len(every)):
        for column in range(row):
            each = [correlation(a, b) for a, b in zip(every[row], every[column], strict=True)]
            comparable = [one for one in each if not math.isnan(one)]
            found[row, column] = found[column, row] = np.mean(comparable) if comparable else math.nan
    return found


def _ranks(values: Maps) -> Numbers:
    """Return the ranks of a map's pixels; NaN throughout if any pixel is not finite."""
    return ranks(values.ravel()) if np.isfinite(values).all() else np.full(values.size, np.nan)


def _reference(trained: Maps) -> tuple[Numbers, Moments] | None:
    """Return the ranks of a map's pixels, and its moments; None if it is constant or not finite."""
    from auditor.methods.sanity.ssim import moments

    if not np.isfinite(trained).all() or np.ptp(trained) == 0:
        return None
    return ranks(trained.ravel()), moments(_scaled(trained))


def _similarity(trained: tuple[Numbers, Moments] | None, new: Maps) -> tuple[float, float]:
    """Return rank correlation and structural similarity of two maps; a constant map has a correlation of 0."""
    from auditor.methods.sanity.ssim import moments, similarity

    if trained is None or not np.isfinite(new).all():
        return math.nan, math.nan
    order, before = trained
    found = correlation(order, ranks(new.ravel()))
    return 0.0 if math.isnan(found) else found, float(similarity(before, moments(_scaled(new))))


def _scaled(values: Maps) -> Tensor:
    """Return a map divided by its largest absolute value, `[1, h, w]`."""
    import torch

    return torch.from_numpy(values / (np.abs(values).max() or 1.0))[None]

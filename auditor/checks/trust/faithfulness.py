"""What each answer's probability does while the image is taken away, or comes back, in the order of each map."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context

Maps = NDArray[np.float32]
Curves = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Uncovered:
    """Curves of probability over the share of the image that is replaced, `p` points from 0 to 1.

    Attributes:
        deletion, insertion: By method, `[n, p]`; NaN where a map is no number.
        by_chance: The same two for each of `r` random orders, `[r, n, p]`.
    """

    deletion: Mapping[str, Curves]
    insertion: Mapping[str, Curves]
    by_chance: tuple[Curves, Curves]

    def standing(self, method: str) -> tuple[tuple[Curves, Curves], tuple[Curves, Curves]]:
        """Return how good deletion and insertion are, the more the better: a method's `[n]`, and by chance `[r, n]`."""
        taken, added = (_area(curves) for curves in self.by_chance)
        return (-_area(self.deletion[method]), -taken), (_area(self.insertion[method]), added)

    def areas(self, method: str) -> tuple[float, float]:
        """Return the median areas under the curves of deletion and insertion, over what is a number."""
        return _median(_area(self.deletion[method])), _median(_area(self.insertion[method]))

    @property
    def areas_by_chance(self) -> tuple[float, float]:
        """Return the same for the mean random order."""
        taken, added = (_median(_area(curves).mean(0)) for curves in self.by_chance)
        return taken, added


def uncovered(
    context: Context,
    images: Tensor,
    target: Sequence[int],
    maps: Mapping[str, Maps],
    *,
    side: int,
    steps: int,
    orders: int,
    seen: Callable[[int], None],
) -> Uncovered:
    """Replace the images cell by cell: by their mean colour (deletion), or they replace themselves out of focus.

    Args:
        side: Of a cell, in pixels.
        orders: How many random ones there are beside those of the maps.
        seen: Is told of each image.
    """
    import torch

    from auditor.data.filling import filling
    from auditor.model.folding import folded

    random = context.random("trust.orders")
    height, width = images.shape[2:]
    cells = methods.cells_of((height, width), side)
    count, classes = int(cells.max()) + 1, torch.tensor(target, device=images.device)
    own = [methods.ranked_cells(torch.from_numpy(values), cells, random) for values in maps.values()]
    every = torch.stack([*own, *(methods.random_orders(len(images), count, random) for _ in range(orders))])
    grey = filling("mean", images, context.preprocess, blur=0.0, random=random)
    blurred = filling("blur", images, context.preprocess, blur=side / 2, random=random)
    network, steps = folded(context.network), min(steps, count)

    def curves(a: Tensor, b: Tensor, here: slice) -> Curves:
        found = methods.replaced(
            network, a[here], b[here], classes[here], every[:, here], cells, steps=steps, batch_size=context.batch_size
        )
        return np.asarray(found.numpy())

    parts = []
    for i in range(len(images)):
        here = slice(i, i + 1)
        parts.append([curves(images, grey, here), curves(blurred, images, here)])
        seen(1)
    deletion, insertion = (np.concatenate(both, axis=1) for both in zip(*parts, strict=True))  # [methods + r, n, p]
    for number, values in enumerate(maps.values()):
        deletion[number, ~np.isfinite(values).all((1, 2))] = np.nan
    return Uncovered(
        dict(zip(maps, deletion, strict=False)),
        dict(zip(maps, insertion, strict=False)),
        (deletion[len(maps) :], insertion[len(maps) :]),
    )


def _area(curves: Curves) -> Curves:
    import torch

    return np.asarray(methods.area_under(torch.from_numpy(curves)).numpy())


def _median(areas: Curves) -> float:
    told = areas[np.isfinite(areas)]
    return float(np.median(told)) if len(told) else math.nan

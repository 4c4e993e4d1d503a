"""Deletion and insertion: the probability of the predicted class while an image is replaced in the order of a map."""

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
Areas = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class DeletionCurves:
    """Probability of the predicted class over the share of the image that is replaced, at `p` points from 0 to 1.

    Attributes:
        deletion: By method, `[n, p]`; NaN for an image whose map is not finite.
        insertion: The same.
        random: Deletion and insertion in `r` random orders, each `[r, n, p]`.
    """

    deletion: Mapping[str, Curves]
    insertion: Mapping[str, Curves]
    random: tuple[Curves, Curves]

    def scores(self, method: str) -> tuple[tuple[Areas, Areas], tuple[Areas, Areas]]:
        """Return the scores of deletion and of insertion, higher is better: the method's `[n]`, random `[r, n]`."""
        deleted, inserted = (_area(curves) for curves in self.random)
        return (-_area(self.deletion[method]), -deleted), (_area(self.insertion[method]), inserted)

    def areas(self, method: str) -> tuple[float, float]:
        """Return the median areas under the curves of deletion and insertion, over the images with finite maps."""
        return _median(_area(self.deletion[method])), _median(_area(self.insertion[method]))

    @property
    def random_areas(self) -> tuple[float, float]:
        """The same for the mean random order."""
        deleted, inserted = (_median(_area(curves).mean(0)) for curves in self.random)
        return deleted, inserted


def deletion_curves(
    context: Context,
    images: Tensor,
    target: Sequence[int],
    maps: Mapping[str, Maps],
    *,
    side: int,
    steps: int,
    orders: int,
    advance: Callable[[int], None],
) -> DeletionCurves:
    """Replace each image patch by patch, in the order of each map and in random orders.

    Deletion replaces the image by its mean colour, insertion replaces a blurred image by the image.

    Args:
        target: The class whose probability is measured, one an image.
        side: Of a patch, in pixels.
        orders: How many random orders there are.
        advance: Called with 1 after each image.
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
    mean = filling("mean", images, context.preprocess, blur=0.0, random=random)
    blurred = filling("blur", images, context.preprocess, blur=side / 2, random=random)
    network, steps = folded(context.network), min(steps, count)

    def curves(a: Tensor, b: Tensor, here: slice) -> Curves:
        found = methods.replaced(
            network,
            a[here],
            b[here],
            classes[here],
            every[:, here],
            cells,
            steps=steps,
            batch_size=context.batch_size,
            score=context.score,
        )
        return np.asarray(found.numpy())

    parts = []
    for i in range(len(images)):
        here = slice(i, i + 1)
        parts.append([curves(images, mean, here), curves(blurred, images, here)])
        advance(1)
    deletion, insertion = (np.concatenate(both, axis=1) for both in zip(*parts, strict=True))  # [methods + r, n, p]
    for number, values in enumerate(maps.values()):
        deletion[number, ~np.isfinite(values).all((1, 2))] = np.nan
    return DeletionCurves(
        dict(zip(maps, deletion, strict=False)),
        dict(zip(maps, insertion, strict=False)),
        (deletion[len(maps) :], insertion[len(maps) :]),
    )


def _area(curves: Curves) -> Areas:
    import torch

    return np.asarray(methods.area_under(torch.from_numpy(curves)).numpy())


def _median(areas: Areas) -> float:
    finite = areas[np.isfinite(areas)]
    return float(np.median(finite)) if len(finite) else math.nan

"""The probe that measures where the evidence for each class lies: network, images and a grid of windows.

Evidence is measured on one half of the images of a class; what it suggests is tested on the other half.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.methods.occlusion.windows import Windows
from auditor.methods.shortcuts.evidence_shares import estimated, occluded_shares, ring, share_inside, shares_of
from auditor.methods.shortcuts.exchange import scores_of

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.shortcut.class_images import ClassImages, Indices
    from auditor.context import Context
    from auditor.data.filling import Filling

Map = NDArray[np.float64]

WINDOW = 1 / 4  # of the shorter side: a sixteenth of a square image
STEP = 1 / 8
RING = 1 / 8  # of each side
REST = -1  # stands for all classes together that are not probed one by one
SMALLEST = 8  # pixels of a side; a window is a quarter of it


@dataclass(frozen=True, eq=False)
class Evidence:
    """Where the evidence for a class lies, as means over images of it.

    Attributes:
        target: The class, or `REST`.
        occlusion: The share of each window by occlusion, `[rows, cols]`, 0 to 1.
        gradient: The same by gradient; None if no gradient reaches the images.
        ring: The share of the outer ring, against the inside, 0 to 1.
        n: On how many images occlusion was computed.
    """

    target: int
    occlusion: Map
    gradient: Map | None
    ring: float
    n: int

    @property
    def finite(self) -> bool:
        """Whether there is evidence: no share is NaN."""
        return all(np.isfinite(one).all() for one in self.by_method.values()) and bool(np.isfinite(self.ring))

    @property
    def by_method(self) -> dict[str, Map]:
        """The shares of the windows by each method."""
        found = {"occlusion": self.occlusion, "gradient": self.gradient}
        return {name: shares for name, shares in found.items() if shares is not None}


class Probe:
    """The images, the network and the windows that all classes are probed with."""

    def __init__(self, context: Context, seen: ClassImages, *, explained: int, fill: Filling) -> None:
        from auditor.data.filling import filling

        self.context, self.seen, self.explained = context, seen, explained
        height, width = seen.images.shape[2:]
        side = min(height, width)
        self.windows = Windows.of(
            (height, width), window=max(1, round(WINDOW * side)), stride=max(1, round(STEP * side))
        )
        self.cells = Windows.of((height, width), window=self.windows.stride, stride=self.windows.stride)
        self.ring = ring((height, width), RING)
        random = context.random("shortcut.fill")
        self.fill = filling(fill, seen.images, context.preprocess, blur=self.windows.window[0] / 2, random=random)
        self.occluder = methods.Occluder(
            context.network, seen.images[:1], window=self.windows.window, stride=self.windows.stride
        )

    def evidence(self, target: int) -> Evidence:
        """Measure where the evidence for a class lies, on the half of its images on which candidates are selected."""
        images = self.seen.rest() if target == REST else self.seen.of(target)[::2]
        some = images[: self.explained]
        occlusion = occluded_shares(self.occluder, *self.given(some)).double().numpy()
        gradient = None if self.without_gradient else _mean(self.gradients(images).astype(np.float64))
        inside = share_inside(self.context.network, *self.given(some), self.ring, batch=self.context.batch_size)
        return Evidence(target, _mean(occlusion), gradient, float(_mean(inside.double().numpy())), len(some))

    def gradients(self, images: Indices) -> NDArray[np.float32]:
        """Return the gradient's share of each window, `[n, rows, cols]`; NaN for an image without a prediction."""
        return self._gradients[0][images]

    def gradients_by_cell(self, images: Indices) -> NDArray[np.float32]:
        """Return the same for each cell."""
        return self._gradients[1][images]

    @cached_property
    def without_gradient(self) -> str:
        """Why no gradient reaches the images; empty if one does."""
        from auditor.methods.attribution.forward_pass import gradient_problem

        return gradient_problem(self.context.network, self.seen.images[:1].to(self.context.network.device))

    @cached_property
    def _gradients(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        grids = self.windows, self.cells
        by_window, by_cell = (np.full((len(self.seen.predicted), *one.grid), np.nan, np.float32) for one in grids)
        known, step = np.flatnonzero(self.seen.predicted >= 0), self.context.batch_size
        known = known[:0] if self.without_gradient else known
        for some in (known[start : start + step] for start in range(0, len(known), step)):
            drops = estimated(self.context.network, *self.given(some)).cpu()
            by_window[some], by_cell[some] = (shares_of(one.mean(drops)).numpy() for one in grids)
        return by_window, by_cell

    def given(self, images: Indices) -> tuple[Tensor, Tensor, Tensor]:
        """Return images, what covers their windows, and their predicted classes."""
        import torch

        return self.seen.images[images], self.fill[images], torch.from_numpy(self.seen.predicted[images])

    def probabilities(self, images: Tensor) -> NDArray[np.float64]:
        """Return the probability of each class, `[n, k]`."""
        scores = scores_of(self.context.network, images, batch=self.context.batch_size)
        return np.asarray(scores.double().softmax(1).cpu().numpy())

    def at_border(self) -> NDArray[np.bool_]:
        """Return which windows lie at the border, `[rows, cols]`."""
        cells = np.zeros(self.windows.grid, dtype=bool)
        cells[[0, -1]] = cells[:, [0, -1]] = True
        return cells

    def inside(self, numbers: Indices) -> Tensor:
        """Return the pixels of windows, `[n, h, w]`."""
        import torch

        return self.windows.inside(torch.from_numpy(numbers))

    def third(self, target: int, other: Indices) -> Indices:
        """Return for each of the other images one of a third class, if there is one."""
        pool = self.seen.others(target)
        labels = self.seen.labels
        chosen = []
        for turn, one in enumerate(other):
            third = pool[labels[pool] != labels[one]]
            third = third if len(third) else pool[pool != one]
            chosen.append(third[turn % len(third)] if len(third) else one)
        return np.array(chosen, np.int64)

    def elsewhere(self, numbers: Indices) -> Indices:
        """Return for each window a random one that does not overlap it."""
        import torch

        random = np.random.default_rng(int(torch.randint(2**31, (), generator=self.context.random("shortcut.away"))))
        cols = len(self.windows.cols)
        rows_of, cols_of = np.array(self.windows.rows), np.array(self.windows.cols)
        every = np.arange(len(self.windows))
        down, right = self.windows.window
        drawn = []
        for number in numbers:
            apart = (abs(rows_of[every // cols] - rows_of[number // cols]) >= down) | (
                abs(cols_of[every % cols] - cols_of[number % cols]) >= right
            )
            drawn.append(random.choice(every[apart]))
        return np.array(drawn, np.int64)


def _mean(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean over the images with evidence; NaN if none has any."""
    finite = np.isfinite(values).reshape(len(values), -1).all(1)
    if not finite.any():
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values[finite].mean(0))

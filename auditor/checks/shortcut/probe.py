"""What all classes are looked at with: their images, the network, and a grid of windows.

Evidence is told from one half of the images of a class, so that it can be tried in the other what it leads to.
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

    from auditor.checks.shortcut.class_images import ClassImages, Places
    from auditor.context import Context
    from auditor.data.filling import Filling

Map = NDArray[np.float64]

WINDOW = 1 / 4  # of the shorter side: a sixteenth of a square image
STEP = 1 / 8
RING = 1 / 8  # of each side
REST = -1
SMALLEST = 8  # pixels of a side, of which a window is a quarter


@dataclass(frozen=True, eq=False)
class Evidence:
    """Where the evidence for a class lies, over images of it.

    Attributes:
        target: The class; `REST` for all those together that are not looked at one by one.
        occlusion, gradient: The mean share of each window, `[rows, cols]`.
        ring: The mean share of the ring against all the rest.
        n: How many images were covered.
    """

    target: int
    occlusion: Map
    gradient: Map
    ring: float
    n: int

    @property
    def sound(self) -> bool:
        """Whether there is evidence, in numbers."""
        return bool(np.isfinite(self.occlusion).all() and np.isfinite(self.gradient).all() and np.isfinite(self.ring))


class Laboratory:
    """The images, the network and the windows that all classes are looked at with."""

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
        """Cover some images of a class, of the half in which places are sought."""
        images = self.seen.rest() if target == REST else self.seen.of(target)[::2]
        some = images[: self.explained]
        occlusion = occluded_shares(self.occluder, *self.given(some)).double().numpy()
        gradient = self.gradients(images).astype(np.float64)
        inside = share_inside(self.context.network, *self.given(some), self.ring, batch=self.context.batch_size)
        return Evidence(target, _mean(occlusion), _mean(gradient), float(_mean(inside.double().numpy())), len(some))

    def gradients(self, images: Places) -> NDArray[np.float32]:
        """Return the gradient's share of each window, `[n, rows, cols]`; NaN for an image without an answer."""
        return self._gradients[0][images]

    def gradients_by_cell(self, images: Places) -> NDArray[np.float32]:
        """Return the same of each cell."""
        return self._gradients[1][images]

    @cached_property
    def _gradients(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        grids = self.windows, self.cells
        by_window, by_cell = (np.full((len(self.seen.answers), *one.grid), np.nan, np.float32) for one in grids)
        answered, step = np.flatnonzero(self.seen.answers >= 0), self.context.batch_size
        for some in (answered[start : start + step] for start in range(0, len(answered), step)):
            falls = estimated(self.context.network, *self.given(some)).cpu()
            by_window[some], by_cell[some] = (shares_of(one.mean(falls)).numpy() for one in grids)
        return by_window, by_cell

    def given(self, images: Places) -> tuple[Tensor, Tensor, Tensor]:
        """Return images, what fills their windows, and what they are answered with."""
        import torch

        return self.seen.images[images], self.fill[images], torch.from_numpy(self.seen.answers[images])

    def probabilities(self, images: Tensor) -> NDArray[np.float64]:
        """Return the probability of each class, `[n, k]`."""
        scores = scores_of(self.context.network, images, batch=self.context.batch_size)
        return np.asarray(scores.double().softmax(1).cpu().numpy())

    def at_border(self) -> NDArray[np.bool_]:
        """Return which windows lie at the border, `[rows, cols]`."""
        cells = np.zeros(self.windows.grid, dtype=bool)
        cells[[0, -1]] = cells[:, [0, -1]] = True
        return cells

    def inside(self, numbers: Places) -> Tensor:
        """Return the pixels of windows, `[n, h, w]`."""
        import torch

        return self.windows.inside(torch.from_numpy(numbers))

    def third(self, target: int, other: Places) -> Places:
        """Return for each of the other images one of yet another class, where there is one."""
        pool = self.seen.others(target)
        labels = self.seen.labels
        chosen = []
        for turn, one in enumerate(other):
            strange = pool[labels[pool] != labels[one]]
            strange = strange if len(strange) else pool[pool != one]
            chosen.append(strange[turn % len(strange)] if len(strange) else one)
        return np.array(chosen, np.int64)

    def away(self, numbers: Places) -> Places:
        """Return for each window another one, drawn from those that don't overlap it."""
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
    """Return the mean over the images, without those that hold no evidence; NaN where none does."""
    sound = np.isfinite(values).reshape(len(values), -1).all(1)
    if not sound.any():
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values[sound].mean(0))

"""Gradient descent of a mask and a pattern for each of several classes.

B. Wang, Y. Yao, S. Shan, H. Li, B. Viswanath, H. Zheng, B. Y. Zhao: Neural Cleanse. IEEE S&P 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from auditor.methods.attribution.before_softmax import BeforeSoftmax
from auditor.methods.attribution.forward_pass import Model, record
from auditor.methods.synthesis.parameterization import Bounds
from auditor.model.output import class_scores
from auditor.model.preserve import buffers_kept

ROUND = 10  # steps after which the triggers are tested on all images, and the cost of the mask changes
_PRICE = 10.0  # cost of a mask over the whole image at first: several times the cross entropy of a random guess
_DEARER, _CHEAPER = 2.0, 2.0**-1.5
_BETAS = (0.5, 0.9)


@dataclass(frozen=True, eq=False)
class Victim:
    """The network, the images that triggers are added to, and the target class of each trigger."""

    model: Model
    images: Float[Tensor, "n c h w"]
    classes: tuple[int, ...]
    batch_size: int

    def predictions(self) -> Int64[Tensor, " n"]:
        """Return the predicted class of each clean image.

        Raises:
            ValueError: The network does not have one of the target classes.
        """
        scores = torch.cat([self._scores(part) for part in self.images.split(self.batch_size)])
        if max(self.classes) >= scores.shape[1]:
            raise ValueError(f"there is no class {max(self.classes)}: the network has {scores.shape[1]}")
        return scores.argmax(1)

    def hits(self, masks: Tensor, patterns: Tensor, pools: Sequence[Tensor]) -> Int64[Tensor, " k"]:
        """Return the number of images in each class' pool that its trigger sends to the class."""
        rows, chosen = pairs(pools)
        counts = torch.zeros(len(pools), dtype=torch.int64, device=rows.device)
        for row, place in zip(rows.split(self.batch_size), chosen.split(self.batch_size), strict=True):
            if len(row):
                scores = self._scores(torch.lerp(self.images[place], patterns[row], masks[row]))
                sent = (scores.argmax(1) == self.targets(row)) & scores.isfinite().all(1)
                counts.index_add_(0, row, sent.long())
        return counts

    def slopes(self, images: Float[Tensor, "m c h w"], targets: Int64[Tensor, " m"]) -> Float[Tensor, "m c h w"]:
        """Return the gradient of each image's cross entropy with its target."""
        parts = zip(images.split(self.batch_size), targets.split(self.batch_size), strict=True)
        return torch.cat([self._slope(*part) for part in parts])

    def targets(self, rows: Int64[Tensor, " m"]) -> Int64[Tensor, " m"]:
        return torch.tensor(self.classes, device=rows.device)[rows]

    def _slope(self, images: Tensor, targets: Tensor) -> Tensor:
        with BeforeSoftmax() if self._softmax else nullcontext() as before:
            recording = record(self.model, images, rules=False)
        logits = before.scores(recording.scores) if before else recording.scores
        signal = logits.softmax(1)
        signal[torch.arange(len(targets), device=signal.device), targets] -= 1
        leaf = get_gradient_edge(recording.images)
        (slope,) = torch.autograd.grad((recording.scores_edge,), (leaf,), (signal,))
        return slope

    @cached_property
    def _softmax(self) -> bool:
        return record(self.model, self.images[:1], rules=False).softmax

    @torch.no_grad()
    def _scores(self, images: Tensor) -> Tensor:
        with buffers_kept(self.model):
            return class_scores(self.model, images)


@dataclass(frozen=True, eq=False, slots=True)
class Smallest:
    """The smallest triggers so far. A class without one has its last trigger, with an infinite mass."""

    masks: Float[Tensor, "k 1 h w"]
    patterns: Float[Tensor, "k c h w"]
    masses: Float[Tensor, " k"]

    def or_smaller(self, masks: Tensor, patterns: Tensor, reached: Bool[Tensor, " k"]) -> Smallest:
        masses = masks.sum((1, 2, 3)).masked_fill(~reached, torch.inf)
        better = (masses < self.masses) | self.masses.isinf()
        chosen = better[:, None, None, None]
        return Smallest(
            torch.where(chosen, masks, self.masks),
            torch.where(chosen, patterns, self.patterns),
            torch.where(better, masses, self.masses),
        )


@dataclass(frozen=True, eq=False)
class MaskSearch:
    """A descent with its aim.

    Attributes:
        pools: The images for each class, by their numbers among the victim's.
        bounds: The lowest and the highest value of a pixel, by channel.
        success: The share of its pool that a trigger has to send to its class.
        step_size: Of Adam, in log-odds of the mask, and of the pattern between its bounds.
    """

    victim: Victim
    pools: Sequence[Int64[Tensor, " _"]]
    bounds: Bounds
    success: float
    step_size: float

    def run(self, steps: int, together: int, progress: Callable[[int], None]) -> Smallest:
        """Run all steps, each with `together` images of each class."""
        channels, height, width = self.victim.images.shape[1:]
        values = self.victim.images.new_zeros(len(self.pools), 1 + channels, height, width).requires_grad_()
        rule = torch.optim.Adam([values], lr=self.step_size, betas=_BETAS)
        prices = values.new_full((len(self.pools),), _PRICE)
        found = Smallest(*self._opened(values.detach()), torch.full_like(prices, torch.inf))
        for step in range(1, steps + 1):
            values.grad = self._gradient(values, prices, [_turn(pool, step, together) for pool in self.pools])
            rule.step()
            progress(1)
            if step % ROUND == 0 or step == steps:
                masks, patterns = self._opened(values.detach())
                reached = self._reached(masks, patterns)
                found = found.or_smaller(masks, patterns, reached)
                prices = prices * torch.where(reached, _DEARER, _CHEAPER)
        return found

    def _gradient(self, values: Tensor, prices: Float[Tensor, " k"], chosen: Sequence[Tensor]) -> Tensor:
        """Return the gradient of each class' mean cross entropy plus the cost of its mask's share of the image."""
        rows, places = pairs(chosen)
        with torch.enable_grad():
            masks, patterns = self._opened(values)
            images = torch.lerp(self.victim.images[places], patterns[rows], masks[rows])  # m c h w
            price = (prices * masks.mean((1, 2, 3))).sum()
        slopes = self.victim.slopes(images.detach(), self.victim.targets(rows)) / max(map(len, chosen))
        (gradient,) = torch.autograd.grad((images, price), values, (slopes, torch.ones_like(price)))
        return gradient.nan_to_num(0.0, 0.0, 0.0)

    def _opened(self, values: Tensor) -> tuple[Float[Tensor, "k 1 h w"], Float[Tensor, "k c h w"]]:
        """Return the masks and the patterns for their log-odds."""
        low, high = (bound.to(values)[:, None, None] for bound in self.bounds)
        shares = values.sigmoid()
        return shares[:, :1], torch.lerp(low, high, shares[:, 1:])

    def _reached(self, masks: Tensor, patterns: Tensor) -> Bool[Tensor, " k"]:
        counts = torch.tensor([len(pool) for pool in self.pools], device=masks.device)
        return (counts > 0) & (self.victim.hits(masks, patterns, self.pools) >= self.success * counts)


def pairs(pools: Sequence[Tensor]) -> tuple[Int64[Tensor, " m"], Int64[Tensor, " m"]]:
    """Return concatenated pools: the pool that each image belongs to, and the image's number."""
    counts = torch.tensor([len(pool) for pool in pools], device=pools[0].device)
    return torch.arange(len(pools), device=counts.device).repeat_interleave(counts), torch.cat(list(pools))


def _turn(pool: Tensor, step: int, count: int) -> Tensor:
    """Return the next `count` images of a pool, in turn; none of an empty pool."""
    turns = torch.arange(step * count, (step + 1) * count if len(pool) else step * count, device=pool.device)
    return pool[turns % max(1, len(pool))]

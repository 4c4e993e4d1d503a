"""Gradient ascent of several independent images in a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from auditor.methods.attribution.before_softmax import BeforeSoftmax
from auditor.methods.attribution.forward_pass import Model, Recording, record
from auditor.methods.synthesis.objectives import Diversity, Goal, aimed, layers_of
from auditor.methods.synthesis.parameterization import Parameterization
from auditor.methods.synthesis.preset import Preset
from auditor.methods.synthesis.regularizers import Regularizer, squared_norm, total_variation
from auditor.methods.synthesis.result import Evaluation, History, Synthesis

Progress = Callable[[int, Tensor], None]


@dataclass(frozen=True, eq=False)
class Ascent:
    """Images that ascend in one batch.

    Attributes:
        starts: The values at which each image starts.
        goals: The goal of each image.
        diversity: The cost of similarity between images with the same goal.
        seed: Seed of the transforms, which are the same for all images.
    """

    model: Model
    starts: Tensor
    goals: tuple[Goal, ...]
    parameterization: Parameterization
    preset: Preset
    regularizers: Sequence[Regularizer]
    diversity: Diversity | None
    seed: int

    def parts(self, size: int) -> Iterator[Ascent]:
        """Yield ascents of at most `size` images each."""
        for first in range(0, len(self.goals), size):
            part = slice(first, first + size)
            yield replace(self, starts=self.starts[part], goals=self.goals[part])

    def same_among(self, size: int) -> bool:
        """Return whether the gradient of an image in a batch of `size` is bitwise identical to that in a batch of two.

        A library may compute batches of other sizes differently, and the smallest difference grows over the steps.
        """
        shape = (size, *self.parameterization.shape)
        noise = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self.starts)
        batch = replace(self, goals=(self.goals * size)[:size], diversity=None)
        twice = replace(batch, goals=2 * self.goals[:1])
        return torch.equal(batch.slope(noise)[2][0], twice.slope(noise[[0, 0]])[2][0])

    def run_among(self, size: int, progress: Progress) -> Synthesis:
        """Run all steps in a batch of at least `size`, padded with the last image.

        Raises:
            ValueError, IndexError: As `synthesize`.
        """
        count, missing = len(self.goals), max(0, size - len(self.goals))
        more = self.starts[-1:].expand(missing, *self.starts.shape[1:])
        full = replace(self, starts=torch.cat([self.starts, more]), goals=self.goals + missing * self.goals[-1:])
        return full.run(lambda _, scores: progress(count, scores[:count])).first(count)

    def run(self, progress: Progress) -> Synthesis:
        """Run all steps.

        Raises:
            ValueError, IndexError: As `synthesize`.
        """
        steps, random = self.preset.steps, torch.Generator().manual_seed(self.seed)
        move = _adam(self.starts, self.preset.step_size) if self.preset.spectrum else _plain(self.preset.step_size)
        evaluation = self._evaluated(self.starts, 0.0, random, finished=not steps)
        history = History(evaluation, steady=self.preset.jitter.still)
        for step in range(1, steps + 1):
            proposed = move(evaluation.values, evaluation.gradient)
            found = self._evaluated(proposed, step / steps, random, finished=step == steps)
            evaluation = history.advance(step, found)
            progress(len(self.goals), evaluation.scores)
            if not history.open.any():
                break
        return history.result(steps)

    def _evaluated(self, values: Tensor, done: float, random: torch.Generator, *, finished: bool) -> Evaluation:
        preset = self.preset
        with torch.enable_grad():
            leaf = values.detach().requires_grad_()
            images = self.parameterization.images(leaf)
            moved = images if finished or preset.jitter.still else preset.jitter(images, done, random)
            costs = preset.l2 * squared_norm(images)
            if preset.variation:
                costs = costs + preset.variation * total_variation(images)
            for regularizer in self.regularizers:
                costs = costs + regularizer(images)
        scores, paid, slope = self.slope(moved.detach())
        (gradient,) = torch.autograd.grad((moved, costs), leaf, (slope, -torch.ones_like(costs)))
        return Evaluation(values, images.detach(), scores, scores - paid - costs.detach(), gradient)

    def slope(self, images: Float[Tensor, "n c h w"]) -> tuple[Tensor, Tensor, Float[Tensor, "n c h w"]]:
        """Return the scores of images, the cost of their similarity, and the gradient of the difference."""
        recording, logits = self._recorded(images)
        scores, paid, signals = aimed(self.goals, recording, logits, self.diversity)
        starts, values = zip(*signals, strict=True)
        leaf = get_gradient_edge(recording.images)
        (slope,) = torch.autograd.grad(starts, (leaf,), values, allow_unused=True)
        return scores, paid, torch.zeros_like(images) if slope is None else slope

    def _recorded(self, images: Float[Tensor, "n c h w"]) -> tuple[Recording, Float[Tensor, "n k"]]:
        """Return a forward pass and its logits."""
        with BeforeSoftmax() if self.softmax else nullcontext() as before:
            recording = record(self.model, images, layers=layers_of(self.goals, self.diversity), rules=False)
        return recording, before.scores(recording.scores) if before else recording.scores

    @cached_property
    def softmax(self) -> bool:
        """Whether the network ends in a softmax."""
        return record(self.model, self.parameterization.images(self.starts[:1]), rules=False).softmax


def _plain(step_size: float) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda values, gradient: values + step_size * gradient


def _adam(values: Tensor, step_size: float) -> Callable[[Tensor, Tensor], Tensor]:
    """D. P. Kingma, J. Ba: Adam: A Method for Stochastic Optimization. ICLR 2015."""
    moving = values.clone()
    rule = torch.optim.Adam([moving], lr=step_size, maximize=True)

    def move(values: Tensor, gradient: Tensor) -> Tensor:
        moving.copy_(values)  # an image that has stopped does not have its proposed values
        moving.grad = gradient
        rule.step()
        return moving.clone()

    return move

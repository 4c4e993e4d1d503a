"""The history of images during ascent, and the result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from auditor.language import _

_FALLS = 10  # successive steps that lower the objective below its first value


@dataclass(frozen=True, eq=False, slots=True)
class Synthesis:
    """Synthesised images and their scores.

    Attributes:
        images: `[n, c, h, w]`, in units of the network's input; copies of one target are adjacent.
        scores: The final score of each image, `[n]`: the logit of a class, the value of a unit.
        course: The score at each step, of the transformed image, and in the last column that of the final image,
            `[n, steps + 1]`; NaN after an image has stopped.
        objectives: The score minus the costs of norm, variation and similarity, likewise.
        notes: Why an image stopped early, or never changed; empty otherwise.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> found = methods.synthesize(model, [5, 3], shape=(3, 8, 8), steps=4)
        >>> found.course.shape  # five scores of each of two images
        torch.Size([2, 5])
        >>> torch.equal(found.course[:, -1], found.scores)
        True
    """

    images: Float[Tensor, "n c h w"]
    scores: Float[Tensor, " n"]
    course: Float[Tensor, "n s"]
    objectives: Float[Tensor, "n s"]
    notes: tuple[str, ...]

    def first(self, count: int) -> Synthesis:
        """Return only the first `count` images."""
        own = slice(count)
        return Synthesis(self.images[own], self.scores[own], self.course[own], self.objectives[own], self.notes[own])

    def mean(self, copies: int) -> Float[Tensor, "m c h w"]:
        """Return the mean image of each target's copies."""
        grouped: Tensor = self.images.unflatten(0, (-1, copies))
        return grouped.mean(1)


class Evaluation(NamedTuple):
    """The scores of images, and the gradient of their objectives."""

    values: Tensor
    images: Float[Tensor, "n c h w"]
    scores: Float[Tensor, " n"]
    objectives: Float[Tensor, " n"]
    gradient: Tensor

    @property
    def finite(self) -> Bool[Tensor, " n"]:
        return self.objectives.isfinite() & self.gradient.flatten(1).isfinite().all(1)

    def where(self, which: Bool[Tensor, " n"], other: Evaluation) -> Evaluation:
        """Return this evaluation for some images, and another one for the rest."""
        pairs = zip(self, other, strict=True)
        return Evaluation(*(torch.where(which.view(-1, *[1] * (own.ndim - 1)), own, others) for own, others in pairs))


class History:
    """The scores of images at each step, and which images have stopped.

    Args:
        steady: Without transforms an image has the same score at each step, so falling scores mean that it diverges.
    """

    def __init__(self, evaluation: Evaluation, *, steady: bool) -> None:
        self.open = evaluation.finite
        self._now = self._best = self._first = evaluation
        self._steady = steady
        self._notes = [""] * len(evaluation.scores)
        self._moved = evaluation.gradient.flatten(1).any(1)
        self._falls = torch.zeros_like(evaluation.scores)
        self._scores, self._objectives = [evaluation.scores], [evaluation.objectives]
        self._note(~self.open, _("the score or its gradient is not finite at the start"))

    def advance(self, step: int, found: Evaluation) -> Evaluation:
        """Add the evaluation of a step, and return the current one of each image. An image that can't go on stays."""
        lost = self.open & ~found.finite
        self._note(lost, _("stopped early at step {step}: the score or its gradient is not finite", step=step))
        self.open = self.open & ~lost
        if self._steady:
            self._stop_diverging(step, found)
        self._now = found.where(self.open, self._now)
        self._best = found.where(self.open & (found.objectives > self._best.objectives), self._best)
        self._moved = self._moved | self._now.gradient.flatten(1).any(1)
        self._scores.append(found.scores.masked_fill(~self.open, torch.nan))
        self._objectives.append(found.objectives.masked_fill(~self.open, torch.nan))
        return self._now

    def result(self, steps: int) -> Synthesis:
        """Return the images with their scores, padded to the number of steps."""
        missing = steps + 1 - len(self._scores)
        rows = (torch.stack(rows, 1) for rows in (self._scores, self._objectives))
        course, objectives = (functional.pad(one, (0, missing), value=torch.nan) for one in rows)
        flat = _("the gradient is zero at every step, so the image did not change")
        notes = [note or ("" if moved else flat) for note, moved in zip(self._notes, self._moved, strict=True)]
        return Synthesis(self._now.images, self._now.scores, course, objectives, tuple(notes))

    def _stop_diverging(self, step: int, found: Evaluation) -> None:
        lower = (found.objectives < self._now.objectives) & (found.objectives < self._first.objectives)
        self._falls = torch.where(lower, self._falls + 1, 0)
        diverging = self.open & (self._falls >= _FALLS)
        self._note(diverging, _("stopped early at step {step}: the score diverges; use a smaller step_size", step=step))
        self.open = self.open & ~diverging
        self._now = self._best.where(diverging, self._now)

    def _note(self, which: Bool[Tensor, " n"], why: str) -> None:
        for place in which.nonzero().flatten().tolist():
            self._notes[place] = why

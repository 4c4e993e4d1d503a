"""How images fare that are made by ascent, and what comes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from auditor.language import _

_FALLS = 10  # steps in a row that lower the objective to under where it began


@dataclass(frozen=True, eq=False, slots=True)
class Synthesis:
    """Images that were made, and how.

    Attributes:
        images: `[n, c, h, w]`, in units of the network's input; copies of one target next to each other.
        scores: What each has reached, `[n]`: the score before a softmax of a class, the value of a unit.
        course: The score before each step, as the network saw the image then, and in the last column that of the
            finished image, `[n, steps + 1]`; NaN after an image has stopped.
        objectives: The same less what norm, variation and likeness cost.
        notes: Why an image stopped before the others, or never moved; else empty.
    """

    images: Float[Tensor, "n c h w"]
    scores: Float[Tensor, " n"]
    course: Float[Tensor, "n s"]
    objectives: Float[Tensor, "n s"]
    notes: tuple[str, ...]

    def first(self, count: int) -> Synthesis:
        """Return the first of the images alone."""
        own = slice(count)
        return Synthesis(self.images[own], self.scores[own], self.course[own], self.objectives[own], self.notes[own])

    def mean(self, copies: int) -> Float[Tensor, "m c h w"]:
        """Return the mean image of each target's copies."""
        grouped: Tensor = self.images.unflatten(0, (-1, copies))
        return grouped.mean(1)


class Evaluation(NamedTuple):
    """What the network says of some images, and which way is up."""

    values: Tensor
    images: Float[Tensor, "n c h w"]
    scores: Float[Tensor, " n"]
    objectives: Float[Tensor, " n"]
    gradient: Tensor

    @property
    def finite(self) -> Bool[Tensor, " n"]:
        return self.objectives.isfinite() & self.gradient.flatten(1).isfinite().all(1)

    def where(self, which: Bool[Tensor, " n"], other: Evaluation) -> Evaluation:
        """Return this of some images, and the other of the rest."""
        pairs = zip(self, other, strict=True)
        return Evaluation(*(torch.where(which.view(-1, *[1] * (own.ndim - 1)), own, others) for own, others in pairs))


class History:
    """How images fare, and which of them have stopped.

    Args:
        steady: The same image has the same score at every step, so that one that falls and falls diverges.
    """

    def __init__(self, evaluation: Evaluation, *, steady: bool) -> None:
        self.open = evaluation.finite
        self._now = self._best = self._first = evaluation
        self._steady = steady
        self._notes = [""] * len(evaluation.scores)
        self._moved = evaluation.gradient.flatten(1).any(1)
        self._falls = torch.zeros_like(evaluation.scores)
        self._scores, self._objectives = [evaluation.scores], [evaluation.objectives]
        self._note(~self.open, _("not finite at the start: the score or its gradient"))

    def advance(self, step: int, found: Evaluation) -> Evaluation:
        """Take in what a step led to, and return where each image is now: one that can't go on stays."""
        lost = self.open & ~found.finite
        self._note(lost, _("stopped at step {step}: the score or its gradient is no longer finite", step=step))
        self.open = self.open & ~lost
        if self._steady:
            self._refuse_to_fall(step, found)
        self._now = found.where(self.open, self._now)
        self._best = found.where(self.open & (found.objectives > self._best.objectives), self._best)
        self._moved = self._moved | self._now.gradient.flatten(1).any(1)
        self._scores.append(found.scores.masked_fill(~self.open, torch.nan))
        self._objectives.append(found.objectives.masked_fill(~self.open, torch.nan))
        return self._now

    def result(self, steps: int) -> Synthesis:
        missing = steps + 1 - len(self._scores)
        rows = (torch.stack(rows, 1) for rows in (self._scores, self._objectives))
        course, objectives = (functional.pad(one, (0, missing), value=torch.nan) for one in rows)
        flat = _("no gradient: the score did not change with the image at any step")
        notes = [note or ("" if moved else flat) for note, moved in zip(self._notes, self._moved, strict=True)]
        return Synthesis(self._now.images, self._now.scores, course, objectives, tuple(notes))

    def _refuse_to_fall(self, step: int, found: Evaluation) -> None:
        lower = (found.objectives < self._now.objectives) & (found.objectives < self._first.objectives)
        self._falls = torch.where(lower, self._falls + 1, 0)
        diverging = self.open & (self._falls >= _FALLS)
        self._note(diverging, _("stopped at step {step}: it diverges; take a smaller step_size", step=step))
        self.open = self.open & ~diverging
        self._now = self._best.where(diverging, self._now)

    def _note(self, which: Bool[Tensor, " n"], why: str) -> None:
        for place in which.nonzero().flatten().tolist():
            self._notes[place] = why

"""The scores of one image as a table: a row for the clean image, then one for each window."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from auditor.methods.attribution.targets import refuse_unknown
from auditor.methods.occlusion.incremental.window_scores import Passed
from auditor.methods.occlusion.occluder import Occluder


class Table(NamedTuple):
    """Numbers by row, for `k` classes; the clean image's row comes first.

    Attributes:
        logit: Logits, or logs of probabilities if the logits are not available.
        probability: 0 to 1.
        predicted: The predicted class.
        response: The sum of the feature map that is most active in the clean image; 0 if it is unknown.
    """

    logit: Float[Tensor, "*n rows k"]
    probability: Float[Tensor, "*n rows k"]
    predicted: Int64[Tensor, "*n rows"]
    response: Float[Tensor, "*n rows"]

    def value(self, score: str) -> Float[Tensor, "*n rows k"]:
        """Return the probability by softmax, by sigmoid, or the logit: see `occlusion`."""
        if score == "sigmoid":
            return self.logit.sigmoid()
        return self.probability if score == "probability" else self.logit

    @classmethod
    def stacked(cls, tables: list[Table]) -> Table:
        """Return the tables of `n` images as one."""
        return cls(*(torch.stack(column) for column in zip(*tables, strict=True)))

    def clean(self) -> Table:
        """Return only the rows of the clean images."""
        return Table(self.logit[:, 0], self.probability[:, 0], self.predicted[:, 0], self.response[:, 0])

    def filled(self) -> Table:
        """Return only the rows of the windows."""
        return Table(self.logit[:, 1:], self.probability[:, 1:], self.predicted[:, 1:], self.response[:, 1:])


def table(
    occluder: Occluder,
    image: Float[Tensor, "1 c h w"],
    fill: Float[Tensor, "1 c h w"],
    classes: Int64[Tensor, " k"],
    seen: Callable[[int], None] | None,
    wanted: Bool[Tensor, "rows cols"] | None = None,
) -> tuple[Table, int]:
    """Compute windows of one image; return their table and the number of the most active feature map.

    Args:
        wanted: Which windows; None for all. Their rows are in the order of the grid.

    Raises:
        IndexError: A class does not exist.
    """
    clean = occluder.clean(image)
    reader = _Reader(clean, classes, occluder.gives_probabilities)
    parts, numbers = [reader(clean)], [torch.tensor([-1], device=clean.scores.device)]
    for some in occluder(image, fill, wanted):
        parts.append(reader(some))
        numbers.append(some.numbers)
        if seen is not None:
            seen(len(some.numbers))
    order = torch.cat(numbers).argsort()
    return Table(*(torch.cat(column)[order].to(image.device) for column in zip(*parts, strict=True))), reader.channel


class _Reader:
    """Convert scores of one image to rows of the table."""

    def __init__(self, clean: Passed, classes: Tensor, are_probabilities: bool) -> None:
        refuse_unknown(classes, clean.scores.shape[1])
        self._classes = classes.to(clean.scores.device)
        self._are_probabilities = are_probabilities
        self.channel = int(clean.totals.argmax()) if clean.totals.shape[1] else 0

    def __call__(self, passed: Passed) -> Table:
        scores = passed.scores.double() if passed.scores.dtype == torch.float64 else passed.scores.float()
        probabilities = scores if self._are_probabilities else probabilities_of(scores)
        logits = scores.clamp_min(torch.finfo(scores.dtype).tiny).log() if self._are_probabilities else scores
        totals = passed.totals
        response = totals[:, self.channel] if totals.shape[1] else scores.new_zeros(len(scores))
        return Table(logits[:, self._classes], probabilities[:, self._classes], scores.argmax(1), response)


def probabilities_of(scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """Return the softmax of logits; for a single logit the sigmoid."""
    return scores.softmax(1) if scores.shape[1] > 1 else scores.sigmoid()

"""Scores and probabilities."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def are_probabilities(rows: Float[Tensor, "n k"]) -> bool:
    """Return whether each row is non-negative and sums to 1, like the output of a softmax."""
    return rows.shape[1] > 1 and bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-4).all())

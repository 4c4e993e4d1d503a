"""Whether rows of scores are probabilities already."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def are_probabilities(rows: Float[Tensor, "n k"]) -> bool:
    """Return whether every row is nowhere below zero and sums to one, as a softmax makes it."""
    return rows.shape[1] > 1 and bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-4).all())

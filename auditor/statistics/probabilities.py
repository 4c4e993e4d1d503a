"""Scores and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor


def are_probabilities(rows: Float[Tensor, "n k"]) -> bool:
    """Return whether each row is non-negative and sums to 1, like the output of a softmax."""
    return rows.shape[1] > 1 and bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-4).all())


def softmax(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return the softmax of scores `[n, k]`, in float64."""
    shifted = np.exp(scores.astype(np.float64) - scores.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))

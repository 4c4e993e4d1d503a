"""The softmax and the sigmoid of scores that are NumPy arrays; loads no torch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def softmax(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return the probabilities of scores `[n, k]`, in the same shape and in float64."""
    shifted = np.exp(scores.astype(np.float64) - scores.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))


def sigmoid(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Return the probability of each score by itself, in the same shape and in float64."""
    return np.asarray(np.exp(-np.logaddexp(0, -scores.astype(np.float64))))

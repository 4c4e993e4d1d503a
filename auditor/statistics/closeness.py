"""Whether two tensors of scores are equal up to rounding."""

from __future__ import annotations

import torch
from torch import Tensor

_CLOSE = {torch.float64: 1e-9, torch.float32: 1e-4}


def alike(some: Tensor, others: Tensor) -> bool:
    """Return whether scores differ by no more than rounding. Non-finite values must be equal."""
    if some.shape != others.shape or some.dtype != others.dtype:
        return False
    finite = others.isfinite()
    rough = some.is_cuda and torch.backends.cudnn.allow_tf32
    close = 1e-2 if rough else _CLOSE.get(some.dtype, 1e-2)
    largest = others[finite].abs().amax().clamp(min=1).item() if finite.any() else 1.0
    return torch.allclose(some, others, rtol=0, atol=close * largest, equal_nan=True)

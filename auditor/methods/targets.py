"""Which of a network's scores is asked about."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Int64
from torch import Tensor

Target = int | Sequence[int] | Tensor


def classes_of(target: Target, *, images: int, classes: int, device: torch.device) -> Int64[Tensor, " n"]:
    """Return one class index an image.

    Raises:
        ValueError: The target is neither one class nor one an image.
        IndexError: A class does not exist.
    """
    asked = torch.as_tensor(target, device=device)
    if asked.dtype.is_floating_point or asked.dtype == torch.bool:
        raise ValueError(f"target is {asked.dtype}, but has to be whole numbers: classes")
    if asked.ndim > 1 or (asked.ndim == 1 and len(asked) != images):
        shape = tuple(asked.shape)
        raise ValueError(f"target has the shape {shape}, but has to be one class, or one for each of {images} images")
    if len(outside := asked[(asked < 0) | (asked >= classes)].flatten()):
        raise IndexError(f"there is no class {int(outside[0])}: the network has {classes}, numbered from 0")
    return asked.long().expand(images)

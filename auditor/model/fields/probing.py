"""Measure receptive fields: set one line of the image to NaN and find where NaN arrives.

This is exact for operators that propagate NaN, as sums, products and maxima do. A comparison, an index or
`nan_to_num` does not propagate it; a field behind one may be larger than measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

_BATCH = 16


@dataclass(frozen=True, slots=True)
class Contact:
    """The lines of the image that reach each line of a map.

    Attributes:
        rows: `[image rows, map rows]`.
        cols: `[image columns, map columns]`.
    """

    rows: Bool[np.ndarray, "image map"]
    cols: Bool[np.ndarray, "image map"]


def probe(module: nn.Module, image: Float[Tensor, "1 c h w"], names: Sequence[str]) -> dict[str, Contact]:
    """Run the network with NaN in each row and each column of an image, and return where NaN arrives.

    This takes one image for each row and each column, in batches, on the image's device. Modules that give no
    maps are left out; if a module runs several times, the last run counts.
    """
    rows = _arrivals(module, image, names, 2)
    cols = _arrivals(module, image, names, 3)
    return {name: Contact(rows[name], cols[name]) for name in names if name in rows and name in cols}


def _arrivals(module: nn.Module, image: Tensor, names: Sequence[str], dim: int) -> dict[str, np.ndarray]:
    seen: dict[str, list[Tensor]] = {}
    for batch in _stained(image, dim):
        with _watching(module, names, len(batch), image.shape, dim) as arrived, torch.no_grad():
            module(batch)
        for name, lines in arrived.items():
            seen.setdefault(name, []).append(lines)
    return {name: torch.cat(lines).cpu().numpy() for name, lines in seen.items()}


def _stained(image: Tensor, dim: int) -> Iterator[Tensor]:
    """Yield the image with NaN in one line, for each line, in batches."""
    for lines in torch.arange(image.shape[dim]).split(_BATCH):
        batch = image.repeat(len(lines), 1, 1, 1)
        for stained, line in zip(batch, lines, strict=True):
            stained.select(dim - 1, int(line)).fill_(torch.nan)
        yield batch


@contextmanager
def _watching(
    module: nn.Module, names: Sequence[str], count: int, image: torch.Size, dim: int
) -> Iterator[dict[str, Tensor]]:
    arrived: dict[str, Tensor] = {}

    def observing(name: str) -> Callable[..., None]:
        def observe(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4 and len(output) == count:
                axis = map_axes(output.shape, image)[dim - 2]
                others = [d for d in (1, 2, 3) if d != axis]
                arrived[name] = output.isnan().any(others[1]).any(others[0])

        return observe

    handles = [module.get_submodule(name).register_forward_hook(observing(name)) for name in names]
    # NNPACK computes 3x3 convolutions in tiles, in which NaN spreads.
    try:
        with torch.backends.nnpack.flags(enabled=False):
            yield arrived
    finally:
        for handle in handles:
            handle.remove()


def map_axes(output: Sequence[int], image: Sequence[int]) -> tuple[int, int]:
    """Return the dimensions of a 4D output that are rows and columns, found from the shape of the image."""
    skew = {axes: abs(output[axes[0]] * image[3] - output[axes[1]] * image[2]) for axes in ((2, 3), (1, 2))}
    last = skew[1, 2] < skew[2, 3] and output[1] < output[3]
    return (1, 2) if last else (2, 3)

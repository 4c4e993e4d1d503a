"""A layer's output as maps `[n, c, h, w]`, however the network arranges it.

Convolutions give channels first. Swin gives channels last, `[n, h, w, c]`. Vision transformers give a row of
tokens, `[n, t, c]`, in which those that stand for no patch (class, distillation, registers) come first.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

_MOST_PREFIX_TOKENS = 8
_CLOSE = 0.2  # how far the height and the width of a patch may differ, as a logarithm


def as_maps(
    output: Tensor, *, images: int, size: tuple[int, int], first: bool | None = None
) -> Float[Tensor, "n c h w"]:
    """Return a view of a layer's output; one value a channel is a map of one pixel.

    Args:
        images: How many images it was computed from.
        size: Height and width of these images, which tell rows and columns from channels.
        first: Whether channels come first, where that is known otherwise.

    Raises:
        ValueError: It is no stack of maps, and no row of tokens that fills a grid.
    """
    if len(output) == images:
        if output.ndim == 2:
            return output[:, :, None, None]
        if output.ndim == 4:
            if first is None:
                first = _stretch(output.shape[2:], size) <= _stretch(output.shape[1:3], size)
            return output if first else output.permute(0, 3, 1, 2)
        if output.ndim == 3 and (found := _grid(output.shape[1], size)):
            prefix, rows, cols = found
            grid: Tensor = output[:, prefix:].unflatten(1, (rows, cols))
            return grid.permute(0, 3, 1, 2)
    raise ValueError(
        f"the layer gives {list(output.shape)} for {images} images, but has to give maps [n, c, h, w] or [n, h, w, c], "
        "or tokens [n, t, c] that fill a grid"
    )


def has_square_cells(maps: Float[Tensor, "n c h w"], size: tuple[int, int]) -> bool:
    """Return whether each place of the maps stands for a square of the image, as far as whole numbers allow."""
    rows, cols = maps.shape[2:]
    return _stretch((rows, cols), size) <= max(_CLOSE, 1 / min(rows, cols))


def _grid(tokens: int, size: tuple[int, int]) -> tuple[int, int, int] | None:
    """Return how many tokens come before the grid, and its rows and columns."""
    height, width = size
    for tolerance in (1e-9, _CLOSE):
        for prefix in range(min(_MOST_PREFIX_TOKENS, tokens - 1) + 1):
            rows = round(math.sqrt((tokens - prefix) * height / width))
            if rows and not (tokens - prefix) % rows:
                cols = (tokens - prefix) // rows
                if _stretch((rows, cols), size) <= tolerance:
                    return prefix, rows, cols
    return None


def _stretch(grid: tuple[int, ...], size: tuple[int, int]) -> float:
    """Return how unequal the height and the width of a cell are: 0 for a square."""
    rows, cols = grid
    if not rows * cols:
        return math.inf
    return abs(math.log((size[0] / rows) / (size[1] / cols)))

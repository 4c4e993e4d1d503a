"""A layer's output as maps `[n, c, h, w]`, in whatever order the network arranges it.

Convolutions have channels first. Swin has channels last, `[n, h, w, c]`. Vision transformers have a sequence of
tokens, `[n, t, c]`; tokens that belong to no patch (class, distillation, registers) come first.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

_MOST_PREFIX_TOKENS = 8
_CLOSE = 0.2  # largest absolute log of a patch's height over its width


def as_maps(
    output: Tensor, *, images: int, size: tuple[int, int], first: bool | None = None
) -> Float[Tensor, "n c h w"]:
    """Return a layer's output as a view `[n, c, h, w]`. One value per channel becomes a map of one place.

    Args:
        images: The number of images.
        size: Height and width of the images. They distinguish rows and columns from channels.
        first: Whether channels come first; None to infer it from the shape.

    Raises:
        ValueError: The output is neither a stack of maps nor a sequence of tokens that fills a grid.
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
        f"the layer's output is {list(output.shape)} for {images} images, but has to be maps [n, c, h, w] or "
        "[n, h, w, c], or tokens [n, t, c] that fill a grid"
    )


def has_square_cells(maps: Float[Tensor, "n c h w"], size: tuple[int, int]) -> bool:
    """Return whether each place of the maps covers a square of the image, as far as integers allow."""
    rows, cols = maps.shape[2:]
    return _stretch((rows, cols), size) <= max(_CLOSE, 1 / min(rows, cols))


def _grid(tokens: int, size: tuple[int, int]) -> tuple[int, int, int] | None:
    """Return the number of tokens before the grid, and its rows and columns."""
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
    """Return how far the cells of a grid are from squares: the absolute log of height over width, 0 for a square."""
    rows, cols = grid
    if not rows * cols:
        return math.inf
    return abs(math.log((size[0] / rows) / (size[1] / cols)))

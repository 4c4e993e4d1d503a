"""What becomes of a class while the image is taken away, or comes back, in the order that a map gives.

V. Petsiuk, A. Das, K. Saenko: RISE: Randomized Input Sampling for Explanation of Black-box Models. BMVC 2018.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.occlusion.score_table import probabilities_of
from auditor.statistics.probabilities import are_probabilities


def cells_of(size: tuple[int, int], side: int) -> Int64[Tensor, "h w"]:
    """Return for each pixel the number of its cell, row by row; cells at the far borders may be smaller.

    Raises:
        ValueError: `side` is not positive.
    """
    if side < 1:
        raise ValueError(f"side is {side}, but a cell has at least one pixel")
    rows, cols = (torch.arange(length) // side for length in size)
    return rows[:, None] * (int(cols[-1]) + 1) + cols


def ranked_cells(
    maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "h w"], random: torch.Generator
) -> Int64[Tensor, "n p"]:
    """Return the cells of each map from the largest mean to the smallest; equal ones in random order."""
    members = functional.one_hot(cells.flatten()).to(maps.device, torch.float64)  # [h * w, p]
    means = maps.double().flatten(1) @ (members / members.sum(0))
    shuffled = torch.randperm(means.shape[1], generator=random).to(maps.device)
    return shuffled[means[:, shuffled].argsort(dim=1, descending=True, stable=True)]


def random_orders(images: int, count: int, random: torch.Generator) -> Int64[Tensor, "n p"]:
    """Return an order of `count` cells for each image, none more probable than another."""
    return torch.stack([torch.randperm(count, generator=random) for _ in range(images)])


@torch.no_grad()
def replaced(
    model: Model,
    images: Float[Tensor, "n c h w"],
    others: Float[Tensor, "n c h w"],
    target: Int64[Tensor, " n"],
    orders: Int64[Tensor, "m n p"],
    cells: Int64[Tensor, "h w"],
    *,
    steps: int,
    batch_size: int = 8,
) -> Float[Tensor, "m n points"]:
    """Return the probability of each image's class while its cells are replaced by another image's, in `m` orders.

    There are `steps + 1` points: no cell, then every further step as nearly the same number of cells, all cells. So
    deletion replaces an image by one without content, insertion an image without content by the image.

    Raises:
        ValueError: `steps` is not from 1 to the number of cells.
    """
    count = orders.shape[2]
    if not 1 <= steps <= count:
        raise ValueError(f"steps is {steps}, but has to be from 1 to the {count} cells")
    counts = torch.linspace(0, count, steps + 1).round().long()[1:-1, None]
    found = torch.empty(*orders.shape[:2], steps + 1, dtype=torch.float64)
    for i in range(len(images)):
        when = orders[:, i].argsort(1).cpu()  # at which place each cell is replaced
        masks = (when[:, None] < counts)[:, :, cells.cpu()].flatten(0, 1).to(images.device)  # [m * points, h, w]
        mixed = (torch.where(some[:, None], others[i], images[i]) for some in masks.split(batch_size))
        found[:, i, 0], found[:, i, -1] = _probabilities(model, torch.stack([images[i], others[i]]), target[i])
        if len(masks):
            inner = torch.cat([_probabilities(model, some, target[i]) for some in mixed])
            found[:, i, 1:-1] = inner.unflatten(0, (len(orders), -1))
    return found


@torch.no_grad()
def losses(
    model: Model,
    images: Float[Tensor, "n c h w"],
    others: Float[Tensor, "n c h w"],
    target: Int64[Tensor, " n"],
    cells: Int64[Tensor, "h w"],
    *,
    batch_size: int = 8,
) -> Float[Tensor, "n h w"]:
    """Return what the probability of each image's class loses when a cell is replaced by another image's, by pixel.

    That is occlusion by windows that lie side by side. It needs no graph of the network, and so no preparation.
    """
    masks = cells == torch.arange(int(cells.max()) + 1)[:, None, None]
    places, found = cells.to(images.device), []
    for image, other, wanted in zip(images, others, target, strict=True):
        covered = (torch.where(some[:, None].to(images.device), other, image) for some in masks.split(batch_size))
        left = torch.cat([_probabilities(model, some, wanted) for some in covered])
        found.append((_probabilities(model, image[None], wanted) - left).to(images)[places])
    return torch.stack(found)


def area_under(curves: Float[Tensor, "*m points"]) -> Float[Tensor, "*m"]:
    """Return the area under curves over a share that goes from 0 to 1, by the trapezoidal rule."""
    return torch.trapezoid(curves, dx=1 / (curves.shape[-1] - 1), dim=-1)


def _probabilities(model: Model, images: Float[Tensor, "b c h w"], target: Tensor) -> Float[Tensor, " b"]:
    scores = model(images).double()
    shares = scores if are_probabilities(scores) else probabilities_of(scores)
    return shares[:, target].cpu()

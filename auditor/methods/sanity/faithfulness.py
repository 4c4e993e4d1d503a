"""Deletion and insertion: how a class' probability changes while the cells of an image are replaced in a map's order.

V. Petsiuk, A. Das, K. Saenko: RISE: Randomized Input Sampling for Explanation of Black-box Models. BMVC 2018.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.occlusion.score_table import probabilities_of
from auditor.model.output import class_scores
from auditor.statistics.probabilities import are_probabilities


def cells_of(size: tuple[int, int], side: int) -> Int64[Tensor, "h w"]:
    """Return the number of the cell of each pixel, `[h, w]`, row by row. Cells at the far borders can be smaller.

    Args:
        size: Height and width of the image in pixels.
        side: Height and width of a cell in pixels.

    Raises:
        ValueError: `side` is less than 1.

    Examples:
        >>> from auditor import methods
        >>> methods.cells_of((4, 4), 2)
        tensor([[0, 0, 1, 1],
                [0, 0, 1, 1],
                [2, 2, 3, 3],
                [2, 2, 3, 3]])
    """
    if side < 1:
        raise ValueError(f"side is {side}, but has to be at least 1 pixel")
    rows, cols = (torch.arange(length) // side for length in size)
    return rows[:, None] * (int(cols[-1]) + 1) + cols


def ranked_cells(
    maps: Float[Tensor, "n h w"], cells: Int64[Tensor, "h w"], random: torch.Generator
) -> Int64[Tensor, "n p"]:
    """Return the cells of each map by falling mean of their pixels, `[n, p]`. Equal ones are in random order.

    Args:
        maps: Attribution maps, `[n, h, w]`.
        cells: The cell of each pixel, from `cells_of`.
        random: Source of the random order.

    Raises:
        RuntimeError: The maps and the cells differ in size.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> cells = methods.cells_of((4, 4), 2)
        >>> values = torch.tensor([0.1, 0.9, 0.5, 0.3])[cells][None]
        >>> methods.ranked_cells(values, cells, torch.Generator())
        tensor([[1, 2, 3, 0]])
    """
    members = functional.one_hot(cells.flatten()).to(maps.device, torch.float64)  # [h * w, p]
    means = maps.double().flatten(1) @ (members / members.sum(0))
    shuffled = torch.randperm(means.shape[1], generator=random).to(maps.device)
    return shuffled[means[:, shuffled].argsort(dim=1, descending=True, stable=True)]


def random_orders(images: int, count: int, random: torch.Generator) -> Int64[Tensor, "n p"]:
    """Return a random order of `count` cells for each image, `[n, p]`.

    Args:
        images: Number of images, at least 1.
        count: Number of cells.
        random: Source of the random orders.

    Raises:
        RuntimeError: `images` is 0.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> orders = methods.random_orders(3, 16, torch.Generator())
        >>> orders.shape, bool((orders.sort(1).values == torch.arange(16)).all())  # each cell once
        (torch.Size([3, 16]), True)
    """
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
    score: Literal["probability", "sigmoid"] = "probability",
) -> Float[Tensor, "m n points"]:
    """Return the probability of each image's class while its cells are replaced by another image's, in `m` orders.

    There are `steps + 1` points: no cell, then nearly equal numbers of further cells, all cells. Deletion replaces the
    cells of an image by those of an image without content. Insertion replaces the cells of an image without content by
    those of the image.

    Args:
        images: The images whose cells are replaced.
        others: The images that replace them.
        target: The class of each image, `[n]`.
        orders: The cells of each image in the order of replacement, `[m, n, p]`.
        cells: The cell of each pixel, from `cells_of`.
        steps: Number of replacements.
        batch_size: Images per forward pass.
        score: How a probability follows from the scores: "probability" by their softmax, "sigmoid" from each by itself.

    Returns:
        Probabilities, 0 to 1, `[m, n, steps + 1]`.

    Raises:
        ValueError: `steps` is not from 1 to the number of cells.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval()
        >>> images, grey = torch.rand(2, 3, 8, 8), torch.full((2, 3, 8, 8), 0.5)
        >>> cells = methods.cells_of((8, 8), 4)
        >>> orders = methods.random_orders(2, 4, torch.Generator())[None]
        >>> curves = methods.replaced(model, images, grey, torch.tensor([5, 3]), orders, cells, steps=4)
        >>> curves.shape  # one order, two images, five points
        torch.Size([1, 2, 5])
    """
    count = orders.shape[2]
    if not 1 <= steps <= count:
        raise ValueError(f"steps is {steps}, but has to be from 1 to the {count} cells")
    counts = torch.linspace(0, count, steps + 1).round().long()[1:-1, None]
    found = torch.empty(*orders.shape[:2], steps + 1, dtype=torch.float64)
    for i in range(len(images)):
        when = orders[:, i].argsort(1).cpu()  # each cell's place in the order
        masks = (when[:, None] < counts)[:, :, cells.cpu()].flatten(0, 1).to(images.device)  # [m * points, h, w]
        mixed = (torch.where(some[:, None], others[i], images[i]) for some in masks.split(batch_size))
        found[:, i, 0], found[:, i, -1] = _probabilities(model, torch.stack([images[i], others[i]]), target[i], score)
        if len(masks):
            inner = torch.cat([_probabilities(model, some, target[i], score) for some in mixed])
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
    score: Literal["probability", "sigmoid"] = "probability",
) -> Float[Tensor, "n h w"]:
    """Return how far the probability of each image's class falls if the pixel's cell is replaced by another image's.

    This is occlusion by adjacent windows. It needs no graph of the network, and so no preparation.

    Args:
        images: The images whose cells are replaced.
        others: The images that replace them.
        target: The class of each image, `[n]`.
        cells: The cell of each pixel, from `cells_of`.
        batch_size: Images per forward pass.
        score: How a probability follows from the scores: "probability" by their softmax, "sigmoid" from each by itself.

    Returns:
        `[n, h, w]`, -1 to 1; negative where the replacement raises the probability.

    Raises:
        ValueError: The numbers of images, others and targets differ.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval()
        >>> images = torch.rand(2, 3, 8, 8)
        >>> cells = methods.cells_of((8, 8), 4)
        >>> found = methods.losses(model, images, 0 * images, torch.tensor([5, 3]), cells)
        >>> found.shape, found.unique().numel() <= 8  # one value for each of four cells and two images
        (torch.Size([2, 8, 8]), True)
    """
    masks = cells == torch.arange(int(cells.max()) + 1)[:, None, None]
    places, found = cells.to(images.device), []
    for image, other, wanted in zip(images, others, target, strict=True):
        covered = (torch.where(some[:, None].to(images.device), other, image) for some in masks.split(batch_size))
        left = torch.cat([_probabilities(model, some, wanted, score) for some in covered])
        found.append((_probabilities(model, image[None], wanted, score) - left).to(images)[places])
    return torch.stack(found)


def area_under(curves: Float[Tensor, "*m points"]) -> Float[Tensor, "*m"]:
    """Return the area under curves over a share from 0 to 1, by the trapezoidal rule, in units of the curve.

    Args:
        curves: `[..., points]`, at least two points.

    Raises:
        ZeroDivisionError: There is only one point.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> methods.area_under(torch.tensor([1.0, 0.5, 0.0]))
        tensor(0.5000)
    """
    return torch.trapezoid(curves, dx=1 / (curves.shape[-1] - 1), dim=-1)


def _probabilities(
    model: Model, images: Float[Tensor, "b c h w"], target: Tensor, score: Literal["probability", "sigmoid"]
) -> Float[Tensor, " b"]:
    scores = class_scores(model, images).double()
    if score == "sigmoid":
        return scores[:, target].sigmoid().cpu()
    shares = scores if are_probabilities(scores) else probabilities_of(scores)
    return shares[:, target].cpu()

"""Constancy: how far the content of a place is the same in all images of a class.

At each value of each pixel, let `d` be the distance of the class' mean from the mean of the other images, and `v` the
variance within the class. The share `d^2 / (d^2 + v)` of the difference is the same in all images of the class. It is 1
for a mark that is printed over the image, and a half or less if the contents are only similar. The constancy of a place
is the mean of these shares, each weighted by `d^2`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor
from torch.nn import functional

from auditor.methods.occlusion.windows import Windows

Images = Float[Tensor, "n c h w"]
Map = Float[Tensor, "h w"]

_FINEST = 24  # largest number of rows or columns to align; larger windows are downsampled
_ROUNDS = 3
_NOTHING = 1e-12


class Shared(NamedTuple):
    """By pixel, summed over the colours: `d^2`, and the part of it that is the same in all images."""

    apart: Map
    same: Map

    def at(self, place: Bool[Tensor, "h w"]) -> float:
        """Return the constancy of a place, 0 to 1; 0 if its `d^2` is 0."""
        apart, same = self.apart[place].sum(), self.same[place].sum()
        return float(same / apart) if apart > _NOTHING else 0.0

    def by_window(self, windows: Windows) -> Float[Tensor, "rows cols"]:
        """Return the constancy of each window, 0 to 1."""
        apart, same = windows.mean(torch.stack([self.apart, self.same]))
        return torch.where(apart > _NOTHING, same / apart.clamp(min=_NOTHING), 0.0)


def shared(images: Images, others: Float[Tensor, "m c h w"]) -> Shared:
    """Return what the images of a class have in common that other images do not have.

    The estimate of `d^2` is corrected for the square that chance adds to a difference of means.

    Raises:
        ValueError: There are fewer than two images of the class, or fewer than two others.
    """
    if len(images) < 2 or len(others) < 2:
        raise ValueError(f"{len(images)} images and {len(others)} others are too few: at least two of each are needed")
    varies = images.var(0)
    by_chance = varies / len(images) + others.var(0) / len(others)
    return _shared((images.mean(0) - others.mean(0)).square() - by_chance, varies)


def in_windows(images: Images, others: Images, windows: Windows, numbers: Int64[Tensor, " n"]) -> float:
    """Return the constancy, 0 to 1, of one window of each image, aligned only if the windows differ.

    The windows count as one place if most pairs of them overlap. A mark at one place is constant without alignment, and
    alignment would make parts of objects similar.

    Args:
        others: As many other images; the same windows are cut from them for comparison.
        numbers: The window of each image, counted row by row.

    Raises:
        ValueError: There are fewer than two images.
    """
    near = _overlap(windows, numbers)
    if near.double().mean() <= 0.5:
        return aligned(images, others, windows, numbers)
    middle = numbers[near.sum(1).argmax()]
    return shared(images, others).at(windows.inside(middle[None])[0])


def _overlap(windows: Windows, numbers: Int64[Tensor, " n"]) -> Bool[Tensor, "n n"]:
    """Return which windows overlap."""
    rows = torch.tensor(windows.rows)[numbers // len(windows.cols)]
    cols = torch.tensor(windows.cols)[numbers % len(windows.cols)]
    down, right = (rows[:, None] - rows).abs(), (cols[:, None] - cols).abs()
    return (down < windows.window[0]) & (right < windows.window[1])


def aligned(images: Images, others: Images, windows: Windows, numbers: Int64[Tensor, " n"]) -> float:
    """Return the constancy, 0 to 1, of one window of each image, after moving each window for the best fit.

    A window may move by up to one stride.

    Args:
        others: As many other images; the same windows are cut from them for comparison.
        numbers: The window of each image, counted row by row.

    Raises:
        ValueError: There are fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"{len(images)} images are too few: at least two are needed")
    wide = _cut(images, windows, numbers)
    inside = _cut(others, windows, numbers)
    usual = inside.mean((0, 2, 3))[:, None, None]
    moved = _moved(wide - usual, _smaller(windows.window, wide.shape, windows))
    varies = moved.var(0)
    by_chance = varies / len(moved) + inside.var((0, 2, 3))[:, None, None] / len(moved)
    found = _shared(moved.mean(0).square() - by_chance, varies)
    return found.at(torch.ones_like(found.apart, dtype=torch.bool))


def _shared(squares: Float[Tensor, "c h w"], varies: Float[Tensor, "c h w"]) -> Shared:
    apart = squares.clamp(min=0)
    same = apart * apart / (apart + varies).clamp(min=_NOTHING)
    return Shared(apart.sum(0), same.sum(0))


def _cut(images: Images, windows: Windows, numbers: Int64[Tensor, " n"]) -> Float[Tensor, "n c rows cols"]:
    """Return the windows with a margin of one stride, moved into the image; large ones are downsampled."""
    (height, width), (down, right) = windows.image, windows.window
    rows, cols = min(height, down + 2 * windows.stride[0]), min(width, right + 2 * windows.stride[1])
    parts = []
    for image, number in zip(images, numbers.tolist(), strict=True):
        top = windows.rows[number // len(windows.cols)] - windows.stride[0]
        left = windows.cols[number % len(windows.cols)] - windows.stride[1]
        top, left = min(max(top, 0), height - rows), min(max(left, 0), width - cols)
        parts.append(image[:, top : top + rows, left : left + cols])
    whole = torch.stack(parts)
    share = min(1.0, _FINEST / max(windows.window))
    size = [max(1, round(rows * share)), max(1, round(cols * share))]
    return whole if share == 1 else functional.interpolate(whole, size, mode="area")


def _smaller(window: tuple[int, int], wide: torch.Size, windows: Windows) -> tuple[int, int]:
    """Return the window's size at the scale of the cut windows."""
    share = min(1.0, _FINEST / max(windows.window))
    return max(1, min(wide[2], round(window[0] * share))), max(1, min(wide[3], round(window[1] * share)))


def _moved(wide: Float[Tensor, "n c rows cols"], size: tuple[int, int]) -> Float[Tensor, "n c h w"]:
    """Return a part of each, aligned for the largest similarity: first with one of them, then with their mean."""
    top, left = (wide.shape[2] - size[0]) // 2, (wide.shape[3] - size[1]) // 2
    parts = wide[:, :, top : top + size[0], left : left + size[1]]
    likest = _likeness(wide, parts).flatten(2).amax(2).mean(0).argmax()  # [n, templates, y, x]
    template = parts[likest]
    for _round in range(_ROUNDS):
        places = _likeness(wide, template[None])[:, 0]
        parts = _at(wide, places, size)
        template = parts.mean(0)
    return parts


def _likeness(wide: Float[Tensor, "n c rows cols"], templates: Float[Tensor, "m c h w"]) -> Float[Tensor, "n m y x"]:
    """Return the cosine of each part with each template."""
    products: Tensor = functional.conv2d(wide, templates)
    lengths: Tensor = functional.conv2d(wide.square(), torch.ones_like(templates[:1])).clamp(min=_NOTHING).sqrt()
    likeness: Tensor = products / lengths / templates.flatten(1).norm(dim=1).clamp(min=_NOTHING)[:, None, None]
    return likeness


def _at(wide: Float[Tensor, "n c rows cols"], likeness: Float[Tensor, "n y x"], size: tuple[int, int]) -> Tensor:
    best = likeness.flatten(1).argmax(1).tolist()
    cols = likeness.shape[2]
    return torch.stack(
        [
            one[:, b // cols : b // cols + size[0], b % cols : b % cols + size[1]]
            for one, b in zip(wide, best, strict=True)
        ]
    )

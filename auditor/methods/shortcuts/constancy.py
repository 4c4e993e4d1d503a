"""How far what lies at a place is the same in all images of a class.

At each value of each pixel the images of the class are apart from the mean of the others by `d`, and vary around
their own mean with the variance `v`. The share `d^2 / (d^2 + v)` of what sets the place apart is the same in all of
them: 1 for a mark that is printed over the image, a half or less where contents only have something in common. A
place's constancy is the mean of these shares, each weighted by `d^2`.
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

_FINEST = 24  # rows or columns of what is aligned; larger windows are made smaller first
_ROUNDS = 3
_NOTHING = 1e-12


class Shared(NamedTuple):
    """By pixel, summed over the colours: `d^2`, and of it what is the same in all images."""

    apart: Map
    same: Map

    def at(self, place: Bool[Tensor, "h w"]) -> float:
        """Return the constancy of a place, 0 to 1; 0 where nothing sets it apart."""
        apart, same = self.apart[place].sum(), self.same[place].sum()
        return float(same / apart) if apart > _NOTHING else 0.0

    def by_window(self, windows: Windows) -> Float[Tensor, "rows cols"]:
        """Return the constancy of each window."""
        apart, same = windows.mean(torch.stack([self.apart, self.same]))
        return torch.where(apart > _NOTHING, same / apart.clamp(min=_NOTHING), 0.0)


def shared(images: Images, others: Float[Tensor, "m c h w"]) -> Shared:
    """Return what the images of a class have in common that others have not.

    `d^2` is estimated without what chance adds to the square of a difference of means.

    Raises:
        ValueError: There are fewer than two images, or two others.
    """
    if len(images) < 2 or len(others) < 2:
        raise ValueError(f"{len(images)} images and {len(others)} others are too few to vary")
    varies = images.var(0)
    by_chance = varies / len(images) + others.var(0) / len(others)
    return _shared((images.mean(0) - others.mean(0)).square() - by_chance, varies)


def in_windows(images: Images, others: Images, windows: Windows, numbers: Int64[Tensor, " n"]) -> float:
    """Return the constancy of what lies in one window of each image: moved to fit only if these are no one place.

    They are one place if most of them overlap each other. There a mark is the same without being moved, and parts of
    objects would become alike by it.

    Args:
        others: As many images, of which the same windows are cut to compare with.
        numbers: Of the windows, counted row by row.

    Raises:
        ValueError: There are fewer than two images.
    """
    near = _overlap(windows, numbers)
    if near.double().mean() <= 0.5:
        return aligned(images, others, windows, numbers)
    middle = numbers[near.sum(1).argmax()]
    return shared(images, others).at(windows.inside(middle[None])[0])


def _overlap(windows: Windows, numbers: Int64[Tensor, " n"]) -> Bool[Tensor, "n n"]:
    """Return which of some windows have pixels in common."""
    rows = torch.tensor(windows.rows)[numbers // len(windows.cols)]
    cols = torch.tensor(windows.cols)[numbers % len(windows.cols)]
    down, right = (rows[:, None] - rows).abs(), (cols[:, None] - cols).abs()
    return (down < windows.window[0]) & (right < windows.window[1])


def aligned(images: Images, others: Images, windows: Windows, numbers: Int64[Tensor, " n"]) -> float:
    """Return the constancy of what lies in one window of each image, once it is moved so that it fits best.

    What a window shows may be off by as much as the step from one window to the next.

    Args:
        others: As many images, of which the same windows are cut to compare with.
        numbers: Of the windows, counted row by row.

    Raises:
        ValueError: There are fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"{len(images)} images are too few to vary")
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
    """Return the windows with a step's margin around them, moved into the image, and made smaller if large."""
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
    """Return the window's size at the scale of what was cut."""
    share = min(1.0, _FINEST / max(windows.window))
    return max(1, min(wide[2], round(window[0] * share))), max(1, min(wide[3], round(window[1] * share)))


def _moved(wide: Float[Tensor, "n c rows cols"], size: tuple[int, int]) -> Float[Tensor, "n c h w"]:
    """Return a part of each, so that they are as alike as can be: first like one of them, then like their mean."""
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

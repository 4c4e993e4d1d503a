"""Whether the background alone gives the prediction of a class, also around another object.

An image without its object is made of the image itself. Each quarter is filled with the window on the border that has
the least evidence for the predicted class. The window is mirrored to fill the quarter, so the texture of the background
remains and the object does not.

Images without objects: Z. Zhu, L. Xie, A. Yuille: Object Recognition with and without Objects. IJCAI 2017. Their
backgrounds tiled from the image, objects on those of other classes: K. Xiao et al.: Noise or Signal. ICLR 2021.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.occlusion.windows import Windows
from auditor.methods.shortcuts.exchange import answered, more, most, pasted

Images = Float[Tensor, "n c h w"]
Answers = Bool[NDArray[np.bool_], " n"]
Corners = Int64[Tensor, "n 4"]


@dataclass(frozen=True, eq=False)
class Background:
    """The effect of a class' backgrounds, for pairs of images: one of the class and one of another class.

    Attributes:
        alone: Whether the background of the image of the class, without an object, is predicted as the class.
        alone_control: Whether the background of the other image is.
        around: Whether the other image's object on the background of the class is predicted as the class.
        around_control: Whether the same object on the background of an image of a third class is.
        alone_raised, around_raised: Whether the log-odds of the class are higher than those of the control.
    """

    alone: Answers
    alone_control: Answers
    around: Answers
    around_control: Answers
    alone_raised: Answers
    around_raised: Answers

    @property
    def n(self) -> int:
        return len(self.alone)

    @property
    def chance(self) -> float:
        """The largest p-value of four sign tests.

        Alone and around objects, the background of the class must give the class in more pairs than the control does,
        and its log-odds must be higher in most pairs. All four have to hold, so the largest p-value counts.
        """
        flips = more(self.alone, self.alone_control), more(self.around, self.around_control)
        return max(*flips, most(self.alone_raised), most(self.around_raised))

    @property
    def mostly(self) -> bool:
        """Whether the class is predicted in more than half of the pairs, both alone and around objects."""
        return bool(self.alone.mean() > 0.5 and self.around.mean() > 0.5) if self.n else False


def background(
    model: Model,
    own: Images,
    other: Images,
    third: Images,
    objects: Float[Tensor, "n c h w"],
    regions: Bool[Tensor, "n h w"],
    target: int,
    *,
    batch: int = 8,
) -> Background:
    """Predict backgrounds without an object, and around the objects of other classes.

    Args:
        own: The backgrounds of images of the class `target`.
        other, third: The backgrounds of images of two other classes for each pair.
        objects: The images whose backgrounds are `other`; none is predicted as the class.
        regions: The pixels of the objects.
        batch: Images per forward pass.

    Raises:
        ValueError: The class does not exist, or the network has only one.
    """
    alone, reached = answered(model, own, target, batch=batch)
    alone_control, usual = answered(model, other, target, batch=batch)
    around, reached_around = answered(model, pasted(own, objects, regions), target, batch=batch)
    around_control, usual_around = answered(model, pasted(third, objects, regions), target, batch=batch)
    raised, raised_around = reached > usual, reached_around > usual_around
    return Background(alone, alone_control, around, around_control, raised, raised_around)


def least(shares: Float[Tensor, "n rows cols"], windows: Windows) -> Corners:
    """Return the window on the border with the least evidence in each quarter, by its number.

    The quarters are upper left, upper right, lower left and lower right. A window belongs to the quarter of its centre.
    Of equal windows the first is taken.
    """
    lower, further = (_beyond_half(windows, axis) for axis in (0, 1))
    border = torch.ones(windows.grid, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    quarters = [border & row[:, None] & col for row in (~lower, lower) for col in (~further, further)]
    return torch.stack([torch.where(one, shares, torch.inf).flatten(1).argmin(1) for one in quarters], 1)


def _beyond_half(windows: Windows, axis: int) -> Bool[Tensor, " m"]:
    first = torch.tensor((windows.rows, windows.cols)[axis])
    return 2 * first + windows.window[axis] > windows.image[axis]


def mirrored(images: Images, windows: Windows, corners: Corners) -> Images:
    """Return each image with its quarters filled by mirroring one window each."""
    count, colours, height, width = images.shape
    rows, cols = torch.arange(height), torch.arange(width)
    quarter = 2 * (2 * rows >= height).long()[:, None] + (2 * cols >= width).long()  # [h, w]
    top = torch.tensor(windows.rows)[corners // len(windows.cols)][:, quarter]  # [n, h, w]
    left = torch.tensor(windows.cols)[corners % len(windows.cols)][:, quarter]
    places = _reflected(rows[:, None], top, windows.window[0]) * width + _reflected(cols, left, windows.window[1])
    found = images.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, colours, -1))
    return found.reshape(count, colours, height, width)


def _reflected(places: Tensor, first: Tensor, length: int) -> Tensor:
    """Return for each place the one within `length` from `first` that it mirrors."""
    step = (places - first) % (2 * length)
    return first + torch.where(step < length, step, 2 * length - 1 - step)

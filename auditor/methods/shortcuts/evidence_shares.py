"""At which places of an image the evidence for its class lies, told coarsely by occlusion and by gradient.

Both ask how far the log-odds of the class fall when a window is filled: occlusion fills it (Zeiler, Fergus 2014), the
gradient estimates it to first order, as `g * (image - fill)` summed over the window (Simonyan et al. 2014). What falls,
as a share of all that falls, is the evidence; what rises when it is covered speaks against the class and counts 0.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.attribution.gradients import gradient
from auditor.methods.occlusion.occluder import Occluder
from auditor.methods.occlusion.windows import Windows
from auditor.methods.shortcuts.exchange import pasted, scores_of
from auditor.methods.shortcuts.log_odds import LogOdds, log_odds

Images = Float[Tensor, "n c h w"]
Classes = Int64[Tensor, " n"]
Shares = Float[Tensor, "n rows cols"]


def occluded_shares(occluder: Occluder, images: Images, fill: Images, classes: Classes) -> Shares:
    """Return the share of each window in the evidence; NaN for an image in which no window holds any."""
    found = [_drops(occluder, *one) for one in zip(images.split(1), fill.split(1), classes.split(1), strict=True)]
    return shares_of(torch.stack(found).unflatten(1, occluder.windows.grid))


def gradient_shares(model: Model, images: Images, fill: Images, classes: Classes, windows: Windows) -> Shares:
    """Return the same by gradient; NaN for an image without any."""
    return shares_of(windows.mean(estimated(model, images, fill, classes)))


def estimated(model: Model, images: Images, fill: Images, classes: Classes) -> Float[Tensor, "n h w"]:
    """Return how far the log-odds fall when a pixel is filled, to first order."""
    slopes = gradient(LogOdds(model, classes), images, 0)
    return (slopes * (images - fill).to(slopes)).sum(1)


def strongest(
    model: Model, images: Images, fill: Images, classes: Classes, shares: Shares, windows: Windows, *, tried: int = 3
) -> Int64[Tensor, " n"]:
    """Return the window of each image that costs the most when it is filled, of those with the largest shares."""
    count = min(tried, len(windows))
    ranked = shares.flatten(1).nan_to_num(0).topk(count, dim=1).indices.cpu()  # [n, tried]
    left = [
        log_odds(scores_of(model, pasted(images, fill, windows.inside(numbers)), batch=len(images)).cpu(), classes)
        for numbers in ranked.unbind(1)
    ]
    worst = torch.stack(left, 1).argmin(1)
    return ranked.gather(1, worst[:, None])[:, 0]


def share_inside(
    model: Model, images: Images, fill: Images, classes: Classes, place: Bool[Tensor, "h w"], *, batch: int
) -> Float[Tensor, " n"]:
    """Return the share of a place in what covering it and covering all the rest takes away; NaN for nothing."""
    clean = log_odds(scores_of(model, images, batch=batch).cpu(), classes)
    drops = [
        clean
        - log_odds(scores_of(model, pasted(images, fill, one.expand(len(images), -1, -1)), batch=batch).cpu(), classes)
        for one in (place, ~place)
    ]
    inside, rest = (drop.clamp(min=0) for drop in drops)
    return inside / (inside + rest)


def ring(image: tuple[int, int], share: float) -> Bool[Tensor, "h w"]:
    """Return the outermost pixels of an image: on each side so much of its height or width, one at least."""
    height, width = image
    rows, cols = max(1, round(height * share)), max(1, round(width * share))
    place = torch.ones(height, width, dtype=torch.bool)
    place[rows : height - rows, cols : width - cols] = False
    return place


def shares_of(drops: Float[Tensor, "n rows cols"]) -> Shares:
    """Return what is above zero as shares of its sum; NaN where nothing is, or not all are numbers."""
    positive = drops.clamp(min=0)
    total = positive.sum((1, 2), keepdim=True)
    sound = (total > 0) & drops.isfinite().all(2).all(1)[:, None, None]
    return torch.where(sound, positive / total, torch.nan)


def _drops(occluder: Occluder, image: Tensor, fill: Tensor, target: Tensor) -> Float[Tensor, " windows"]:
    left = torch.empty(len(occluder.windows))
    for some in occluder(image, fill):
        left[some.numbers.cpu()] = log_odds(some.scores.cpu(), target.expand(len(some.scores)))
    return log_odds(occluder.clean(image).scores.cpu(), target) - left

"""The share of each place of an image in the evidence for its class, by occlusion and by gradient.

Both estimate how far the log-odds of the class fall if a window is filled. Occlusion fills the window (Zeiler, Fergus
2014). The gradient gives a first-order estimate, `g * (image - fill)` summed over the window (Simonyan et al. 2014).
The evidence of a window is its fall as a share of all falls. Windows whose filling raises the log-odds count as 0.
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
    """Return the share of each window in the evidence, 0 to 1; NaN for an image without evidence."""
    found = [_drops(occluder, *one) for one in zip(images.split(1), fill.split(1), classes.split(1), strict=True)]
    return shares_of(torch.stack(found).unflatten(1, occluder.windows.grid))


def gradient_shares(model: Model, images: Images, fill: Images, classes: Classes, windows: Windows) -> Shares:
    """Return the same by gradient; NaN for an image without evidence."""
    return shares_of(windows.mean(estimated(model, images, fill, classes)))


def estimated(model: Model, images: Images, fill: Images, classes: Classes) -> Float[Tensor, "n h w"]:
    """Return the first-order estimate of how far the log-odds fall if a pixel is filled, signed."""
    slopes = gradient(LogOdds(model, classes), images, 0)
    return (slopes * (images - fill).to(slopes)).sum(1)


def strongest(
    model: Model, images: Images, fill: Images, classes: Classes, shares: Shares, windows: Windows, *, tried: int = 3
) -> Int64[Tensor, " n"]:
    """Return the window of each image whose filling lowers the log-odds most, among those with the largest shares."""
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
    """Return the share of a place in the fall of the log-odds, against the rest of the image; NaN without a fall."""
    clean = log_odds(scores_of(model, images, batch=batch).cpu(), classes)
    drops = [
        clean
        - log_odds(scores_of(model, pasted(images, fill, one.expand(len(images), -1, -1)), batch=batch).cpu(), classes)
        for one in (place, ~place)
    ]
    inside, rest = (drop.clamp(min=0) for drop in drops)
    return inside / (inside + rest)


def ring(image: tuple[int, int], share: float) -> Bool[Tensor, "h w"]:
    """Return the outermost pixels of an image: this share of its height and width on each side, at least one pixel."""
    height, width = image
    rows, cols = max(1, round(height * share)), max(1, round(width * share))
    place = torch.ones(height, width, dtype=torch.bool)
    place[rows : height - rows, cols : width - cols] = False
    return place


def shares_of(drops: Float[Tensor, "n rows cols"]) -> Shares:
    """Return the positive values as shares of their sum; NaN if there are none, or if a value is not finite."""
    positive = drops.clamp(min=0)
    total = positive.sum((1, 2), keepdim=True)
    sound = (total > 0) & drops.isfinite().all(2).all(1)[:, None, None]
    return torch.where(sound, positive / total, torch.nan)


def _drops(occluder: Occluder, image: Tensor, fill: Tensor, target: Tensor) -> Float[Tensor, " windows"]:
    left = torch.empty(len(occluder.windows))
    for some in occluder(image, fill):
        left[some.numbers.cpu()] = log_odds(some.scores.cpu(), target.expand(len(some.scores)))
    return log_odds(occluder.clean(image).scores.cpu(), target) - left

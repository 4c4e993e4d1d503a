"""What of an image is enough for its answer.

B. Carter, J. Mueller, S. Jain, D. Gifford: What Made You Do This? Understanding Black-Box Decisions with Sufficient
Input Subsets. AISTATS 2019. There, cells are taken away one by one; here, in the order of their evidence, and how many
are enough is found by halving.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.shortcuts.exchange import answers_of, pasted, scores_of
from auditor.methods.shortcuts.log_odds import log_odds

Images = Float[Tensor, "n c h w"]
Classes = Int64[Tensor, " n"]


def sufficient(
    model: Model,
    images: Images,
    fill: Images,
    classes: Classes,
    orders: Int64[Tensor, "n p"],
    cells: Int64[Tensor, "h w"],
    *,
    batch: int = 8,
) -> Bool[Tensor, "n h w"]:
    """Return the first cells of each image that are enough: with one fewer they are not.

    With these alone, and all else filled, the image is still answered with its class, and the log-odds of that are
    still half of what they were. Where nothing less is enough, it is the whole image.

    Args:
        fill: What lies outside the cells, one for each image.
        classes: What the images are answered with.
        orders: The cells of each image, the most important first.
        cells: For each pixel the number of its cell.
        batch: How many images go through the network at once.
    """
    ranks = orders.argsort(1)[:, cells]  # [n, h, w]
    whole = log_odds(scores_of(model, images, batch=batch).cpu(), classes)
    needed = torch.minimum(whole, whole / 2)
    low, high = torch.zeros_like(classes), torch.full_like(classes, orders.shape[1])
    while bool((open_ := high - low > 1).any()):
        middle = (low + high) // 2
        shown = pasted(fill, images, ranks < middle[:, None, None])
        scores = scores_of(model, shown, batch=batch).cpu()
        enough = (answers_of(scores) == classes) & (log_odds(scores, classes) >= needed)
        high, low = torch.where(open_ & enough, middle, high), torch.where(open_ & ~enough, middle, low)
    return ranks < high[:, None, None]

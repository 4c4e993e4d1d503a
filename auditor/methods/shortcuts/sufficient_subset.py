"""A subset of an image that is sufficient for its prediction.

B. Carter, J. Mueller, S. Jain, D. Gifford: What Made You Do This? Understanding Black-Box Decisions with Sufficient
Input Subsets. AISTATS 2019. There, cells are deleted one by one. Here they are kept in the order of their evidence, and
the sufficient number is found by bisection.
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
    """Return the first cells of each image that are sufficient; one fewer is not.

    With these cells alone, and everything else filled, the prediction is unchanged and the log-odds are at least half
    of what they were. If no smaller number is sufficient, it is the whole image.

    Args:
        fill: The content outside the cells, one for each image.
        classes: The predicted class of each image.
        orders: The cells of each image, the most important first.
        cells: The cell of each pixel.
        batch: Images per forward pass.

    Raises:
        ValueError: The network has only one class.
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

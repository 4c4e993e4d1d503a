"""How much more probable one class is than all the others together, on a scale that has no end.

Probabilities of a network that is sure all lie near 1, and no longer tell how much evidence there is; the score of
one class alone does not tell what the others do. The log-odds do neither.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model


def log_odds(scores: Float[Tensor, "n k"], classes: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return `log(p / (1 - p))` of one class for each row of scores before softmax; differentiable.

    Raises:
        ValueError: There is only one class.
    """
    if scores.shape[1] < 2:
        raise ValueError("log-odds need two classes or more")
    own = classes.to(scores.device)[:, None]
    others = scores.scatter(1, own, -torch.inf)
    return scores.gather(1, own)[:, 0] - others.logsumexp(1)


class LogOdds:
    """A model whose single score is the log-odds of a class, another one for each image of the batch.

    Attributes:
        module: The network itself, whose state is looked after while it runs.
    """

    def __init__(self, model: Model, classes: Int64[Tensor, " n"]) -> None:
        self.module = getattr(model, "module", model)
        self._model = model
        self._classes = classes

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1"]:
        return log_odds(self._model(images), self._classes)[:, None]

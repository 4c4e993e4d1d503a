"""Log-odds of a class against all others.

The probabilities of a confident network are all near 1 and do not show how much evidence there is. The logit of one
class does not include the other classes. The log-odds have neither problem.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.model.output import class_scores


def log_odds(scores: Float[Tensor, "n k"], classes: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Return `log(p / (1 - p))` of one class for each row of logits, of either sign; differentiable.

    Raises:
        ValueError: There is only one class.
    """
    if scores.shape[1] < 2:
        raise ValueError("log-odds need at least two classes")
    own = classes.to(scores.device)[:, None]
    others = scores.scatter(1, own, -torch.inf)
    return scores.gather(1, own)[:, 0] - others.logsumexp(1)


class LogOdds:
    """A model whose single score is the log-odds of a class, which can differ between the images of a batch.

    Attributes:
        module: The network itself. Its state is kept while it runs.
    """

    def __init__(self, model: Model, classes: Int64[Tensor, " n"]) -> None:
        self.module = getattr(model, "module", model)
        self._model = model
        self._classes = classes

    def __call__(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1"]:
        return log_odds(class_scores(self._model, images), self._classes)[:, None]

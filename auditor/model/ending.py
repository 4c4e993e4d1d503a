"""The end of a network: scores, or the probabilities that a softmax or a sigmoid makes from them.

The operator is found among those that ran, whether a module, a function, TorchScript or an exported
graph called it. The scores are its input, so that gradients are those of the score and not of the
probability (Simonyan et al. 2014).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn

from auditor.language import marked
from auditor.process.dispatch import Operators
from auditor.statistics.probabilities import are_probabilities

_aten = torch.ops.aten


class Ending(Enum):
    """The operator that gives the last tensor of a network."""

    SCORES = marked("scores")
    SOFTMAX = marked("softmax")
    LOG_SOFTMAX = marked("log-softmax")
    SIGMOID = marked("sigmoid")
    PROBABILITIES = marked("probabilities of unknown origin")


_OPERATORS = {
    _aten._softmax.default: Ending.SOFTMAX,
    _aten.softmax.int: Ending.SOFTMAX,
    _aten._log_softmax.default: Ending.LOG_SOFTMAX,
    _aten.log_softmax.int: Ending.LOG_SOFTMAX,
    _aten.sigmoid.default: Ending.SIGMOID,
}


class _Watch(Operators):
    """Keeps the input and the output of the latest softmax, log-softmax or sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Ending, Tensor, Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func in _OPERATORS:
            self.calls = [(_OPERATORS[func], args[0], output)]
        return output

    def feeding(self, last: Tensor) -> tuple[Ending, Tensor] | None:
        """Return the watched operator whose output is `last`, `[n, k]`, and its input; None if there is none.

        A part of its output, or its output transposed, does not count.
        """
        for kind, fed, made in self.calls:
            if made.data_ptr() != last.data_ptr() or not made.ndim:
                continue
            whole = made.reshape(len(made), -1)  # n k
            if (whole.shape[1], whole.stride()) == (last.shape[1], last.stride()) and len(whole) >= len(last):
                return kind, fed.reshape(len(fed), -1)
        return None


def ending(module: nn.Module, example: Tensor, scores_in: Callable[[Any], Tensor]) -> tuple[Tensor, Ending]:
    """Run the network once; return its output, `[n, k]`, and its kind of ending."""
    with torch.no_grad(), _Watch() as watch:
        last = scores_in(module(example))
    found = watch.feeding(last)
    if found:
        return last, found[0]
    return last, Ending.PROBABILITIES if are_probabilities(last) else Ending.SCORES


def fed_to_ending(
    module: nn.Module, images: Tensor, scores_in: Callable[[Any], Tensor]
) -> tuple[Tensor, Tensor | None, Ending]:
    """Run a network; return its output `[n, k]`, the scores that its softmax or sigmoid takes, and which it is.

    Without such an operator the scores are None, and the ending is `SCORES`.
    """
    with _Watch() as watch:
        last = scores_in(module(images))
    kind, fed = watch.feeding(last) or (Ending.SCORES, None)
    return last, None if fed is None else fed[: len(last)], kind


def applied(kind: Ending, scores: Tensor) -> Tensor:
    """Return the output of a network with these scores, `[n, k]`, and this ending."""
    if kind is Ending.SOFTMAX:
        return torch.softmax(scores, 1)
    if kind is Ending.LOG_SOFTMAX:
        return torch.log_softmax(scores, 1)
    return torch.sigmoid(scores) if kind is Ending.SIGMOID else scores


def before(kind: Ending, module: nn.Module, images: Tensor, scores_in: Callable[[Any], Tensor]) -> Tensor:
    """Return the scores `[n, k]` before the network's ending; differentiable if `images` is.

    If they can't be found, they are computed from the probabilities.
    """
    if kind is Ending.SCORES:
        return scores_in(module(images))
    with _Watch() as watch:
        last = scores_in(module(images))
    found = watch.feeding(last)
    return _logarithms(kind, last) if found is None else found[1][: len(last)]


def _logarithms(kind: Ending, last: Tensor) -> Tensor:
    """Return scores with these probabilities; they differ from the real ones by a constant for each image."""
    if kind is Ending.LOG_SOFTMAX:
        return last
    smallest = torch.finfo(last.dtype).tiny
    if kind is Ending.SIGMOID:
        return last.clamp(smallest, 1 - torch.finfo(last.dtype).eps).logit()
    return last.clamp_min(smallest).log()

"""Judge whether the weights of the checkpoint are finite and not constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auditor.check import Check, Steps
from auditor.errors import Skip
from auditor.judging.grounds import WEIGHTS
from auditor.judging.rule import Rule
from auditor.language import _, headed, joined, many, marked, numeral
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context

NONFINITE = Rule(
    "weights.nonfinite",
    marked("Weights and buffers that are NaN or infinite."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("numbers"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    measured=marked("All values of all floating-point parameters and buffers are counted. Any is a failure."),
    advice=marked("Go back to a checkpoint from before training diverged."),
)

CONSTANT = Rule(
    "weights.constant",
    marked("Tensors of kernels and matrices whose weights are all the same number."),
    level=Verdict.WARN,
    basis="exact",
    unit=marked("tensors"),
    better="lower",
    tolerance=0.0,
    warn=0.0,
    measured=marked(
        "Any such tensor is a warning, since its outputs can't distinguish anything. Vectors, for example biases, and "
        "tensors with a single weight are left out."
    ),
    advice=marked("Check whether these layers were trained."),
)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Statistics of one tensor, over its finite values.

    Attributes:
        zeros: The share of exact zeros, 0 to 1.
        not_finite: The number of values that are NaN or infinite.
    """

    name: str
    shape: tuple[int, ...]
    mean: float
    std: float
    low: float
    high: float
    zeros: float
    not_finite: int

    @property
    def constant(self) -> bool:
        """Whether all weights of kernels or of a matrix are the same number."""
        return len(self.shape) > 1 and int(np.prod(self.shape)) > 1 and self.low == self.high


@Check.with_rules(NONFINITE, CONSTANT, needs=(WEIGHTS,))
def weights(context: Context) -> Steps:
    """Are all weights finite, and were they trained?

    Each row is one tensor. A standard deviation of zero shows a layer that was never trained, values far larger than
    in other layers show one that diverged, and many zeros show one that was pruned.
    """
    module = context.network.module
    tensors = [*module.named_parameters(), *module.named_buffers()]
    numbers = [measured(name, tensor) for name, tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    if not numbers:
        kind = context.checkpoint.format
        raise Skip(_("the {kind} file stores its weights as constants, which can't be read", kind=kind))
    yield _not_finite(numbers)
    parameters = dict(module.named_parameters())
    yield _constant([n for n in numbers if n.name in parameters])
    yield Table(
        _("Parameters and statistics"),
        _("Mean, standard deviation, range and share of exact zeros of each tensor, over its finite values."),
        (_("tensor"), _("shape"), _("mean"), _("std"), _("lowest"), _("highest"), _("zeros")),
        tuple(_row(n) for n in numbers),
    )


def _row(one: Numbers) -> tuple[str | float, ...]:
    shape = " x ".join(map(str, one.shape))
    return one.name, shape, one.mean, one.std, one.low, one.high, numeral(one.zeros, ".1%")


def measured(name: str, tensor: Tensor) -> Numbers:
    """Return the statistics of one tensor; all are zero if no value is finite."""
    values = tensor.detach().float().cpu().numpy().ravel()
    finite = values[np.isfinite(values)]
    wrong = values.size - finite.size
    if not finite.size:
        return Numbers(name, tuple(tensor.shape), 0.0, 0.0, 0.0, 0.0, 0.0, wrong)
    return Numbers(
        name,
        tuple(tensor.shape),
        float(finite.mean(dtype=np.float64)),
        float(finite.std(dtype=np.float64)),
        float(finite.min()),
        float(finite.max()),
        float((finite == 0).mean()),
        wrong,
    )


def _not_finite(numbers: Sequence[Numbers]) -> Finding:
    rule, bad = "weights.nonfinite", [n for n in numbers if n.not_finite]
    count = sum(n.not_finite for n in bad)
    if not bad:
        message = many(
            "all values of {count} tensor are finite", "all values of {count} tensors are finite", len(numbers)
        )
        return Finding(rule, Verdict.PASS, message, value=0, limit=0, n=_size(numbers))
    return Finding(
        rule,
        Verdict.FAIL,
        many(
            "{count} value in {bad} of {n} tensors is NaN or infinite",
            "{count} values in {bad} of {n} tensors are NaN or infinite",
            count,
            bad=len(bad),
            n=len(numbers),
        ),
        subject=bad[0].name.rpartition(".")[0],
        value=count,
        limit=0,
        unit=marked("numbers"),
        n=_size(numbers),
        detail=_(
            "Go back to a checkpoint from before training diverged. {tensors}",
            tensors=joined(*(headed(n.name, n.not_finite) for n in bad[:10]), between=", "),
        ),
    )


def _size(numbers: Sequence[Numbers]) -> int:
    return sum(math.prod(n.shape) for n in numbers)


def _constant(numbers: Sequence[Numbers]) -> Finding:
    rule, bad = "weights.constant", [n for n in numbers if n.constant and not n.not_finite]
    if not bad:
        message = _("no tensor of kernels and no matrix is constant")
        return Finding(rule, Verdict.PASS, message, value=0, limit=0, n=len(numbers))
    return Finding(
        rule,
        Verdict.WARN,
        many("{count} tensor is constant", "{count} tensors are constant", len(bad)),
        subject=bad[0].name.rpartition(".")[0],
        value=len(bad),
        limit=0,
        unit=marked("tensors"),
        n=len(numbers),
        detail=_(
            "All weights of a constant tensor are the same number. Check whether its layer was trained: {tensors}",
            tensors=joined(*(joined(n.name, "=", numeral(n.low, "g")) for n in bad[:10]), between=", "),
        ),
    )

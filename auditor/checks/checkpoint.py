"""Whether the file really filled the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auditor.check import Check, Steps
from auditor.language import _, many, marked, numeral, some
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from torch import nn

    from auditor.context import Context
    from auditor.model.architectures.architecture import Coverage


@Check
def checkpoint(context: Context) -> Steps:
    """Does the checkpoint fill the whole network?

    A parameter that the file lacks keeps the random numbers of a fresh network, and nothing in the
    predictions says so. The table counts the parameters by where they came from.

    Rules:
        checkpoint.missing: parameters that the network has and the file lacks; any is a failure (exact).
        checkpoint.unexpected: tensors that the file has and the network does not; any is a failure (exact).
        checkpoint.shape: tensors of another shape than the network's; any is a failure (exact).
        checkpoint.batchnorm: batch-norm layers whose statistics were never trained (mean 0 throughout, or variance 1
            throughout); any is a failure (exact). Other statistics whose layer has counted no batch are told, and
            no failure: converted checkpoints are like that.
    """
    coverage = context.architecture.coverage
    yield from _coverage(coverage)
    yield from _left_out(context.checkpoint.metadata.get("left_out", ()))
    yield _batch_norm(context.network.module)
    yield Table(
        _("What the file filled"),
        _("Share of the network's parameters, by number of elements, and how many tensors did not fit."),
        (_("loaded"), _("missing"), _("unexpected"), _("other shape")),
        ((numeral(coverage.loaded, ".1%"), len(coverage.missing), len(coverage.unexpected), len(coverage.misshaped)),),
    )


def _coverage(coverage: Coverage) -> Iterator[Finding]:
    yield _listed(
        "checkpoint.missing",
        coverage.missing,
        many(
            "the file lacks {count} of the network's tensors, which keeps random numbers",
            "the file lacks {count} of the network's tensors, which keep random numbers",
            len(coverage.missing),
        ),
        _("every tensor of the network is in the file"),
        _("Save the whole network again, or name the architecture that was trained with --arch."),
    )
    yield _listed(
        "checkpoint.unexpected",
        coverage.unexpected,
        many(
            "the file has {count} tensor that the network does not know",
            "the file has {count} tensors that the network does not know",
            len(coverage.unexpected),
        ),
        _("every tensor of the file has its place in the network"),
        _("The network that was trained is another one: name it with --arch and --arch-arg."),
    )
    yield _listed(
        "checkpoint.shape",
        coverage.misshaped,
        many(
            "{count} tensor of the file has another shape than the network's",
            "{count} tensors of the file have another shape than the network's",
            len(coverage.misshaped),
        ),
        _("every tensor of the file has the network's shape"),
        _("Give the network the sizes that were trained, as in --arch-arg num_classes=4."),
    )


def _left_out(names: Sequence[str]) -> Iterator[Finding]:
    if names:
        yield Finding(
            "checkpoint.unexpected",
            Verdict.INFO,
            many(
                "{count} tensor beside the network's belongs to a loss or a metric and was left out",
                "{count} tensors beside the network's belong to a loss or a metric and were left out",
                len(names),
            ),
            value=len(names),
            unit=marked("tensors"),
            detail=some(names),
        )


def _listed(rule: str, names: Sequence[str], bad: str, good: str, advice: str) -> Finding:
    if not names:
        return Finding(rule, Verdict.PASS, good, value=0, limit=0, unit=marked("tensors"))
    return Finding(
        rule,
        Verdict.FAIL,
        bad,
        value=len(names),
        limit=0,
        unit=marked("tensors"),
        detail=_("{advice} They are: {names}", advice=advice, names=some(names)),
    )


def _batch_norm(module: nn.Module) -> Finding:
    statistics = {
        name: (m.running_mean, m.running_var)
        for name, m in module.named_modules()
        if getattr(m, "running_mean", None) is not None and getattr(m, "running_var", None) is not None
    }
    if not statistics:
        reason = _("the network has no batch norm with running statistics")
        return Finding("checkpoint.batchnorm", Verdict.SKIP, reason)
    fresh = [name for name, (mean, variance) in statistics.items() if _is(mean, 0) or _is(variance, 1)]
    if not fresh:
        return Finding(
            "checkpoint.batchnorm",
            Verdict.PASS,
            _("all {n} batch-norm layers have trained statistics", n=len(statistics)),
            value=0,
            limit=0,
            unit=marked("layers"),
            n=len(statistics),
            detail=_uncounted(module, statistics),
        )
    return Finding(
        "checkpoint.batchnorm",
        Verdict.FAIL,
        many(
            "{count} of {n} batch-norm layers has means or variances of a fresh network",
            "{count} of {n} batch-norm layers have means or variances of a fresh network",
            len(fresh),
            n=len(statistics),
        ),
        value=len(fresh),
        limit=0,
        unit=marked("layers"),
        n=len(statistics),
        detail=_(
            "Save the buffers with the parameters: state_dict(), not parameters(). They are: {names}",
            names=some(fresh),
        ),
    )


def _uncounted(module: nn.Module, names: Iterable[str]) -> str:
    """Return how many layers have counted no batch: no defect, as whoever converts a checkpoint leaves zeros."""
    counters = [getattr(module.get_submodule(name), "num_batches_tracked", None) for name in names]
    count = sum(counter is not None and int(counter) == 0 for counter in counters)
    if not count:
        return ""
    return many(
        "{count} layer has counted no batch of training, as where a checkpoint was converted or filled in.",
        "{count} layers have counted no batch of training, as where a checkpoint was converted or filled in.",
        count,
    )


def _is(tensor: object, value: float) -> bool:
    return bool(np.all(np.asarray(tensor.detach().float().cpu()) == value))  # type: ignore[attr-defined]

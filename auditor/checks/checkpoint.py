"""Judge whether the file filled the whole network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auditor.check import Check, Steps
from auditor.judging.rule import Rule
from auditor.language import _, many, marked, numeral, some
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from torch import nn

    from auditor.context import Context
    from auditor.model.architectures.architecture import Coverage
    from auditor.model.files.used_files import UsedFile

MISSING = Rule(
    "checkpoint.missing",
    marked("Tensors of the network that are missing in the file."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("tensors"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    measured=marked("Missing tensors stay at random initialisation. Any is a failure."),
    advice=marked("Save the whole network again, or set the architecture of training with --arch."),
)

UNEXPECTED = Rule(
    "checkpoint.unexpected",
    marked("Tensors of the file that are not in the network."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("tensors"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    measured=marked(
        "Any is a failure. Tensors of a loss or a metric that was saved with the network are left out and listed as "
        "information."
    ),
    advice=marked("The network of training is another one: set it with --arch and --arch-arg."),
)

SHAPE = Rule(
    "checkpoint.shape",
    marked("Tensors of the file that have another shape than in the network."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("tensors"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    measured=marked("Such tensors are not loaded. Any is a failure."),
    advice=marked("Give the network its sizes of training, for example --arch-arg num_classes=4."),
)

BATCHNORM = Rule(
    "checkpoint.batchnorm",
    marked("Batch-norm layers whose running statistics were never trained."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("layers"),
    better="lower",
    tolerance=0.0,
    fail=0.0,
    measured=marked(
        "The statistics of a layer were never trained if all its running means are 0 or all its running variances are "
        "1. Any such layer is a failure. Layers with other statistics that have counted no training batch are "
        "mentioned and are no failure, since converted checkpoints have them."
    ),
    advice=marked("Save the buffers with the parameters: state_dict(), not parameters()."),
)


@Check.with_rules(MISSING, UNEXPECTED, SHAPE, BATCHNORM)
def checkpoint(context: Context) -> Steps:
    """Does the checkpoint fill the whole network?

    A parameter that is missing in the file stays at random initialisation, without any error in the predictions. The
    table counts the parameters that were loaded and the tensors that did not fit.
    """
    coverage = context.architecture.coverage
    yield from _coverage(coverage)
    yield from _left_out(context.checkpoint.metadata.get("left_out", ()))
    yield from _objects(context.checkpoint.metadata.get("objects", ()))
    yield _batch_norm(context.network.module)
    yield from _files(context.checkpoint.files)
    yield Table(
        _("Loaded parameters"),
        _(
            "Share of the network's parameters that were loaded, by number of elements, and the number of tensors "
            "that did not fit."
        ),
        (_("loaded"), _("missing"), _("unexpected"), _("other shape")),
        ((numeral(coverage.loaded, ".1%"), len(coverage.missing), len(coverage.unexpected), len(coverage.misshaped)),),
    )


def _coverage(coverage: Coverage) -> Iterator[Finding]:
    yield _listed(
        "checkpoint.missing",
        coverage.missing,
        many(
            "{count} tensor of the network is missing and stays at random initialisation",
            "{count} tensors of the network are missing and stay at random initialisation",
            len(coverage.missing),
        ),
        _("all tensors of the network are in the file"),
        _("Save the whole network again, or set the architecture of training with --arch."),
    )
    yield _listed(
        "checkpoint.unexpected",
        coverage.unexpected,
        many(
            "{count} tensor of the file is not in the network",
            "{count} tensors of the file are not in the network",
            len(coverage.unexpected),
        ),
        _("all tensors of the file are in the network"),
        _("The network of training is another one: set it with --arch and --arch-arg."),
    )
    yield _listed(
        "checkpoint.shape",
        coverage.misshaped,
        many(
            "{count} tensor of the file has another shape than in the network",
            "{count} tensors of the file have another shape than in the network",
            len(coverage.misshaped),
        ),
        _("all tensors of the file have the shape that the network has"),
        _("Give the network its sizes of training, for example --arch-arg num_classes=4."),
    )


def _left_out(names: Sequence[str]) -> Iterator[Finding]:
    if names:
        yield Finding(
            "checkpoint.unexpected",
            Verdict.INFO,
            many(
                "{count} tensor of the file belongs to a loss or a metric and was left out",
                "{count} tensors of the file belong to a loss or a metric and were left out",
                len(names),
            ),
            value=len(names),
            unit=marked("tensors"),
            detail=some(names),
        )


def _objects(names: Sequence[str]) -> Iterator[Finding]:
    if names:
        yield Finding(
            "checkpoint.unexpected",
            Verdict.INFO,
            many(
                "Objects of {count} class or function in the file were left out, and none of their code was run",
                "Objects of {count} classes and functions in the file were left out, and none of their code was run",
                len(names),
            ),
            value=len(names),
            unit=marked("classes"),
            detail=some(names),
        )


def _files(files: Sequence[UsedFile]) -> Iterator[Table]:
    if files:
        yield Table(
            _("Files"),
            _("The files from which the network was read. Their digests are SHA-256."),
            (_("file"), _("bytes"), _("digest")),
            tuple((file.name, numeral(file.bytes, ",d"), f"{file.sha256[:16]}…") for file in files),
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
        detail=_("{advice} Tensors: {names}", advice=advice, names=some(names)),
    )


def _batch_norm(module: nn.Module) -> Finding:
    statistics = {
        name: (m.running_mean, m.running_var)
        for name, m in module.named_modules()
        if getattr(m, "running_mean", None) is not None and getattr(m, "running_var", None) is not None
    }
    if not statistics:
        message = _("the network has no batch norm with running statistics")
        return Finding("checkpoint.batchnorm", Verdict.SKIP, message)
    untrained = [name for name, (mean, variance) in statistics.items() if _is(mean, 0) or _is(variance, 1)]
    n = len(statistics)
    return Finding(
        "checkpoint.batchnorm",
        Verdict.FAIL if untrained else Verdict.PASS,
        _untrained(len(untrained), n) if untrained else _trained(n),
        value=len(untrained),
        limit=0,
        unit=marked("layers"),
        n=n,
        detail=_save_buffers(untrained) if untrained else _uncounted(module, statistics),
    )


def _trained(n: int) -> str:
    return many(
        "{count} batch-norm layer has trained statistics", "all {count} batch-norm layers have trained statistics", n
    )


def _untrained(count: int, n: int) -> str:
    return many(
        "{count} of {n} batch-norm layers has means or variances at their initialisation",
        "{count} of {n} batch-norm layers have means or variances at their initialisation",
        count,
        n=n,
    )


def _save_buffers(names: Sequence[str]) -> str:
    return _("Save the buffers with the parameters: state_dict(), not parameters(). Layers: {names}", names=some(names))


def _uncounted(module: nn.Module, names: Iterable[str]) -> str:
    """Return how many layers have counted no batch; this is no defect, since converted checkpoints have zeros there."""
    modules = dict(module.named_modules())  # TorchScript has no get_submodule
    counters = [getattr(modules[name], "num_batches_tracked", None) for name in names]
    count = sum(counter is not None and int(counter) == 0 for counter in counters)
    if not count:
        return ""
    return many(
        "The batch counter of {count} layer is zero. This is usual in a converted checkpoint.",
        "The batch counters of {count} layers are zero. This is usual in a converted checkpoint.",
        count,
    )


def _is(tensor: object, value: float) -> bool:
    return bool(np.all(np.asarray(tensor.detach().float().cpu()) == value))  # type: ignore[attr-defined]

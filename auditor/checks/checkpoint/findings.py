"""Judge how the file fills the network, and whether its batch norms were trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auditor.judging import grounds
from auditor.language import _, many, marked, numeral, some
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from torch import nn

    from auditor.context import Context
    from auditor.model.architectures.architecture import Coverage
    from auditor.model.files.used_files import UsedFile


_NAMED = 6  # tensors; with more of them the advice would not fit beside the verdict
_MOST = 0.5  # share of the parameters under which the file is that of another network


def live() -> Finding:
    """Say that no file was read."""
    message = _("a network in memory was given, and no file that could lack tensors of it")
    return Finding("checkpoint.missing", Verdict.SKIP, message)


def gone(found: Coverage) -> tuple[str, ...]:
    """Return what checks can't rest on, because tensors of the network are at random initialisation."""
    if not (found.missing or found.misshaped):
        return ()
    return (grounds.WEIGHTS, grounds.ANSWERS) if found.loaded < _MOST else (grounds.ANSWERS,)


def coverage(found: Coverage, fitting: str = "") -> Iterator[Finding]:
    """Judge the tensors that are missing, unexpected or of another shape.

    Args:
        fitting: Advice that names the network of the file, where it is known.
    """
    yield _listed(
        "checkpoint.missing",
        found.missing,
        many(
            "{count} tensor of the network is missing and stays at random initialisation",
            "{count} tensors of the network are missing and stay at random initialisation",
            len(found.missing),
        ),
        _("all tensors of the network are in the file"),
        fitting or _("Save the whole network again, or set the architecture of training with --arch."),
        gone(found),
    )
    yield _listed(
        "checkpoint.unexpected",
        found.unexpected,
        many(
            "{count} tensor of the file is not in the network",
            "{count} tensors of the file are not in the network",
            len(found.unexpected),
        ),
        _("all tensors of the file are in the network"),
        fitting or _("The network of training is another one: set it with --arch and --arch-arg."),
    )
    yield _listed(
        "checkpoint.shape",
        [_shapes(name, *found.shapes[name]) for name in found.misshaped],
        many(
            "{count} tensor of the file has another shape than in the network",
            "{count} tensors of the file have another shape than in the network",
            len(found.misshaped),
        ),
        _("all tensors of the file have the shape that the network has"),
        _("Give the network its sizes of training, for example --arch-arg num_classes=4."),
        gone(found),
    )


def _shapes(name: str, file: Sequence[int], network: Sequence[int]) -> str:
    """Return a tensor's name with both of its shapes."""
    has, expects = ("x".join(map(str, shape)) or "1" for shape in (file, network))
    return _("{name} ({file} in the file, {network} in the network)", name=name, file=has, network=expects)


def left_out(names: Sequence[str]) -> Iterator[Finding]:
    """Name the tensors of a loss or a metric, which are no part of the network."""
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


def objects(names: Sequence[str]) -> Iterator[Finding]:
    """Name the classes and functions of the file whose objects were not made."""
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


def files(used: Sequence[UsedFile]) -> Iterator[Table]:
    """List the files of a folder that were used."""
    if used:
        yield Table(
            _("Files"),
            _("The files from which the network was read. Their digests are SHA-256."),
            (_("file"), _("bytes"), _("digest")),
            tuple((file.name, numeral(file.bytes, ",d"), f"{file.sha256[:16]}…") for file in used),
        )


def _listed(rule: str, names: Sequence[str], bad: str, good: str, advice: str, ends: tuple[str, ...] = ()) -> Finding:
    if not names:
        return Finding(rule, Verdict.PASS, good, value=0, limit=0, unit=marked("tensors"))
    return Finding(
        rule,
        Verdict.FAIL,
        bad,
        value=len(names),
        limit=0,
        unit=marked("tensors"),
        detail=_("{advice} Tensors: {names}", advice=advice, names=some(names, _NAMED)),
        ends=ends,
    )


def class_names(context: Context) -> Iterator[Finding]:
    """Judge whether the file names as many classes as the network has outputs; yield nothing if it names none."""
    rule, outputs = "checkpoint.classes", context.network.outputs
    declared = context.checkpoint.metadata.get("classes", ())
    if context.misnamed:
        advice = _("Give one name for each output, in their order, with --classes.")
        count, unit = len(declared), marked("classes")
        yield Finding(rule, Verdict.WARN, context.misnamed, value=count, limit=outputs, unit=unit, detail=advice)
    elif context.classes in context.checkpoint.metadata.get("class_lists", (declared,)):
        message = _("the file names the {count} classes of the network", count=outputs)
        yield Finding(rule, Verdict.PASS, message, value=outputs, limit=outputs, unit=marked("classes"))


def batch_norm(module: nn.Module) -> Finding:
    """Judge whether the running statistics of every batch norm were trained."""
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

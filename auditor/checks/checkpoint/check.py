"""Judge whether the file filled the whole network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auditor.check import Check, Share, Steps
from auditor.checks.checkpoint import findings, rules
from auditor.checks.checkpoint.weight_findings import weight_findings
from auditor.judging import grounds
from auditor.language import _, numeral
from auditor.results import Table

if TYPE_CHECKING:
    from auditor.context import Context


@Check.with_rules(*rules.RULES)
def checkpoint(context: Context, *, weights_warn: Share = 0.02) -> Steps:
    """Does the checkpoint fill the whole network?

    A parameter that is missing in the file stays at random initialisation, without any error in the predictions. The
    table counts the parameters that were loaded and the tensors that did not fit. A file with several sets of weights,
    such as plain and averaged ones, is audited with one of them; the others are compared with it.

    Args:
        weights_warn: difference in accuracy between two sets of weights in the file over which the audit warns, if it
            is larger than by chance.
    """
    if context.checkpoint.is_live:
        yield findings.live()
        yield findings.batch_norm(context.network.module)
        return
    coverage = context.architecture.coverage
    yield from findings.coverage(coverage, _fitting(context))
    yield from findings.left_out(context.checkpoint.metadata.get("left_out", ()))
    yield from findings.objects(context.checkpoint.metadata.get("objects", ()))
    yield from findings.class_names(context)
    yield findings.batch_norm(context.network.module)
    yield from weight_findings(context, warn=weights_warn)
    yield from findings.files(context.checkpoint.files)
    yield Table(
        _("Loaded parameters"),
        _(
            "Share of the network's parameters that were loaded, by number of elements, and the number of tensors "
            "that did not fit."
        ),
        (_("loaded"), _("missing"), _("unexpected"), _("other shape")),
        ((numeral(coverage.loaded, ".1%"), len(coverage.missing), len(coverage.unexpected), len(coverage.misshaped)),),
    )


def _fitting(context: Context) -> str:
    """Return which network the file is of, where it is not of this one."""
    if grounds.WEIGHTS not in findings.gone(context.architecture.coverage):
        return ""
    from auditor.model.architectures.inference import suggestion

    return suggestion(context.checkpoint.tensors, prefix=context.checkpoint.metadata.get("prefix", ""))

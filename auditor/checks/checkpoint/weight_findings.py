"""Judge whether the audited set of weights and the others in the file differ in accuracy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from auditor.checks.checkpoint.weight_sets import FEWEST, Compared, compared
from auditor.judging import confidence
from auditor.language import _, headed, joined, many, numeral, p_value
from auditor.results import Finding, Table, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context

_RULE = "checkpoint.weights"
_ERROR = 0.01


def weight_findings(context: Context, *, warn: float) -> Iterator[Finding | Table]:
    """Judge each other set of weights in the file; yield nothing if there is none.

    Args:
        warn: Difference in accuracy over which the audit warns.
    """
    file = context.checkpoint
    if not file.others:
        return
    yield _audited(file.weights, list(file.others))
    found = compared(context)
    for one in found:
        yield judged(one, file.weights, warn) if one.n else _uncompared(one)
    yield _table(file.weights, found)


def judged(one: Compared, audited: str, warn: float) -> Finding:
    """Judge the difference in accuracy between the audited set of weights and another one.

    Args:
        audited: Name of the audited set.
        warn: Difference over which the audit warns, if it is larger than by chance.
    """
    differs = one.p < _ERROR and at_most(abs(one.gain), warn=warn) is Verdict.WARN
    own, other = one.accuracies
    measured = _(
        "top-1 accuracy {other:.1%} instead of {own:.1%} with {audited} (n = {n}, McNemar's test: {p})",
        other=other,
        own=own,
        audited=audited,
        n=one.n,
        p=p_value(one.p),
    )
    if not differs:
        verdict = _("the weights {name} in the file are about as accurate as the audited ones", name=one.name)
    elif one.gain > 0:
        verdict = _("the weights {name} in the file are more accurate than the audited ones", name=one.name)
    else:
        verdict = _("the weights {name} in the file are less accurate than the audited ones", name=one.name)
    advice = _("Make sure that the audited set is the one in use. Choose another one with --weights NAME.")
    close = confidence.close_call(one.interval, -warn, warn) if differs else ""
    return Finding(
        _RULE,
        Verdict.WARN if differs else Verdict.PASS,
        headed(verdict, measured),
        subject=one.name,
        value=abs(one.gain),
        limit=warn,
        n=one.n,
        interval=_absolute(one),
        detail=joined(advice, close) if differs else "",
    )


def _absolute(one: Compared) -> tuple[float, float]:
    """Return the interval of the difference without its sign."""
    low, high = one.interval if one.gain >= 0 else (-one.interval[1], -one.interval[0])
    return max(0.0, low), max(0.0, high)


def _audited(name: str, others: Sequence[str]) -> Finding:
    return Finding(
        _RULE,
        Verdict.INFO,
        many(
            "the weights {name} were audited; the file holds {count} other set: {others}",
            "the weights {name} were audited; the file holds {count} other sets: {others}",
            len(others),
            name=name,
            others=", ".join(others),
        ),
    )


def _uncompared(one: Compared) -> Finding:
    return Finding(
        _RULE,
        Verdict.SKIP,
        _(
            "the accuracy of the weights {name} was not compared: fewer than {few} labelled images",
            name=one.name,
            few=FEWEST,
        ),
        subject=one.name,
    )


def _table(audited: str, found: Sequence[Compared]) -> Table:
    return Table(
        _("Sets of weights"),
        _(
            "The other sets of weights in the file. Distance of their parameters from the audited ones ({audited}), "
            "relative to the norm of these. Top-1 accuracy of both on the same images; p is McNemar's exact test, "
            "corrected by Holm for the number of sets.",
            audited=audited,
        ),
        (_("weights"), _("distance"), _("images"), _("accuracy as audited"), _("accuracy"), "p"),
        tuple((one.name, numeral(one.distance, ".3g"), one.n or None, *_accuracies(one)) for one in found),
    )


def _accuracies(one: Compared) -> tuple[str | None, str | None, str | None]:
    if not one.n:
        return None, None, None
    own, other = one.accuracies
    return numeral(own, ".1%"), numeral(other, ".1%"), p_value(one.p).removeprefix("p = ").removeprefix("p ")

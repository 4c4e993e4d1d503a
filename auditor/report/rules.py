"""The rules of an audit as a table: what each measures, and the limits of this run."""

from __future__ import annotations

from collections.abc import Iterable

from auditor.language import _
from auditor.report import phrases
from auditor.results import Audit, Limit, Result, RuleFacts, Table, Verdict


def of_check(result: Result) -> Table:
    """Return the rules of one check with what is measured, how, and what to do."""
    return Table(
        _("Rules and limits"),
        _("What the check judges by, with the limits of this run."),
        (_("Rule"), _("What is measured"), _("Limits"), _("What to do")),
        tuple((name, facts.text, limits(facts), facts.advice) for name, facts in result.rules.items()),
    )


def of_audit(audit: Audit) -> Table:
    """Return the rules of all checks in short; a row each."""
    rows = [row for result in audit.results for row in _rows(result)]
    return Table(
        _("Rules and limits"),
        _("What the checks judge by, with the limits of this run. audit.json has how each is measured."),
        (_("Rule"), _("What is measured"), _("Limits")),
        tuple(rows),
    )


def limits(facts: RuleFacts) -> str:
    """Return the limits of a rule in words, the one for a warning first; empty where it has none."""
    return ", ".join(_limit(facts, limit) for limit in facts.limits)


def _rows(result: Result) -> Iterable[tuple[str, str, str]]:
    return ((name, facts.summary, limits(facts)) for name, facts in result.rules.items())


def _limit(facts: RuleFacts, limit: Limit) -> str:
    named = {str(verdict): phrases.verdict(verdict) for verdict in Verdict}
    told = {"verdict": named.get(limit.level, limit.level), "value": phrases.measured(limit.value, facts.unit)}
    return _("{verdict} under {value}", **told) if facts.better == "higher" else _("{verdict} over {value}", **told)

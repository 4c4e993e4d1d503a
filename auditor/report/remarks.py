"""Findings of other checks about the methods that a check shows, for the head of its section."""

from __future__ import annotations

from auditor.results import Audit, Finding, Gallery, Result, Verdict


def remarks(audit: Audit, result: Result) -> tuple[tuple[str, Finding], ...]:
    """Return findings of other checks on each method that a check shows: those that cast doubt, or the first."""
    shown = dict.fromkeys(name for one in result.evidence if isinstance(one, Gallery) for name in one.methods)
    chosen = []
    for method in shown:
        found = [(r.check, f) for r in audit.results if r is not result for f in r.findings if f.subject == method]
        chosen += [(check, finding) for check, finding in found if is_doubt(finding)] or found[:1]
    return tuple(chosen)


def is_doubt(finding: Finding) -> bool:
    """Return whether a finding about a method warns, or is information but over its limit."""
    over = finding.value is not None and finding.limit is not None and finding.value > finding.limit
    return finding.verdict > Verdict.PASS or (finding.verdict is Verdict.INFO and over)

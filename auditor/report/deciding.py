"""What made the verdict, and what limits it; every report says the same of both."""

from __future__ import annotations

from auditor.report import wording
from auditor.report.wording import plural
from auditor.results import Audit, Finding, Verdict


def deciding(audit: Audit) -> tuple[tuple[str, Finding], ...]:
    """Return check and finding of all that failed or broke, or where nothing did, of all that warned; worst first."""
    least = Verdict.FAIL if audit.verdict >= Verdict.FAIL else Verdict.WARN
    return tuple(pair for pair in worst_first(audit) if pair[1].verdict >= least)


def worst_first(audit: Audit) -> tuple[tuple[str, Finding], ...]:
    """Return all findings with their checks, the worst first."""
    found = [(result.check, finding) for result in audit.results for finding in wording.findings(result)]
    return tuple(sorted(found, key=lambda pair: -pair[1].verdict))


def title(verdict: Verdict) -> str:
    """Return what stands over the findings that made a verdict."""
    if verdict >= Verdict.FAIL:
        return "What decided it"
    return "Worth a look" if verdict is Verdict.WARN else "Findings"


def banners(audit: Audit) -> tuple[str, ...]:
    """Return what limits the whole audit: it was interrupted, it is incomplete."""
    left = (
        f"{plural(len(audit.not_run), 'selected check')} had no turn: {', '.join(audit.not_run)}."
        if audit.not_run
        else ""
    )
    if audit.interrupted:
        return (f"This audit was interrupted before it was done. {left}".strip(),)
    return (f"This audit ended early. {left}",) if left else ()


def is_strict(audit: Audit) -> bool:
    """Return whether a warning costs the exit code too."""
    return bool(audit.provenance.settings.get("strict"))


def costs(finding: Finding, *, strict: bool) -> bool:
    """Return whether a finding costs the exit code."""
    return finding.verdict >= (Verdict.WARN if strict else Verdict.FAIL)

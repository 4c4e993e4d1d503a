"""What made the verdict, and what limits it; every report says the same of both."""

from __future__ import annotations

from collections import Counter

from auditor.language import _, many
from auditor.report import phrases
from auditor.results import Audit, Finding, Verdict


def deciding(audit: Audit) -> tuple[tuple[str, Finding], ...]:
    """Return check and finding of all that failed or broke, or where nothing did, of all that warned; worst first."""
    least = Verdict.FAIL if audit.verdict >= Verdict.FAIL else Verdict.WARN
    return tuple(pair for pair in worst_first(audit) if pair[1].verdict >= least)


def one_of_each(audit: Audit) -> tuple[tuple[str, Finding], ...]:
    """Return the same, and of one verdict one finding of each rule before a second one."""
    met: Counter[str] = Counter()
    found = []
    for check, finding in deciding(audit):
        found.append((-finding.verdict, met[finding.rule], check, finding))
        met[finding.rule] += 1
    return tuple((check, finding) for *_order, check, finding in sorted(found, key=lambda entry: entry[:2]))


def worst_first(audit: Audit) -> tuple[tuple[str, Finding], ...]:
    """Return all findings with their checks, the worst first."""
    found = [(result.check, finding) for result in audit.results for finding in phrases.findings(result)]
    return tuple(sorted(found, key=lambda pair: -pair[1].verdict))


def title(verdict: Verdict) -> str:
    """Return what stands over the findings that made a verdict."""
    if verdict >= Verdict.FAIL:
        return _("What decided it")
    return _("Worth a look") if verdict is Verdict.WARN else _("Findings")


def banners(audit: Audit) -> tuple[str, ...]:
    """Return what limits the whole audit: it was interrupted, it is incomplete."""
    left = ", ".join(audit.not_run)
    if audit.interrupted and left:
        return (
            many(
                "This audit was interrupted before it was done. {count} selected check had no turn: {checks}.",
                "This audit was interrupted before it was done. {count} selected checks had no turn: {checks}.",
                len(audit.not_run),
                checks=left,
            ),
        )
    if audit.interrupted:
        return (_("This audit was interrupted before it was done."),)
    if not left:
        return ()
    return (
        many(
            "This audit ended early. {count} selected check had no turn: {checks}.",
            "This audit ended early. {count} selected checks had no turn: {checks}.",
            len(audit.not_run),
            checks=left,
        ),
    )


def is_strict(audit: Audit) -> bool:
    """Return whether a warning costs the exit code too."""
    return bool(audit.provenance.settings.get("strict"))


def costs(finding: Finding, *, strict: bool) -> bool:
    """Return whether a finding costs the exit code."""
    return finding.verdict >= (Verdict.WARN if strict else Verdict.FAIL)

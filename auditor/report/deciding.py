"""What decided the verdict and what limits it, the same in every report format."""

from __future__ import annotations

from collections import Counter

from auditor.language import _, many
from auditor.report import phrases
from auditor.results import Audit, Finding, Verdict


def deciding(audit: Audit) -> tuple[tuple[str, Finding], ...]:
    """Return the findings that failed or broke, or if there are none, those that warned; worst first, with checks."""
    least = Verdict.FAIL if audit.verdict >= Verdict.FAIL else Verdict.WARN
    return tuple(pair for pair in worst_first(audit) if pair[1].verdict >= least)


def one_of_each(audit: Audit) -> tuple[tuple[str, Finding], ...]:
    """Return the same; within a verdict, one finding of each rule comes before the second of any rule."""
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
    """Return the heading over the findings that decided a verdict."""
    if verdict >= Verdict.FAIL:
        return _("What decided the verdict")
    return _("Warnings") if verdict is Verdict.WARN else _("Findings")


def banners(audit: Audit) -> tuple[str, ...]:
    """Return the notes that limit the whole audit: it was interrupted, or it stopped early."""
    not_run = ", ".join(audit.not_run)
    if audit.interrupted and not_run:
        return (
            many(
                "This audit was interrupted. {count} selected check did not run: {checks}.",
                "This audit was interrupted. {count} selected checks did not run: {checks}.",
                len(audit.not_run),
                checks=not_run,
            ),
        )
    if audit.interrupted:
        return (_("This audit was interrupted."),)
    if not not_run:
        return ()
    return (
        many(
            "This audit stopped early. {count} selected check did not run: {checks}.",
            "This audit stopped early. {count} selected checks did not run: {checks}.",
            len(audit.not_run),
            checks=not_run,
        ),
    )


def cautions(audit: Audit) -> tuple[str, ...]:
    """Return what a reader has to know before the verdict: code of the checkpoint ran in the process of the audit."""
    if not audit.provenance.checkpoint.trusted:
        return ()
    return (_("With --trust-checkpoint the checkpoint was allowed to run code in the process of the audit."),)


def is_strict(audit: Audit) -> bool:
    """Return whether a warning changes the exit code, too."""
    return bool(audit.provenance.settings.get("strict"))


def costs(finding: Finding, *, strict: bool) -> bool:
    """Return whether a finding makes the exit code 1."""
    return finding.verdict >= (Verdict.WARN if strict else Verdict.FAIL)

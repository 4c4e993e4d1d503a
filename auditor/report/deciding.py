"""What decided the verdict and what limits it, the same in every report format."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from auditor.language import _, joined, many, some
from auditor.methods.attribution.names import method_name
from auditor.report import phrases
from auditor.results import Audit, Cause, Finding, Verdict


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
    """Return all findings with their checks, the worst first.

    One that follows from another is left out. That one names it, and has its verdict if it is worse.
    """
    causes = [(cause.check, _whole(cause)) for cause in audit.causes]
    found = [(result.check, finding) for result in audit.results for finding in phrases.findings(result)]
    others = [(check, finding) for check, finding in found if finding.verdict < Verdict.WARN]
    silent = [(r.check, finding) for r in audit.results if not r.evidence for finding in phrases.findings(r)]
    return tuple(sorted([*causes, *silent, *others], key=lambda pair: -pair[1].verdict))


def _whole(cause: Cause) -> Finding:
    detail = joined(cause.finding.detail, follows(cause), between="\n")
    return replace(cause.finding, verdict=cause.verdict, detail=detail) if cause.followers else cause.finding


def follows(cause: Cause) -> str:
    """Return a sentence that names what follows from a cause; empty if nothing does."""
    if not cause.followers:
        return ""
    return _("From this follows: {findings}.", findings=some([named(finding) for finding in cause.followers], 8))


def follows_from(finding: Finding) -> str:
    """Return a sentence that names the cause of a finding; empty if it has none."""
    causes = (named_by_key(key) for key in finding.causes)
    return _("Follows from {findings}.", findings=some(causes)) if finding.causes else ""


def named(finding: Finding) -> str:
    """Return the rule, and the subject if there is one: `filters.dead [conv1]`."""
    return named_by_key(finding.key)


def named_by_key(key: str) -> str:
    """Return the same for the key of a finding."""
    rule, _colon, subject = key.partition(":")
    return f"{rule} [{method_name(subject)}]" if subject else rule


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

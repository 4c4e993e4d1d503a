"""What an audit says nothing about: a part of its result, the same in every report format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from auditor.language import _, many, some
from auditor.report import deciding, phrases
from auditor.results import Audit, Finding, Verdict

_MOST_NAMES = 8


@dataclass(frozen=True, slots=True)
class Gap:
    """One thing that was not assessed.

    Attributes:
        reason: Why, in one sentence.
        subjects: The rules or checks that it concerns; () if it concerns the audit as a whole.
    """

    reason: str
    subjects: tuple[str, ...] = ()


def not_assessed(audit: Audit) -> tuple[Gap, ...]:
    """Return what was not assessed: for the audit as a whole, then rules and checks by the reason to skip them."""
    return () if audit.comparison else (*_whole(audit), *_skipped(audit))


def _whole(audit: Audit) -> Iterator[Gap]:
    if chosen := _selection(audit):
        yield Gap(chosen)
    if audit.not_run:
        yield Gap(_("The audit stopped before these checks ran."), audit.not_run)
    if untested := _classes(audit):
        yield Gap(untested)
    accuracy = [finding for finding in audit.findings if finding.rule == "predictions.accuracy"]
    if any(finding.verdict is Verdict.INFO and finding.limit is None for finding in accuracy):
        told = _("No limit is set for the accuracy. Set accuracy_warn or accuracy_fail of the check predictions.")
        yield Gap(told, ("predictions.accuracy",))
    if left_out := len(audit.provenance.data.skipped):
        yield Gap(many("{count} file could not be read.", "{count} files could not be read.", left_out))


def _selection(audit: Audit) -> str:
    """Return which checks were selected, if not all were."""
    settings = audit.provenance.settings
    if not (settings.get("checks") or settings.get("expression")):
        return ""
    return _("Only these checks were selected: {checks}.", checks=some(result.check for result in audit.results))


def _classes(audit: Audit) -> str:
    """Return how many classes have no image, if the labels are known."""
    tested = {answer.label for answer in audit.recorded.answers if answer.label is not None}
    classes = audit.provenance.data.classes
    absent = [name for place, name in enumerate(classes) if place not in tested]
    if not tested or not absent:
        return ""
    return many(
        "{count} of {n} classes has no image: {classes}.",
        "{count} of {n} classes have no image: {classes}.",
        len(absent),
        n=len(classes),
        classes=some(absent, _MOST_NAMES),
    )


def _skipped(audit: Audit) -> Iterator[Gap]:
    by_reason: dict[str, list[Finding]] = {}
    for finding in audit.findings:
        if finding.verdict is Verdict.SKIP:
            by_reason.setdefault(finding.message, []).append(finding)
    for reason, findings in by_reason.items():
        names = (deciding.named(finding).removesuffix(".skipped") for finding in findings)
        yield Gap(phrases.sentence(reason), tuple(dict.fromkeys(names)))

"""Numbers, times and verdicts as a reader wants them."""

from __future__ import annotations

import math
import re
from datetime import datetime

from auditor.results import Audit, Finding, Result, Verdict

VERDICTS = {
    Verdict.ERROR: "Error",
    Verdict.FAIL: "Fail",
    Verdict.WARN: "Warning",
    Verdict.PASS: "Pass",
    Verdict.INFO: "Information",
    Verdict.SKIP: "Skipped",
}
"""From worst to best."""

_LONGEST_ADVICE = 400


def findings(result: Result) -> tuple[Finding, ...]:
    """Return the findings of a check; where it left no evidence at all, one that says so."""
    if result.evidence:
        return result.findings
    return (Finding(result.check, Verdict.ERROR, "The check ended without any evidence, so nothing is known."),)


def headline(audit: Audit) -> str:
    """Return the verdict as one sentence."""
    checks = sum(result.verdict is audit.verdict for result in audit.results)
    if audit.comparison:
        return _compared(audit)
    which = f"{checks} of {plural(len(audit.results), 'check')}"
    return {
        Verdict.ERROR: f"{which} broke, so the audit can't vouch for this network.",
        Verdict.FAIL: f"{which} failed: this network should not ship as it is.",
        Verdict.WARN: f"Nothing failed, but {which} found something to look at.",
        Verdict.PASS: "Every limit that was checked is kept.",
        Verdict.INFO: "The checks describe this network; none of them judged it.",
        Verdict.SKIP: "No check could say anything about this network.",
    }[audit.verdict]


def _compared(audit: Audit) -> str:
    return {
        Verdict.ERROR: "A part of the comparison broke, so that it can't vouch for this network.",
        Verdict.FAIL: "Something that fails is new, or worse than in the baseline.",
        Verdict.WARN: "Nothing new fails, but not all is as good, or as it was, in the baseline.",
        Verdict.PASS: "Nothing is worse than in the baseline.",
        Verdict.INFO: "The two audits have nothing in common that could be judged.",
        Verdict.SKIP: "The two audits have nothing in common that could be compared.",
    }[audit.verdict]


def sentence(message: str) -> str:
    """Return a message as a sentence; a first word that may be a name keeps its case."""
    if re.match(r"[a-z]+[ ,]", message):
        message = message[0].upper() + message[1:]
    return message if not message or not message[-1].isalnum() else f"{message}."


def plural(count: int, noun: str) -> str:
    """Return `1 image`, `2 images`, `3 classes`."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def measured(value: float | None, unit: str) -> str:
    """Return a value with its unit; one without a unit is a share of 1."""
    if value is None:
        return ""
    if not unit and math.isfinite(value) and abs(value) <= 1:
        return f"{_digits(100 * value, 3)} %"
    return f"{decimal(value)} {unit}".rstrip()


def interval(ends: tuple[float, float] | None, unit: str) -> str:
    """Return a confidence interval: `12 % to 15 %`."""
    return "" if ends is None else f"{measured(ends[0], unit)} to {measured(ends[1], unit)}"


def numbers(finding: Finding) -> str:
    """Return what a finding rests on: `40 %, limit 50 %, n = 40, 95 % interval 26 % to 55 %`."""
    parts = (
        measured(finding.value, finding.unit),
        finding.limit is not None and f"limit {measured(finding.limit, finding.unit)}",
        finding.n is not None and f"n = {finding.n:,}",
        finding.interval and f"95 % interval {interval(finding.interval, finding.unit)}",
    )
    return ", ".join(part for part in parts if part)


def advice(finding: Finding) -> str:
    """Return what to do next, if the detail says that; lists and tracebacks are longer."""
    detail = finding.detail.strip()
    return detail if len(detail) <= _LONGEST_ADVICE and detail.count("\n") < 3 else ""


def decimal(value: float) -> str:
    """Return a number with four digits that count, and thousands set apart."""
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "−")
    return _digits(value)


def cell(value: str | float | int | bool | None) -> str:
    """Return the text of a table's cell."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    return value if isinstance(value, str) else decimal(value)


def duration(seconds: float) -> str:
    """Return `0.42 s` or `3 min 20 s`."""
    if not math.isfinite(seconds) or seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def size(count: int) -> str:
    """Return a number of bytes: `44.7 MB`."""
    for unit, bytes_each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= bytes_each:
            return f"{count / bytes_each:.1f} {unit}"
    return plural(count, "byte")


def date(started: str) -> str:
    """Return the time of an ISO 8601 text: `24 November 2026, 08:17 UTC`."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".rstrip()


def _digits(value: float, count: int = 4) -> str:
    text = f"{value:,.{count}g}" if 1e-3 <= abs(value) < 1e6 or value == 0 else f"{value:.3g}"
    return text.replace("-", "−")

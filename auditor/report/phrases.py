"""Numbers, times and verdicts as text."""

from __future__ import annotations

import math
import re
from datetime import datetime

from auditor.language import ENGLISH, _, current, many, marked
from auditor.results import Audit, Figure, Finding, Result, Verdict

VERDICTS = {
    Verdict.ERROR: marked("Error"),
    Verdict.FAIL: marked("Fail"),
    Verdict.WARN: marked("Warning"),
    Verdict.PASS: marked("Pass"),
    Verdict.INFO: marked("Information"),
    Verdict.SKIP: marked("Skipped"),
}
"""The words of the verdicts from worst to best, in English."""

_NAMES = {
    Verdict.ERROR: marked("error"),
    Verdict.FAIL: marked("fail"),
    Verdict.WARN: marked("warn"),
    Verdict.PASS: marked("pass"),
    Verdict.INFO: marked("info"),
    Verdict.SKIP: marked("skip"),
}
_LONGEST_ADVICE = 400
_BEFORE_A_STOP = ")]%'\""  # a message that ends with one of these needs a full stop, too
_SIZES = {marked("{size:.1f} GB"): 1e9, marked("{size:.1f} MB"): 1e6, marked("{size:.1f} kB"): 1e3}


def verdict(which: Verdict) -> str:
    """Return the word for a verdict: `Warning`."""
    return _(VERDICTS[which])


def name_of(which: Verdict) -> str:
    """Return the name of a verdict for a list: `fail`."""
    return _(_NAMES[which])


def findings(result: Result) -> tuple[Finding, ...]:
    """Return the findings of a check; if it has no evidence at all, an error that says so."""
    if result.evidence:
        return result.findings
    return (Finding(result.check, Verdict.ERROR, _("The check returned no evidence.")),)


def headline(audit: Audit) -> str:
    """Return the verdict as one sentence."""
    if audit.comparison:
        return _compared(audit)
    count = sum(cause.verdict is audit.verdict for cause in audit.causes)
    match audit.verdict:
        case Verdict.ERROR:
            broken = sum(result.verdict is Verdict.ERROR for result in audit.results)
            return many(
                "{count} check broke: the audit is inconclusive.",
                "{count} checks broke: the audit is inconclusive.",
                broken,
            )
        case Verdict.FAIL:
            return many(
                "{count} failure: do not ship this network as it is.",
                "{count} failures: do not ship this network as it is.",
                count,
            )
        case Verdict.WARN:
            return many("{count} warning, no failure.", "{count} warnings, no failure.", count)
        case Verdict.PASS:
            return _("All limits are met.")
        case Verdict.INFO:
            return _("The checks describe this network but do not judge it.")
        case Verdict.SKIP:
            return _("All checks were skipped.")


def _compared(audit: Audit) -> str:
    return {
        Verdict.ERROR: _("Part of the comparison broke: it is inconclusive."),
        Verdict.FAIL: _("Some failures are new, or worse than in the baseline."),
        Verdict.WARN: _("No failure is new, but some results are worse than in the baseline, or not comparable."),
        Verdict.PASS: _("Nothing is worse than in the baseline."),
        Verdict.INFO: _("The two audits share nothing that could be judged."),
        Verdict.SKIP: _("The two audits share nothing that could be compared."),
    }[audit.verdict]


def sentence(message: str) -> str:
    """Return a message with a capital and a full stop; a first word that may be a name keeps its case."""
    first = re.match(r"([^\W\d_]+)[ ,’\N{NO-BREAK SPACE}]", message)
    if first and first[1].islower():
        message = message[0].upper() + message[1:]
    return f"{message}." if message and (message[-1].isalnum() or message[-1] in _BEFORE_A_STOP) else message


def described(figure: Figure) -> str:
    """Return the alternative text of a figure that has none: title and caption."""
    return _("{title}. {caption}", title=figure.title, caption=figure.caption)


def images(count: int) -> str:
    """Return `1 image`, `2 images`."""
    return many("{count} image", "{count} images", count)


def percent(digits: str) -> str:
    """Return the digits `12.3` as a percentage in the current language: `12.3 %`."""
    return _("{number} %", number=digits)


_COUNTED = {
    "channels": lambda n: many("{count} channel", "{count} channels", n),
    "classes": lambda n: many("{count} class", "{count} classes", n),
    "findings": lambda n: many("{count} finding", "{count} findings", n),
    "layers": lambda n: many("{count} layer", "{count} layers", n),
    "numbers": lambda n: many("{count} number", "{count} numbers", n),
    "outputs": lambda n: many("{count} output", "{count} outputs", n),
    "tensors": lambda n: many("{count} tensor", "{count} tensors", n),
}
"""Units of what is counted, in the form that fits the count."""


def measured(value: float | None, unit: str) -> str:
    """Return a value with its unit; one without a unit is a share of 1."""
    if value is None:
        return ""
    if not unit and math.isfinite(value) and abs(value) <= 1:
        return percent(_digits(100 * value, 3))
    if unit in _COUNTED and value == int(value):
        return _COUNTED[unit](int(value))
    return f"{decimal(value)} {_(unit)}".rstrip()


def interval(ends: tuple[float, float] | None, unit: str) -> str:
    """Return a confidence interval: `12 % to 15 %`."""
    if ends is None:
        return ""
    return _("{low} to {high}", low=measured(ends[0], unit), high=measured(ends[1], unit))


def numbers(finding: Finding) -> str:
    """Return the numbers of a finding: `40 %, limit 50 %, n = 40, 95 % interval 26 % to 55 %`."""
    parts = (
        measured(finding.value, finding.unit),
        finding.limit is not None and _("limit {limit}", limit=measured(finding.limit, finding.unit)),
        finding.n is not None and _("n = {n:,}", n=finding.n),
        finding.interval and _("95 % interval {interval}", interval=interval(finding.interval, finding.unit)),
    )
    return ", ".join(part for part in parts if part)


def advice(finding: Finding) -> str:
    """Return the detail if it is short enough to be advice; lists and tracebacks are longer."""
    detail = finding.detail.strip()
    return detail if len(detail) <= _LONGEST_ADVICE and detail.count("\n") < 3 else ""


def decimal(value: float) -> str:
    """Return a number with four significant digits and separated thousands."""
    if not math.isfinite(value):
        return _("not a number") if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value == int(value) and abs(value) < 1e15:
        return current().number(f"{int(value):,}".replace("-", "−"))
    return _digits(value)


def cell(value: str | float | int | bool | None) -> str:
    """Return the text of a table's cell."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value is None:
        return ""
    return value if isinstance(value, str) else decimal(value)


def duration(seconds: float) -> str:
    """Return `0.42 s` or `3 min 20 s`."""
    if not math.isfinite(seconds) or seconds < 60:
        return _("{seconds:.2f} s", seconds=seconds) if seconds < 10 else _("{seconds:.0f} s", seconds=seconds)
    return _("{minutes} min {seconds} s", minutes=int(seconds // 60), seconds=int(seconds % 60))


def size(count: int) -> str:
    """Return a number of bytes: `44.7 MB`."""
    for text, bytes_each in _SIZES.items():
        if count >= bytes_each:
            return _(text, size=count / bytes_each)
    return many("{count} byte", "{count} bytes", count)


def date(started: str) -> str:
    """Return an ISO 8601 time as text: `24 November 2026, 08:17 UTC`."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return started
    if (language := current().name) != ENGLISH:
        from babel.dates import format_datetime

        return str(format_datetime(moment, "long", tzinfo=moment.tzinfo, locale=language))
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".rstrip()


def _digits(value: float, count: int = 4) -> str:
    text = f"{value:,.{count}g}" if 1e-3 <= abs(value) < 1e6 or value == 0 else f"{value:.3g}"
    return current().number(text.replace("-", "−"))

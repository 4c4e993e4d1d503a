"""Limits relative to the baseline, turned into numbers before the audit begins."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from auditor.check import Check
from auditor.comparison.pair import Source
from auditor.config.relative_limits import Relative, clipped, rule_of
from auditor.config.settings import Settings
from auditor.errors import UsageError
from auditor.language import _
from auditor.results import Audit, Verdict


def resolved(settings: Settings, checks: Iterable[Check], baseline: Source | None) -> tuple[Settings, tuple[str, ...]]:
    """Return the settings with every limit a number, and a sentence about each that was relative.

    Args:
        checks: Those that will run; the limits of others are left as they are.

    Raises:
        UsageError: There is no baseline, or it has no such value.
    """
    by_name = {check.name: check for check in checks}
    options = {name: dict(chosen) for name, chosen in settings.options.items()}
    notes = []
    for name, chosen in options.items():
        for option, value in chosen.items():
            if isinstance(value, Relative) and name in by_name:
                limit = _number(by_name[name], option, value, baseline)
                chosen[option] = limit
                told = f"{name}.{option}"
                notes.append(_("{option} is {text}, which is {limit:.6g}", option=told, text=value.text, limit=limit))
    return replace(settings, options=options), tuple(notes)


def _number(check: Check, option: str, limit: Relative, baseline: Source | None) -> float:
    name = f"{check.name}.{option}"
    if baseline is None:
        raise UsageError(
            f"{name} is {limit.text!r}, but there is no baseline: give --baseline PATH, the folder of an earlier "
            "report or its audit.json, or set a number"
        )
    rule = rule_of(check.name, option, check.rules)
    higher = rule in check.rules and check.rules[rule].better == "higher"
    value = _worst(rule, baseline.audit, higher=higher)
    if value is None:
        raise UsageError(
            f"{name} is {limit.text!r}, but the baseline {baseline.path} has no value of {rule}: "
            f"{_why(rule, baseline)}; set a number, or make the baseline again with the check {check.name}"
        )
    return clipped(limit.of(value), check.options[option].type)


def _worst(rule: str, audit: Audit, *, higher: bool) -> float | None:
    """Return the value of a rule; of several, as of many layers, the worst."""
    judged = [f for f in audit.findings if f.rule == rule and f.verdict not in (Verdict.SKIP, Verdict.ERROR)]
    values = [f.value for f in judged if f.value is not None and math.isfinite(f.value)]
    return (min if higher else max)(values) if values else None


def _why(rule: str, baseline: Source) -> str:
    skipped = [
        f.message for f in baseline.audit.findings if f.rule == rule and f.verdict in (Verdict.SKIP, Verdict.ERROR)
    ]
    if skipped:
        return skipped[0]
    ran = any(result.check == rule.partition(".")[0] for result in baseline.audit.results)
    return "the check ran, but judged no such thing" if ran else "its check did not run"

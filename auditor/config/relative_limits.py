"""Limits that are told relative to an earlier audit: `baseline - 0.01`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from auditor.config.options import Range
from auditor.errors import UsageError

_RELATIVE = re.compile(r"baseline(?:\s*([-+*])\s*(\d+(?:\.\d*)?|\.\d+))?", re.ASCII)
_LIMIT = re.compile(r"(?:(.+)_)?(warn|fail)")


@dataclass(frozen=True, slots=True)
class Relative:
    """A limit that is known once the baseline is: its value plus, minus or times a number."""

    text: str
    sign: str
    number: float

    def __str__(self) -> str:
        return self.text

    def of(self, value: float) -> float:
        """Return the limit where the baseline has this value."""
        if self.sign == "*":
            return value * self.number
        return value - self.number if self.sign == "-" else value + self.number


def is_relative(value: object) -> bool:
    """Return whether somebody means a limit relative to the baseline."""
    return isinstance(value, str) and value.strip().startswith("baseline")


def relative(name: str, text: str) -> Relative:
    """Return the limit that a text tells.

    Raises:
        UsageError: It is not of that form.
    """
    found = _RELATIVE.fullmatch(text.strip())
    if not found:
        raise UsageError(
            f'{name} is {text!r}, but a limit relative to the baseline is "baseline", "baseline - 0.01", '
            '"baseline + 0.01" or "baseline * 1.1"'
        )
    return Relative(text.strip(), found[1] or "+", float(found[2] or 0))


def rule_of(check: str, option: str, rules: Iterable[str]) -> str:
    """Return the rule that an option is a limit of: `accuracy_fail` of `predictions` is one of `predictions.accuracy`.

    An option that is called `warn` or `fail` and no more is a limit of the check's only rule.

    Raises:
        UsageError: It is a limit of none.
    """
    known = list(rules)
    named = limit_of(check, option, known)
    if named is None:
        raise UsageError(
            f"{check}.{option} can't be relative to the baseline: that holds for limits called RULE_warn or RULE_fail, "
            f"where {check}.RULE is one of: {', '.join(known) or 'no rule'}"
        )
    return named[0]


def limit_of(check: str, option: str, rules: Iterable[str]) -> tuple[str, str] | None:
    """Return the rule that an option is a limit of, and its level, `warn` or `fail`; None where it is no limit."""
    found, known = _LIMIT.fullmatch(option), list(rules)
    if not found:
        return None
    only = known[0] if len(known) == 1 else ""
    rule = f"{check}.{found[1]}" if found[1] else only
    return (rule, found[2]) if rule and (not known or rule in known) else None


def clipped(value: float, kind: Any) -> float:
    """Return the value, or the nearest one that an option of this type may have."""
    if get_origin(kind) is Annotated:
        for bound in get_args(kind)[1:]:
            value = min(max(value, bound.low), bound.high) if isinstance(bound, Range) else value
        return value
    for part in get_args(kind):
        value = clipped(value, part)
    return value

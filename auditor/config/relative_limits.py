"""Limits relative to an earlier audit: `baseline - 0.01`."""

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
    """A limit relative to the baseline: its value plus, minus or times a number."""

    text: str
    sign: str
    number: float

    def __str__(self) -> str:
        return self.text

    def of(self, value: float) -> float:
        """Return the limit for this value of the baseline."""
        if self.sign == "*":
            return value * self.number
        return value - self.number if self.sign == "-" else value + self.number


def is_relative(value: object) -> bool:
    """Return whether a value looks like a limit relative to the baseline."""
    return isinstance(value, str) and value.strip().startswith("baseline")


def relative(name: str, text: str) -> Relative:
    """Return the relative limit that a text describes.

    Raises:
        UsageError: The text does not have the form of a relative limit.
    """
    found = _RELATIVE.fullmatch(text.strip())
    if not found:
        raise UsageError(
            f'{name} is {text!r}, but a limit relative to the baseline has to be like "baseline", "baseline - 0.01", '
            '"baseline + 0.01" or "baseline * 1.1"'
        )
    return Relative(text.strip(), found[1] or "+", float(found[2] or 0))


def rule_of(check: str, option: str, rules: Iterable[str]) -> str:
    """Return the rule that an option limits: `predictions.accuracy` for `accuracy_fail` of the check `predictions`.

    An option called `warn` or `fail` limits the check's only rule.

    Raises:
        UsageError: The option limits no rule.
    """
    known = list(rules)
    named = limit_of(check, option, known)
    if named is None:
        raise UsageError(
            f"{check}.{option} can't be relative to the baseline: only options called RULE_warn or RULE_fail can, "
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
    """Return the value, clipped to the range of an option of this type."""
    if get_origin(kind) is Annotated:
        for bound in get_args(kind)[1:]:
            value = min(max(value, bound.low), bound.high) if isinstance(bound, Range) else value
        return value
    for part in get_args(kind):
        value = clipped(value, part)
    return value

"""Select the checks to run: `--check NAME` and `-k EXPR`."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING

from auditor.config.settings import Settings
from auditor.errors import NothingToRun, UsageError

if TYPE_CHECKING:
    from auditor.check import Check


def selected(checks: Mapping[str, Check], settings: Settings) -> list[Check]:
    """Return the checks that the settings select, in the order of `checks`.

    Raises:
        UsageError: The `-k` expression is invalid.
        NothingToRun: No check is selected.
    """
    named = [check for name, check in checks.items() if not settings.checks or name in settings.checks]
    chosen = [check for check in named if matches(settings.expression, check.name)]
    if not chosen:
        among = ", ".join(check.name for check in named) or "none"
        raise NothingToRun(f"-k {settings.expression!r} selects no check; there are: {among}")
    return chosen


def matches(expression: str, name: str) -> bool:
    """Return whether an expression of words, `and`, `or`, `not` and parentheses holds for a name.

    A word holds for every name that contains it, in either case; no expression holds for all.

    Raises:
        UsageError: The expression is of another form.
    """
    if not expression.strip():
        return True
    try:
        return _holds(ast.parse(expression.strip(), mode="eval").body, name.lower())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(
            f"-k {expression!r} is not an expression of names, 'and', 'or', 'not' and parentheses"
        ) from None


def _holds(node: ast.expr, name: str) -> bool:
    match node:
        case ast.Name(id=word):
            return word.lower() in name
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _holds(operand, name)
        case ast.BoolOp(op=ast.And(), values=values):
            return all([_holds(value, name) for value in values])  # noqa: C419 - refuse an invalid part even if it is not needed
        case ast.BoolOp(values=values):
            return any([_holds(value, name) for value in values])  # noqa: C419 - refuse an invalid part even if it is not needed
    raise ValueError

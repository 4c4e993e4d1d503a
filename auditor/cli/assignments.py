"""`NAME=VALUE` on the command line, parsed into the tables of a configuration file."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Any

from auditor.errors import UsageError

_WORDS = {"true": True, "false": False, "none": None, "null": None}


def options(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return `-o CHECK.OPTION=VALUE` flags as tables `[checks.CHECK]`; the values remain text.

    Raises:
        UsageError: A flag does not have this form.
    """
    table: dict[str, dict[str, str]] = {}
    for text in texts:
        target, equals, value = text.partition("=")
        check, dot, option = target.strip().partition(".")
        if not (equals and dot and check and option):
            raise UsageError(f"-o is {text!r}, but has to be CHECK.OPTION=VALUE")
        table.setdefault(check, {})[option] = value.strip()
    return table


def arguments(texts: Iterable[str]) -> dict[str, Any]:
    """Return `--arch-arg KEY=VALUE` flags as a table; a value that is a Python literal is evaluated.

    Raises:
        UsageError: A flag does not have this form.
    """
    table = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (equals and key.strip().isidentifier()):
            raise UsageError(f"--arch-arg is {text!r}, but has to be KEY=VALUE")
        table[key.strip()] = _literal(value.strip())
    return table


def _literal(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text

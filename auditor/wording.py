"""Words for what is shown: texts of files and plugins made harmless, long lists cut short."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce

from auditor.language import _, current, many

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def printable(text: str) -> str:
    """Return a text with a mark in place of what would steer a terminal or can't be encoded; lines stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def short(text: str, most: int) -> str:
    """Return a text on one line, and of a long one the beginning."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1].rstrip()}…"


def some(items: Iterable[object], most: int = 12) -> str:
    """Return the first of some items, with commas, and how many more there are."""
    listed = [str(item) for item in items]
    first, left = ", ".join(listed[:most]), len(listed) - most
    return first if left <= 0 else many("{first} and {count} more", "{first} and {count} more", left, first=first)


def headed(name: str, text: object) -> str:
    """Return a name and what belongs to it, with a colon as the language that is spoken sets it."""
    return _("{name}: {text}", name=name, text=text)


def chained(*parts: str) -> str:
    """Return parts of a sentence one after the other, with semicolons as the language that is spoken sets them."""
    return reduce(lambda first, second: _("{first}; {second}", first=first, second=second), parts) if parts else ""


def numeral(value: float, spec: str) -> str:
    """Return a number, as a format specification wants it, as it is written in the language that is spoken."""
    return current().format_field(value, spec)


def told_p(p: float) -> str:
    """Return a probability of error as it is read: `p = 0.012`, `p < 0.001`."""
    return current().number("p < 0.001" if p < 0.001 else f"p = {p:.3f}")

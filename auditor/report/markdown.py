"""Escape text from files and plugins for GitHub's Markdown: it looks as written and triggers nothing.

text("*.png by @me, see http://x.org")  # no emphasis, no mention, no link
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from auditor.process.foreign_text import printable

_SEPARATOR = "\u200b"  # a zero-width space, which splits a word in two
_ACTIVE = re.compile(r"[\\`*_\[\]~#]")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "|": "&#124;"})
_LINKING = re.compile(r"@|:(?=/)|#(?=\d)|www(?=\.)|(?:mailto|xmpp):|GH-", re.IGNORECASE)


def text(words: str) -> str:
    """Return a text on one line, for use inside a line or a table cell, not at the start of a line."""
    line = printable(" ".join(words.split()))
    apart = _LINKING.sub(lambda found: found[0] + _SEPARATOR, line)
    return _ACTIVE.sub(r"\\\g<0>", apart).translate(_ENTITIES)


def code(words: str) -> str:
    """Return a text as code, without mentions and emoji; empty for an empty text."""
    return f"<code>{text(words)}</code>" if words.strip() else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Return the lines of a table; the cells are already Markdown.

    Args:
        right: Indices of the columns that are aligned right.
    """
    rule = ["---:" if index in right else "---" for index in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]

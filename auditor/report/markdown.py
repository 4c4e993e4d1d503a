"""Text of files and plugins as GitHub's Markdown, in which it looks as it is written and does nothing.

text("*.png by @me, see http://x.org")  # no emphasis, nobody called, no link
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from auditor.language import printable

_APART = "\u200b"  # a zero-width space: what stands on its two sides is no longer one word
_ACTIVE = re.compile(r"[\\`*_\[\]~#]")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "|": "&#124;"})
_LINKING = re.compile(r"@|:(?=/)|#(?=\d)|www(?=\.)|(?:mailto|xmpp):|GH-", re.IGNORECASE)
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")  # these would turn round the order of what follows, too


def text(words: str) -> str:
    """Return a text on one line, for a place within a line or a table's cell; it may not begin a line."""
    line = " ".join(_TURNING.sub("\N{REPLACEMENT CHARACTER}", printable(words)).split())
    apart = _LINKING.sub(lambda found: found[0] + _APART, line)
    return _ACTIVE.sub(r"\\\g<0>", apart).translate(_ENTITIES)


def code(words: str) -> str:
    """Return a text in the type of code, in which nobody is called and no emoji is put; nothing for an empty one."""
    return f"<code>{text(words)}</code>" if words.strip() else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()) -> list[str]:
    """Return the lines of a table; the cells are Markdown already.

    Args:
        right: Indices of the columns that stand at the right.
    """
    rule = ["---:" if index in right else "---" for index in range(len(head))]
    return [f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)]

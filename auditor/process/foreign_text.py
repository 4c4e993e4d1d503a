r"""Make text of strangers safe to print: names of files, classes, layers and plugins, messages of exceptions.

A terminal obeys control characters, and a CI server obeys lines of its log that look like its commands:

    printable("cat\x1b[2K.png")  # cat\x1b[2K.png, with a backslash
    printable("##vso[task.complete]")  # #\x23vso[task.complete]

Sources: GitHub's, GitLab's, Azure Pipelines', TeamCity's, Travis' and Buildkite's documentation of commands in logs.
"""

from __future__ import annotations

import re
import unicodedata

_JOINERS = "\u200c\u200d"
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180e\u180f\u2800\u3164\uffa0")
"""Letters and marks that look like nothing. The joiners belong to scripts and emoji, and the blanks don't."""

_STYLE = r"\x1b\[[0-9;]*m"
_NUMBER_SIGN = re.compile(rf"(?<=#)((?:{_STYLE})*)#(?=(?:{_STYLE})*[A-Za-z._-]*(?:{_STYLE})*\[)")
_FOLD = re.compile(r"(section_(?:start|end)|travis_(?:fold|time)):")
_FIRST = re.compile(rf"^((?:\s|{_STYLE})*)(:(?=:)|([-+~^])(?=\3\3(?:\s|$)))", re.MULTILINE)


def printable(text: str) -> str:
    r"""Return a text on one line without control characters, and without commands for a terminal or a CI server.

    Control, format and direction characters, surrogates, line ends and invisible letters become escapes of Python
    such as `\x1b`. Spaces of all widths remain, and so do joiners inside words that are not ASCII.
    """
    return disarmed(text if text.isascii() and text.isprintable() else "".join(map(_shown, " " + text[:-1], text)))


def printable_lines(text: str) -> str:
    """Return a text as `printable` does, but keep its line feeds."""
    return "\n".join(printable(line) for line in text.replace("\r\n", "\n").split("\n"))


def disarmed(text: str, *, starts_line: bool = True) -> str:
    """Return printed lines in which nothing is a command of a CI server.

    Args:
        text: Lines, which may contain styles for a terminal.
        starts_line: Whether the text stands at the start of a line.
    """
    text = _FOLD.sub(r"\1\\x3a", _NUMBER_SIGN.sub(r"\1\\x23", text))
    first, end, others = ("", "", text) if starts_line else text.partition("\n")
    return first + end + _FIRST.sub(lambda found: f"{found[1]}\\x{ord(found[2]):02x}", others)


def _shown(before: str, letter: str) -> str:
    shown = letter.isprintable() or unicodedata.category(letter) == "Zs"
    if letter in _JOINERS:
        shown = not before.isascii()
    return letter if shown and letter not in _BLANK else letter.encode("unicode_escape").decode()

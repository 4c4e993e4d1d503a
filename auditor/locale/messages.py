"""All messages that there are: in the code, in the templates, and in what the checks say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir

from auditor import comparison, plugins
from auditor.check import Check
from auditor.plugins import BUILT_IN
from auditor.report.templates import built_in

_CODE = Path(__file__).parent.parent
_KEYWORDS = {"_": None, "many": (1, 2), "marked": None}

Message = str | tuple[str, ...]


def messages() -> Catalog:
    """Return a catalogue without translations; a message of two forms is a pair."""
    found = Catalog(charset="utf-8")
    for message in [*_written(_CODE, "**.py", "python"), *_written(built_in(), "**.html", "jinja2"), *_declared()]:
        found.add(message)
    return found


def _written(folder: Path, pattern: str, method: str) -> Iterator[Message]:
    """Return what is marked in the files of a folder."""
    for _file, _line, message, _comments, _context in extract_from_dir(
        folder, [(pattern, method)], keywords=_KEYWORDS, strip_comment_tags=False
    ):
        yield message


def _declared() -> Iterator[str]:
    """Return what the checks and their rules say to those who read a report."""
    found = plugins.load()
    checks = [check for name, check in found.checks.items() if found.origins.get(name, BUILT_IN) == BUILT_IN]
    for check in (*checks, *comparison.DECLARED.values()):
        yield from filter(None, _told(check))


def _told(check: Check) -> tuple[str, ...]:
    texts = (text for rule in check.rules.values() for text in rule.texts)
    return check.question, check.guide, check.source, *texts

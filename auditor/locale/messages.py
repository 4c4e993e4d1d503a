"""All messages: in the code, in the templates, and in the docstrings and rules of the checks."""

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
    """Return a catalogue of all messages without translations; a message with a plural is a pair."""
    found = Catalog(charset="utf-8")
    for message in [*_marked(_CODE, "**.py", "python"), *_marked(built_in(), "**.html", "jinja2"), *_declared()]:
        found.add(message)
    return found


def _marked(folder: Path, pattern: str, method: str) -> Iterator[Message]:
    """Yield the messages that are marked in the files of a folder."""
    for _file, _line, message, _comments, _context in extract_from_dir(
        folder, [(pattern, method)], keywords=_KEYWORDS, strip_comment_tags=False
    ):
        yield message


def _declared() -> Iterator[str]:
    """Yield the texts of the checks and their rules that a report shows."""
    found = plugins.load()
    checks = [check for name, check in found.checks.items() if found.origins.get(name, BUILT_IN) == BUILT_IN]
    for check in (*checks, *comparison.DECLARED.values()):
        yield from filter(None, _texts(check))


def _texts(check: Check) -> tuple[str, ...]:
    texts = (text for rule in check.rules.values() for text in rule.texts)
    return check.question, check.guide, check.source, *texts

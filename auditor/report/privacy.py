r"""Paths in reports, and reports that are handed over.

A report names paths relative to the working directory, and of a path outside of it only the last two parts:

    relative(audit)  # /home/ann/nets/photos/cat.png is photos/cat.png, /opt/lib/python3/torch/nn.py is …/torch/nn.py
    redacted(audit)  # neither folders of this machine, nor names of users and hosts, nor tracebacks
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from auditor.language import Message, _, again, marked, speaking
from auditor.results import Audit, Finding, Provenance

Rewrite = Callable[[str], str]

_NOTE = marked("Paths, names of users and hosts, and tracebacks were left out of this report (--redact).")
_TRACEBACK = "Traceback (most recent call last)"

_PART = r"[^\s/\\'\"<>|:,;()\[\]{}*?`]+"
_START = r"(?<![\w:/\\.~<>*)\]}…-])"
_QUOTED = re.compile(r"(?<=(['\"`]))(?:file:/*|~[\w.-]*|[A-Za-z]:)?[/\\][^'\"`\n]*?(?=\1)")
_ABSOLUTE = re.compile(rf"{_START}(?:file:/*(?=/)|~[\w.-]*|[A-Za-z]:)?(?:[/\\]{_PART}){{2,}}[/\\]?")
_ABOVE = re.compile(rf"(?<![\w/\\.])(?:\.\.[/\\])+{_PART}(?:[/\\]{_PART})*")
_UNTOLD = frozenset("admin build ci docker home host localhost root runner tmp ubuntu user users var worker".split())  # noqa: SIM905
"""Names of users, hosts and folders that tell nobody anything and may be words of a report."""


def relative(audit: Audit) -> Audit:
    """Return the audit with paths relative to the working directory, and the last two parts of other paths."""
    here = _alternatives(_working_directories())
    inside = re.compile(rf"{_START}(?:{here})(?:[/\\]|(?![\w.-]))") if here else None

    def rewrite(text: str) -> str:
        text = inside.sub(lambda found: "" if found[0][-1] in "/\\" else ".", text) if inside else text
        return _ABSOLUTE.sub(_last_two, text)

    return _everywhere(audit, rewrite)


def redacted(audit: Audit) -> Audit:
    """Return the audit for somebody else: without folders of this machine, names of its users, and tracebacks.

    Of a path its last part remains if it is a file, or lies in a folder that is known: the working directory, the home
    folder, the data or Python's own.
    """
    roots = _alternatives([*_working_directories(), *_folders(audit)])
    known = re.compile(rf"(?:{roots})(?P<rest>(?:[/\\]{_PART})*)[/\\]?") if roots else None
    words = _alternatives(_names(audit))
    named = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE) if words else None

    def rewrite(text: str) -> str:
        if "/" in text or "\\" in text or "~" in text:
            text = known.sub(lambda found: _last(found["rest"], keep=True), text) if known else text
            for pattern in (_QUOTED, _ABSOLUTE, _ABOVE):
                text = pattern.sub(lambda found: _last(found[0], keep=False), text)
        return named.sub("…", text) if named else text

    done = _everywhere(audit, rewrite)
    with speaking(audit.provenance.language):
        results = tuple(
            replace(result, evidence=tuple(_untraced(piece) for piece in result.evidence)) for result in done.results
        )
        return replace(done, results=results, provenance=_provenance(done.provenance))


def _provenance(facts: Provenance) -> Provenance:
    """Return the provenance with file names in place of paths, and a note that says so."""
    settings = {name: value if name == "report" else _file_names(value) for name, value in facts.settings.items()}
    data = replace(facts.data, name=_file_names(facts.data.name))
    notes = tuple(dict.fromkeys((*facts.notes, _(_NOTE))))
    return replace(facts, data=data, settings=settings, notes=notes)


def _file_names(value: Any) -> Any:
    rewritten = re.compile(rf"(?<!:)(?:{_PART}|\.)?[/\\](?=[^\s/\\])")
    return _rewritten(value, lambda text: rewritten.sub("", text.rstrip("/\\")))


def _untraced(piece: Any) -> Any:
    if isinstance(piece, Finding) and _TRACEBACK in piece.detail:
        return replace(piece, detail=_("The traceback was left out."))
    return piece


def _everywhere(audit: Audit, rewrite: Rewrite) -> Audit:
    """Return the audit with every text rewritten but those of the report's branding."""
    letterhead = audit.provenance.settings.get("report")
    with speaking(audit.provenance.language):
        done: Audit = _rewritten(audit, rewrite)
    if letterhead is None:
        return done
    settings = {**done.provenance.settings, "report": letterhead}
    return replace(done, provenance=replace(done.provenance, settings=settings))


def _rewritten(value: Any, rewrite: Rewrite) -> Any:
    if isinstance(value, Message):
        recipe = _rewritten_recipe(value.recipe, rewrite)
        return value if recipe == value.recipe and value.recipe else again(Message(rewrite(value), recipe))
    if isinstance(value, str):
        return rewrite(value)
    if isinstance(value, Mapping):
        return {name: _rewritten(inner, rewrite) for name, inner in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_rewritten(inner, rewrite) for inner in value))
    if isinstance(value, list | tuple):
        return type(value)(_rewritten(inner, rewrite) for inner in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _rewritten(getattr(value, f.name), rewrite) for f in fields(value)})
    return value


def _rewritten_recipe(recipe: Mapping[str, Any], rewrite: Rewrite) -> dict[str, Any]:
    """Return the recipe of a message with other values; the message itself is one of ours."""
    filled = {"values", "parts"}
    return {name: _rewritten(value, rewrite) if name in filled else value for name, value in recipe.items()}


def _last_two(found: re.Match[str]) -> str:
    parts = [part for part in re.split(r"[/\\]", found[0]) if part]
    return found[0] if len(parts) <= 2 else f"…/{'/'.join(parts[-2:])}"


def _last(path: str, *, keep: bool) -> str:
    last = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    return f"…/{last}" if last and (keep or re.search(r"\w\.\w+$", last)) else "…"


def _working_directories() -> list[str]:
    with suppress(OSError):
        here = os.getcwd()  # noqa: PTH109 - Path.cwd gives the same
        logical = os.environ.get("PWD", "")
        same = bool(logical) and os.path.realpath(logical) == os.path.realpath(here)
        return [here, *([logical] if same else [])]
    return []


def _folders(audit: Audit) -> list[str]:
    """Return folders of this machine, those of the audit's own files among them."""
    facts = audit.provenance
    baseline = facts.settings.get("baseline")
    own = [facts.data.name, str(baseline.get("report", "")) if isinstance(baseline, Mapping) else ""]
    found = [str(Path(path).absolute().parent) for path in own if path]
    with suppress(RuntimeError, OSError):
        found.append(str(Path.home()))
    with suppress(OSError):
        found.append(tempfile.gettempdir())
    return [*found, sys.prefix, sys.base_prefix, *(path for path in sys.path if Path(path).is_absolute())]


def _names(audit: Audit) -> list[str]:
    """Return the names of the user and the host, except those that are words of this report."""
    found = [platform.node(), platform.node().partition(".")[0]]
    with suppress(Exception):  # without a user name getpass raises what the system has raised
        found.append(getpass.getuser())
    facts = audit.provenance
    words = {name.lower() for name in (*facts.data.classes, *(layer.name for layer in facts.architecture.layers))}
    return [name for name in found if len(name) > 2 and name.lower() not in words | _UNTOLD]


def _alternatives(texts: Iterable[str]) -> str:
    """Return a pattern of literal texts, the longest first; the root folder alone is none."""
    kept = {text.rstrip("/\\") for text in texts}
    return "|".join(re.escape(text) for text in sorted(kept, key=len, reverse=True) if len(text) > 1)

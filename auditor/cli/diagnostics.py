"""Findings on the terminal: verdict, rule and numbers, then where, what to do, how to run it again, and the anchor."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from auditor.language import ENGLISH, speaking
from auditor.methods.attribution.names import method_name
from auditor.process.foreign_text import printable
from auditor.report import phrases
from auditor.report.anchors import anchors
from auditor.report.deciding import named
from auditor.report.worst_classes import worst_classes
from auditor.results import Audit, Cause, Finding, Result, Verdict

WIDEST = 100  # columns
_INDENT = 5
_MOST_LINES = 12  # of a list that comes with a finding


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `head` is the part of it that is emphasised, `rest` follows it."""

    verdict: Verdict | None
    head: str
    rest: str


@dataclass(frozen=True, slots=True)
class _Located:
    """A finding with its place.

    Attributes:
        finding: With the worst verdict of all that follows from it.
        follows: Names of the findings that follow from it.
    """

    finding: Finding
    result: Result
    anchor: str
    follows: tuple[str, ...] = ()


class Diagnostics:
    """Lays out the findings of an audit in lines of at most `width` columns.

    Args:
        verbose: Show all findings, whole lists, and the tracebacks of checks that broke.
        again: The command that runs a check of this name again; "" if there is none.
        page: The path of `report.html`; "" if it was not written.
    """

    def __init__(
        self, audit: Audit, *, width: int, verbose: bool = False, again: Callable[[str], str], page: str = ""
    ) -> None:
        self._audit, self._width, self._verbose = audit, min(width, WIDEST), verbose
        self._again, self._page = again, page

    def short(self) -> Iterator[Line]:
        """Yield what warns, failed or broke, without what to do about it."""
        for one in self._located():
            if one.finding.verdict >= Verdict.WARN:
                yield from self._told(one.finding)

    def full(self) -> Iterator[Line]:
        """Yield what warns, failed or broke, the worst first and by rule; then the rest that is asked for."""
        shown = [one for one in self._located() if one.finding.verdict >= Verdict.WARN]
        for group in _grouped(shown):
            yield from self._group(group)
        if self._verbose:
            for one in self._located():
                if Verdict.SKIP < one.finding.verdict < Verdict.WARN:
                    yield from self._told(one.finding)
                    yield from self._list(one.finding)
        yield from self._skips()

    def _located(self) -> list[_Located]:
        """Return all findings, the worst first; what follows from another one is named by that one."""
        causes = {id(cause.finding): cause for cause in self._audit.causes}
        followers = {id(finding) for cause in causes.values() for finding in cause.followers}
        found = [
            _located(finding, result, anchor, causes.get(id(finding)))
            for result, own in zip(self._audit.results, anchors(self._audit), strict=True)
            for finding, anchor in zip(phrases.findings(result), own, strict=True)
            if id(finding) not in followers
        ]
        return sorted(found, key=lambda one: -one.finding.verdict)

    def _group(self, group: Sequence[_Located]) -> Iterator[Line]:
        """Yield the findings of one rule; what to do is the same for all of them and comes once."""
        for one in group:
            yield from self._told(one.finding)
            yield from self._field("where", self._where(one.finding))
            yield from self._field("also", ", ".join(one.follows))
            yield from self._list(one.finding)
        first = group[0]
        for advice in dict.fromkeys(_help(one) for one in group):
            yield from self._field("help", advice)
        yield from self._field("again", self._again(first.result.check), broken=False)
        page = f"{self._page}#{first.anchor}" if self._page else ""
        yield from self._field("see", page, broken=False)
        if first.finding.verdict is Verdict.ERROR and first.finding.detail and not self._verbose:
            yield from self._field("note", "the traceback is in the report; --verbose shows it here")
        yield Line(None, "", "")

    def _told(self, finding: Finding) -> Iterator[Line]:
        """Yield the verdict, the rule and the numbers; then the message."""
        subject = f" [{printable(finding.subject)}]" if finding.subject else ""
        title, numbers = f"{printable(finding.rule)}{subject}", printable(relation(finding))
        message = printable(phrases.sentence(finding.message))
        if numbers:
            yield Line(finding.verdict, title, f"  {numbers}")
            yield from self._wrapped(message)
            return
        first, *more = self._fill(message, first=len(f"{finding.verdict} {title}  "))
        yield Line(finding.verdict, title, f"  {first}")
        yield from (Line(None, "", f"{' ' * _INDENT}{line}") for line in more)

    def _where(self, finding: Finding) -> str:
        facts = self._audit.provenance
        if any(layer.name == finding.subject for layer in facts.architecture.layers):
            return f"layer {finding.subject}"
        if finding.subject in facts.data.classes:
            return f"class {finding.subject}"
        if any(one.file == finding.subject for one in self._audit.recorded.answers):
            return f"file {finding.subject}"
        if finding.rule == "predictions.accuracy":
            return ", ".join(f"{one.name} {one.right} of {one.images}" for one in worst_classes(self._audit))
        return method_name(finding.subject) if finding.subject else ""

    def _list(self, finding: Finding) -> Iterator[Line]:
        """Yield the details that are too long to be advice; a traceback only if asked for."""
        if phrases.advice(finding) or not finding.detail:
            return
        if finding.verdict is Verdict.ERROR and not self._verbose:
            return
        lines = [printable(line) for line in finding.detail.split("\n")]
        shown = lines if self._verbose else lines[:_MOST_LINES]
        yield from (Line(None, "", f"{' ' * _INDENT}{line}") for line in shown)
        if more := len(lines) - len(shown):
            yield Line(None, "", f"{' ' * _INDENT}... {more} more lines: use -v, or see the report")

    def _skips(self) -> Iterator[Line]:
        """Yield each reason for which rules were skipped once, with the rules."""
        reasons: dict[str, list[str]] = {}
        for one in self._located():
            if one.finding.verdict is Verdict.SKIP:
                finding, subject = one.finding, one.finding.subject
                told = named(finding) if subject and not finding.message.startswith(subject) else finding.rule
                reasons.setdefault(finding.message, []).append(told.removesuffix(".skipped"))
        for reason, names in reasons.items():
            listed = ", ".join(dict.fromkeys(names))
            first, *more = self._fill(printable(f"{listed}: {reason}"), first=_INDENT)
            yield Line(Verdict.SKIP, "", first)
            yield from (Line(None, "", f"{' ' * _INDENT}{line}") for line in more)

    def _field(self, name: str, text: str, *, broken: bool = True) -> Iterator[Line]:
        """Yield a named line; one that is to be copied is not broken."""
        if not text:
            return
        label = f"{' ' * _INDENT}{name + ':':<7}"
        plain = printable(text)
        lines = self._fill(plain, first=len(label), rest=len(label)) if broken else [plain]
        for number, line in enumerate(lines):
            yield Line(None, "", f"{' ' * len(label) if number else label}{line}")

    def _wrapped(self, text: str) -> Iterator[Line]:
        yield from (Line(None, "", f"{' ' * _INDENT}{line}") for line in self._fill(text, first=_INDENT))

    def _fill(self, text: str, *, first: int, rest: int = _INDENT) -> list[str]:
        """Break a text into lines; the first one begins at column `first`, the others at column `rest`."""
        room = max(self._width - rest, 20)
        lead = min(max(first - rest, 0), room - 10)
        lines = textwrap.wrap("\0" * lead + text, room, break_long_words=False, break_on_hyphens=False)
        return [line.lstrip("\0") for line in lines] or [""]


def _located(finding: Finding, result: Result, anchor: str, cause: Cause | None) -> _Located:
    if cause is None:
        return _Located(finding, result, anchor)
    follows = tuple(named(one) for one in cause.followers)
    return _Located(replace(finding, verdict=cause.verdict), result, anchor, follows)


def relation(finding: Finding) -> str:
    """Return the value beside its limit, and what it was measured on: `75 % < 80 % (n = 44)`."""
    if finding.value is None:
        return ""
    with speaking(ENGLISH):
        text = phrases.measured(finding.value, finding.unit)
        limit = phrases.measured(finding.limit, finding.unit)
        if finding.value == finding.limit:
            text += f" = {limit}"
        elif finding.limit is not None and limit != text:  # two that read the same are no comparison
            text += f" {'<' if finding.value < finding.limit else '>'} {limit}"
    return text if finding.n is None else f"{text} (n = {finding.n:,})"


def _grouped(shown: Iterable[_Located]) -> list[list[_Located]]:
    groups: dict[tuple[Verdict, str], list[_Located]] = {}
    for one in shown:
        groups.setdefault((one.finding.verdict, one.finding.rule), []).append(one)
    return list(groups.values())


def _help(one: _Located) -> str:
    """Return what to do: what the finding says itself, else the advice of its rule."""
    facts = one.result.rules.get(one.finding.rule)
    detail = "" if one.finding.verdict is Verdict.ERROR else phrases.advice(one.finding)
    return " ".join(detail.split()) or (facts.advice if facts else "")

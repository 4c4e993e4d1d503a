"""The findings on the cover: the first of those that decided the verdict, as many as fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from auditor.config.branding import Letterhead
from auditor.language import short
from auditor.report import deciding
from auditor.report.blocks import Blocks, FindingBlock
from auditor.report.cards import Fact
from auditor.results import Audit, Verdict

_MOST = 3
_HEIGHT = 245.0  # of the cover in print.css, in mm; the heights below are of its parts
_ROW, _LINE, _TITLE_LINE = 6.3, 5.2, 13.2
_FIXED = 96.0  # wordmark, kicker, verdict with a headline of one line and its counts, heading, all margins
_LOGO, _MARK, _BANNER, _FINDING = 10.0, 9.5, 12.0, 10.0  # each without its lines
_TITLE_LETTERS, _BOLD_LETTERS, _LETTERS = 22, 62, 72  # per line in a wide font
_LONGEST_MESSAGE, _LONGEST_NAME = 3 * _BOLD_LETTERS, 60
_ADVICE = (3, 2)  # lines of advice to try; the first with which most findings fit


def leading(
    audit: Audit, blocks: Blocks, *, title: str, subject: str, letterhead: Letterhead, imprint: Sequence[Fact]
) -> tuple[FindingBlock, ...]:
    """Return the first findings that decided the verdict, as many as fit, with shortened advice."""
    if audit.verdict < Verdict.WARN:
        return ()
    room = _HEIGHT - _height_of_the_rest(audit, title, subject, letterhead, imprint)
    found = [blocks.finding(*pair) for pair in deciding.one_of_each(audit)[:_MOST]]
    return max((tuple(_fitting(found, advice, room)) for advice in _ADVICE), key=len)


def _height_of_the_rest(
    audit: Audit, title: str, subject: str, letterhead: Letterhead, imprint: Sequence[Fact]
) -> float:
    """Return an upper bound of the height of everything else, in mm."""
    rows = sum(_lines(fact.value) for fact in imprint) + (_lines(letterhead.footer) if letterhead.footer else 0)
    banners = sum(_BANNER + _LINE * _lines(banner) for banner in (*deciding.banners(audit), *deciding.cautions(audit)))
    return (
        _FIXED
        + _TITLE_LINE * _lines(title, _TITLE_LETTERS)
        + (_MARK + _LINE * _lines(subject) if subject else 0)
        + (_MARK if letterhead.confidential else 0)
        + (_LOGO if letterhead.logo else 0)
        + banners
        + _ROW * rows
    )


def _fitting(findings: Sequence[FindingBlock], advice: int, room: float) -> Iterator[FindingBlock]:
    """Yield the first findings that fit, each with `advice` lines of advice."""
    for finding in findings:
        brief = _shortened(finding, advice)
        room -= _FINDING + _LINE * (_lines(brief.message, _BOLD_LETTERS) + _lines(brief.advice))
        if room < 0:
            return
        yield brief


def _lines(text: str, letters: int = _LETTERS) -> int:
    return math.ceil(len(text) / letters)


def _shortened(finding: FindingBlock, advice: int) -> FindingBlock:
    return replace(
        finding,
        rule=short(finding.rule, _LONGEST_NAME),
        subject=short(finding.subject, _LONGEST_NAME),
        message=short(finding.message, _LONGEST_MESSAGE),
        advice=short(finding.advice or finding.detail, advice * _LETTERS),
    )

"""`summary.pdf`: the audit on at most four pages, for decision makers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from auditor.language import many, short
from auditor.report import deciding, pdf, phrases, templates
from auditor.report.album import Album
from auditor.report.blocks import PRINT, Block, Blocks, FigureBlock, FindingBlock, GalleryBlock
from auditor.report.cards import Card, Fact
from auditor.report.page import Page, Section, page_of, without_pictures
from auditor.results import Audit, Figure, Gallery, Result

NAME = "summary.pdf"
PAGES = 4

Value = TypeVar("Value")

_SIDE_BY_SIDE = 6  # pictures of a gallery
_NOTES = 3
_LONGEST_TITLE, _LONGEST_FACT, _LONGEST_NAME, _LONGEST_CAPTION = 90, 80, 60, 240


@dataclass(frozen=True, slots=True)
class Budget:
    """How much to put on the pages: numbers of findings, checks and pictures, and letters of a sentence."""

    findings: int
    checks: int
    pictures: int
    letters: int


_BUDGETS = (
    Budget(12, 36, 4, 320),
    Budget(12, 36, 3, 320),
    Budget(10, 28, 2, 240),
    Budget(6, 16, 0, 150),
    Budget(3, 6, 0, 64),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A check in the table of checks, with its worst finding."""

    section: Section
    found: str


@dataclass(frozen=True, slots=True)
class Brief:
    """What a summary prints besides its page; `more_checks` says how many checks were left out."""

    checks: tuple[Line, ...]
    more_checks: str
    pictures: tuple[tuple[str, Block], ...]


def save(audit: Audit, folder: Path, folders: Sequence[Path] = ()) -> None:
    """Write `summary.pdf`.

    Raises:
        OutputError: For the same reasons as for `report.pdf`.
    """
    pdf.write(_fitting(audit, folders), folder / NAME)


def _fitting(audit: Audit, folders: Sequence[Path]) -> Any:
    """Return the fullest document that fits on the pages; if none does, its first pages."""
    style = templates.asset("print.css", folders)
    bare, album = page_of(without_pictures(audit), PRINT, Album()), Album(shrink=True)
    for budget in _BUDGETS:
        page, brief = _page(audit, bare, budget), _brief(audit, bare, budget, album)
        text = templates.render("brief.html", page, folders, brief=brief, style=style)
        document = pdf.laid_out(text, NAME, album.files)
        if len(document.pages) <= PAGES:
            return document
    return document.copy(document.pages[:PAGES])


def _page(audit: Audit, page: Page, budget: Budget) -> Page:
    """Return the page with as many findings and letters as the budget allows."""
    chosen = deciding.one_of_each(audit)
    blocks = Blocks(PRINT, Album())
    findings = tuple(_finding(blocks.finding(check, finding), budget) for check, finding in chosen[: budget.findings])
    brief = _shortened(
        replace(page, sections=(), tables=(), provenance=(), deciding=(), notes=page.notes[:_NOTES]), budget.letters
    )
    return replace(
        brief,
        letterhead=page.letterhead,
        title=short(page.title, _LONGEST_TITLE),
        subject=short(page.subject, _LONGEST_TITLE),
        network=short(page.network, _LONGEST_NAME),
        data=short(page.data, _LONGEST_NAME),
        imprint=_facts(page.imprint, budget),
        cards=tuple(
            Card(card.title, short(card.lead, _LONGEST_NAME), _facts(card.facts, budget)) for card in page.cards
        ),
        deciding=findings,
        more_deciding=_more_findings(len(chosen) - len(findings)),
    )


def _finding(block: FindingBlock, budget: Budget) -> FindingBlock:
    rule, subject = short(block.rule, _LONGEST_NAME), short(block.subject, _LONGEST_NAME)
    value, limit = short(block.value, _LONGEST_NAME), short(block.limit, _LONGEST_NAME)
    return replace(_shortened(block, budget.letters), rule=rule, subject=subject, value=value, limit=limit)


def _facts(facts: Sequence[Fact], budget: Budget) -> tuple[Fact, ...]:
    """Return the facts in words, without the checksums, which the full report has."""
    letters = min(_LONGEST_FACT, budget.letters)
    return tuple(
        Fact(short(fact.name, 24), short(fact.value, letters), fact.kind) for fact in facts if fact.kind != "code"
    )


def _brief(audit: Audit, page: Page, budget: Budget, album: Album) -> Brief:
    lines = [_line(section, budget) for section in page.sections]
    if len(lines) > budget.checks:
        order = [result.verdict for result in audit.results]
        lines = [line for _, line in sorted(zip(order, lines, strict=True), key=lambda pair: -pair[0])]
    shown = tuple(lines[: budget.checks])
    return Brief(shown, _more_checks(len(lines) - len(shown)), _pictures(audit, budget, album))


def _line(section: Section, budget: Budget) -> Line:
    worst = section.findings[0].message if section.findings else ""
    return Line(
        _shortened(
            replace(section, check=short(section.check, 40), findings=(), kept=(), blocks=()), min(160, budget.letters)
        ),
        short(worst, min(200, budget.letters)),
    )


def _pictures(audit: Audit, budget: Budget, album: Album) -> tuple[tuple[str, Block], ...]:
    """Return the first pictures of some checks, those with the worst verdicts first."""
    blocks, shown = Blocks(PRINT, album), list[tuple[str, Block]]()
    for result in sorted(audit.results, key=lambda result: -result.verdict):
        if len(shown) == budget.pictures:
            break
        if (block := _picture(result, blocks)) is not None:
            shown.append((short(result.check, 40), block))
    return tuple(shown)


def _picture(result: Result, blocks: Blocks) -> FigureBlock | GalleryBlock | None:
    """Return the first gallery of a check, cut to one row, or else its first figure."""
    shown = [piece for piece in result.evidence if isinstance(piece, Figure | Gallery)]
    piece = next((piece for piece in shown if isinstance(piece, Gallery)), shown[0] if shown else None)
    if piece is None:
        return None
    title, caption = short(piece.title, _LONGEST_TITLE), short(piece.caption, _LONGEST_CAPTION)
    if isinstance(piece, Gallery):
        items = tuple(
            replace(item, label=short(item.label, _LONGEST_NAME), file=short(item.file, _LONGEST_NAME))
            for item in piece.items[:_SIDE_BY_SIDE]
        )
        block = blocks.of(replace(piece, items=items, title=title, caption=caption))
        return block if isinstance(block, GalleryBlock) and any(i.picture.source for i in block.items) else None
    block = blocks.of(replace(piece, alt=piece.alt or phrases.described(piece), title=title, caption=caption))
    return block if isinstance(block, FigureBlock) and block.picture.source else None


def _more_findings(count: int) -> str:
    if count <= 0:
        return ""
    return many("and {count} more finding in the full report", "and {count} more findings in the full report", count)


def _more_checks(count: int) -> str:
    if count <= 0:
        return ""
    return many("and {count} more check in the full report", "and {count} more checks in the full report", count)


def _shortened(value: Value, letters: int) -> Value:
    """Return the same value with every text in it on one line and shortened."""
    changed: Any = value
    if isinstance(value, str):
        changed = short(value, letters)
    elif isinstance(value, tuple):
        changed = tuple(_shortened(inner, letters) for inner in value)
    elif is_dataclass(value) and not isinstance(value, type):
        changed = replace(value, **{f.name: _shortened(getattr(value, f.name), letters) for f in fields(value)})
    return changed  # type: ignore[no-any-return]

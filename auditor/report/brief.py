"""`summary.pdf`: the audit on at most four pages, for who decides."""

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
from auditor.report.page import Page, Section, page_of
from auditor.results import Audit, Figure, Gallery, Result, Table

NAME = "summary.pdf"
PAGES = 4

Value = TypeVar("Value")

_SIDE_BY_SIDE = 6  # pictures of a gallery
_NOTES = 3
_LONGEST_TITLE, _LONGEST_FACT, _LONGEST_NAME, _LONGEST_CAPTION = 90, 80, 60, 240


@dataclass(frozen=True, slots=True)
class Room:
    """How much is tried to fit on the pages: how many of each, and letters of a sentence."""

    findings: int
    checks: int
    pictures: int
    letters: int


_ROOMS = (
    Room(12, 36, 4, 320),
    Room(12, 36, 3, 320),
    Room(10, 28, 2, 240),
    Room(6, 16, 0, 150),
    Room(3, 6, 0, 64),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A check in the table of checks, with the worst that it found."""

    section: Section
    found: str


@dataclass(frozen=True, slots=True)
class Brief:
    """What a summary prints beside its page; what was left out is counted in words."""

    checks: tuple[Line, ...]
    more_checks: str
    pictures: tuple[tuple[str, Block], ...]


def save(audit: Audit, folder: Path, folders: Sequence[Path] = ()) -> None:
    """Write `summary.pdf`.

    Raises:
        OutputError: As for `report.pdf`.
    """
    pdf.write(_fitting(audit, folders), folder / NAME)


def _fitting(audit: Audit, folders: Sequence[Path]) -> Any:
    """Return the fullest document that keeps to its pages; of templates that never do, the first pages."""
    style = templates.asset("print.css", folders)
    bare, album = page_of(_without_pictures(audit), PRINT, Album()), Album(shrink=True)
    for room in _ROOMS:
        page, brief = _page(audit, bare, room), _brief(audit, bare, room, album)
        text = templates.render("brief.html", page, folders, brief=brief, style=style)
        document = pdf.laid_out(text, NAME, album.files)
        if len(document.pages) <= PAGES:
            return document
    return document.copy(document.pages[:PAGES])


def _without_pictures(audit: Audit) -> Audit:
    """Return the audit with the same verdicts and findings, and nothing in place of what was shown."""
    nothing = Table("", "", (), ())
    results = tuple(
        replace(result, evidence=result.findings + (nothing,) * (len(result.findings) < len(result.evidence)))
        for result in audit.results
    )
    return replace(audit, results=results)


def _page(audit: Audit, page: Page, room: Room) -> Page:
    """Return the page with few findings and short texts."""
    chosen = deciding.one_of_each(audit)
    blocks = Blocks(PRINT, Album())
    findings = tuple(_finding(blocks.finding(check, finding), room) for check, finding in chosen[: room.findings])
    brief = _shortened(
        replace(page, sections=(), tables=(), provenance=(), deciding=(), notes=page.notes[:_NOTES]), room.letters
    )
    return replace(
        brief,
        letterhead=page.letterhead,
        title=short(page.title, _LONGEST_TITLE),
        subject=short(page.subject, _LONGEST_TITLE),
        network=short(page.network, _LONGEST_NAME),
        data=short(page.data, _LONGEST_NAME),
        imprint=_facts(page.imprint, room),
        cards=tuple(Card(card.title, short(card.lead, _LONGEST_NAME), _facts(card.facts, room)) for card in page.cards),
        deciding=findings,
        more_deciding=_more_findings(len(chosen) - len(findings)),
    )


def _finding(block: FindingBlock, room: Room) -> FindingBlock:
    rule, subject = short(block.rule, _LONGEST_NAME), short(block.subject, _LONGEST_NAME)
    value, limit = short(block.value, _LONGEST_NAME), short(block.limit, _LONGEST_NAME)
    return replace(_shortened(block, room.letters), rule=rule, subject=subject, value=value, limit=limit)


def _facts(facts: Sequence[Fact], room: Room) -> tuple[Fact, ...]:
    """Return what is said in words; checksums stand in the full report."""
    letters = min(_LONGEST_FACT, room.letters)
    return tuple(
        Fact(short(fact.name, 24), short(fact.value, letters), fact.kind) for fact in facts if fact.kind != "code"
    )


def _brief(audit: Audit, page: Page, room: Room, album: Album) -> Brief:
    lines = [_line(section, room) for section in page.sections]
    if len(lines) > room.checks:
        order = [result.verdict for result in audit.results]
        lines = [line for _, line in sorted(zip(order, lines, strict=True), key=lambda pair: -pair[0])]
    shown = tuple(lines[: room.checks])
    return Brief(shown, _more_checks(len(lines) - len(shown)), _pictures(audit, room, album))


def _line(section: Section, room: Room) -> Line:
    worst = section.findings[0].message if section.findings else ""
    return Line(
        _shortened(
            replace(section, check=short(section.check, 40), findings=(), kept=(), blocks=()), min(160, room.letters)
        ),
        short(worst, min(200, room.letters)),
    )


def _pictures(audit: Audit, room: Room, album: Album) -> tuple[tuple[str, Block], ...]:
    """Return the first pictures of some checks, those that judged worst before the others."""
    blocks, shown = Blocks(PRINT, album), list[tuple[str, Block]]()
    for result in sorted(audit.results, key=lambda result: -result.verdict):
        if len(shown) == room.pictures:
            break
        if (block := _picture(result, blocks)) is not None:
            shown.append((short(result.check, 40), block))
    return tuple(shown)


def _picture(result: Result, blocks: Blocks) -> FigureBlock | GalleryBlock | None:
    """Return the first gallery of a check, cut to what stands side by side, or its first figure."""
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
    """Return the same value with every text in it on one line and cut."""
    changed: Any = value
    if isinstance(value, str):
        changed = short(value, letters)
    elif isinstance(value, tuple):
        changed = tuple(_shortened(inner, letters) for inner in value)
    elif is_dataclass(value) and not isinstance(value, type):
        changed = replace(value, **{f.name: _shortened(getattr(value, f.name), letters) for f in fields(value)})
    return changed  # type: ignore[no-any-return]

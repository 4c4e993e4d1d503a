"""A whole report as the templates print it. They loop over this and decide nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from auditor.config import branding
from auditor.config.branding import Letterhead
from auditor.language import _, current, many, short
from auditor.report import cards, deciding, phrases, rules
from auditor.report.album import Album, Picture
from auditor.report.blocks import Badge, Block, Blocks, FindingBlock, Medium, TableBlock
from auditor.report.cards import Card, Fact
from auditor.report.cover import leading
from auditor.report.phrases import duration
from auditor.report.picture_files import slug
from auditor.report.remarks import is_doubt, remarks
from auditor.report.views import Known, Placed, Views, views_of
from auditor.results import Audit, Finding, Result, Table, Verdict

_MOST_DECIDING = 8


@dataclass(frozen=True, slots=True)
class Remark:
    """What another check found of a method that this one shows; `target` is that check's section.

    Attributes:
        doubt: It is to be known wherever the pictures are spoken of.
    """

    badge: Badge
    message: str
    check: str
    target: str
    doubt: bool


@dataclass(frozen=True, slots=True)
class Section:
    """One check.

    Attributes:
        remarks: What other checks found of the methods that it shows.
        findings: The worst first; `kept` are more that are no worse than `pass`.
        kept_title: `12 more that pass`, or nothing.
        time: The seconds as a number to sort by.
        rules: What it judges by, with the limits of this run.
    """

    id: str
    number: int
    check: str
    question: str
    badge: Badge
    guide: str
    source: str
    seconds: str
    time: str
    count: str
    findings: tuple[FindingBlock, ...]
    kept: tuple[FindingBlock, ...]
    kept_title: str
    blocks: tuple[Block, ...]
    remarks: tuple[Remark, ...] = ()
    rules: TableBlock | None = None


@dataclass(frozen=True, slots=True)
class Count:
    """How many findings there are of one verdict."""

    badge: Badge
    count: int
    words: str


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Attributes:
        language: As `<html lang>` wants it.
        title: The checkpoint's name, or the title of one's own; `subject` is the name then, and else empty.
        running: As much of the title as fits the foot of a page.
        banners: What limits the whole audit: it was interrupted, it is incomplete.
        leading: The first of the findings that made the verdict, shortened to fit the cover.
        deciding: All of them; `more_deciding` says how many were left out.
        not_run: Checks that had no turn.
        views: The same evidence by image, channel, class and layer, where the medium has room for it.
        repeated: Pictures that stand at more than one place, so that a page can store them once.
    """

    language: str
    kind: str
    title: str
    running: str
    subject: str
    letterhead: Letterhead
    checksum: str
    network: str
    data: str
    date: str
    day: str
    version: str
    imprint: tuple[Fact, ...]
    badge: Badge
    headline: str
    counts: tuple[Count, ...]
    banners: tuple[str, ...]
    notes: tuple[str, ...]
    deciding_title: str
    leading: tuple[FindingBlock, ...]
    deciding: tuple[FindingBlock, ...]
    more_deciding: str
    cards: tuple[Card, ...]
    sections: tuple[Section, ...]
    not_run: tuple[str, ...]
    provenance: tuple[Card, ...]
    tables: tuple[TableBlock, ...]
    views: Views
    repeated: dict[str, Picture]


def page_of(audit: Audit, medium: Medium, album: Album) -> Page:
    """Return everything that a report in this medium prints."""
    known = Known.of(audit)
    blocks = Blocks(medium, album, known.by_file())
    sections = tuple(_section(number, audit, blocks, medium) for number in range(1, len(audit.results) + 1))
    facts = audit.provenance
    own = branding.recorded(facts.settings.get("report"))
    title, subject = own.title or _title(audit), _title(audit) if own.title else ""
    imprint = cards.imprint(audit, subject)
    decided = tuple(blocks.finding(check, finding) for check, finding in deciding.deciding(audit))
    return Page(
        language=current().name,
        kind=_("Comparison of two audits") if audit.comparison else _("Audit of a trained image classifier"),
        title=title,
        running=short(title, 60),
        subject=subject,
        letterhead=own,
        checksum=facts.checkpoint.sha256,
        network=facts.architecture.name,
        data=facts.data.name or phrases.images(facts.data.images),
        date=phrases.date(facts.started),
        day=facts.started,
        version=str(facts.versions.get("auditor", "")),
        imprint=imprint,
        badge=Badge.of(audit.verdict),
        headline=phrases.headline(audit),
        counts=_counts(audit),
        banners=deciding.banners(audit),
        notes=facts.notes,
        deciding_title=deciding.title(audit.verdict),
        leading=leading(audit, blocks, title=title, subject=subject, letterhead=own, imprint=imprint),
        deciding=decided[:_MOST_DECIDING],
        more_deciding=_more_deciding(len(decided) - _MOST_DECIDING),
        cards=cards.overview(audit),
        sections=sections,
        not_run=audit.not_run,
        provenance=cards.provenance(audit),
        tables=tuple(blocks.table(table) for table in (*_rules(audit, medium), *cards.tables(audit))),
        views=_views(audit, sections, known, blocks, album) if medium.views else Views(),
        repeated=album.repeated,
    )


def _title(audit: Audit) -> str:
    """Return the name of the checkpoint; of a comparison the names of both, or where their reports lie."""
    now, baseline = audit.provenance.checkpoint.name, audit.provenance.settings.get("baseline")
    if not audit.comparison or not isinstance(baseline, Mapping):
        return now
    before = str(baseline.get("checkpoint", ""))
    if before == now:
        return _("{name} against an earlier one", name=now)
    return _("{now} against {before}", now=now, before=before)


def _section(number: int, audit: Audit, blocks: Blocks, medium: Medium) -> Section:
    result = audit.results[number - 1]
    found = sorted(phrases.findings(result), key=lambda finding: -finding.verdict)
    worse = sum(finding.verdict > Verdict.PASS for finding in found)
    shown = max(worse, medium.passes)
    return Section(
        id=_id(number, result),
        number=number,
        check=result.check,
        question=result.question,
        badge=Badge.of(result.verdict),
        guide=result.guide,
        source=result.source,
        seconds=duration(result.seconds),
        time=str(result.seconds) if math.isfinite(result.seconds) else "",
        count=phrases.decimal(len(found)),
        findings=_blocks(blocks, result.check, found[:shown]),
        kept=_blocks(blocks, result.check, found[shown:]),
        kept_title=_kept(len(found) - shown) if found[shown:] else "",
        blocks=tuple(blocks.of(piece) for piece in result.evidence if not isinstance(piece, Finding)),
        remarks=tuple(_remarks(audit, result)),
        rules=blocks.table(rules.of_check(result)) if result.rules else None,
    )


def _rules(audit: Audit, medium: Medium) -> tuple[Table, ...]:
    """Return the table of all rules, where the medium does not fold one away in each section."""
    return () if medium.views or not any(result.rules for result in audit.results) else (rules.of_audit(audit),)


def _remarks(audit: Audit, result: Result) -> Iterable[Remark]:
    targets = {one.check: _id(number, one) for number, one in enumerate(audit.results, start=1)}
    for check, finding in remarks(audit, result):
        message = phrases.sentence(finding.message)
        yield Remark(Badge.of(finding.verdict), message, check, targets[check], is_doubt(finding))


def _id(number: int, result: Result) -> str:
    return f"check-{number}-{slug(result.check, 'check')}"


def _views(audit: Audit, sections: Iterable[Section], known: Known, blocks: Blocks, album: Album) -> Views:
    placed = []
    for result, section in zip(audit.results, sections, strict=True):
        shown = iter(section.blocks)
        for piece in result.evidence:
            block = None if isinstance(piece, Finding) else next(shown)
            placed.append(Placed(result.check, section.id, piece, block))
    layers = [layer.name for layer in audit.provenance.architecture.layers]
    return views_of(placed, known, layers, blocks, album)


def _blocks(blocks: Blocks, check: str, findings: Iterable[Finding]) -> tuple[FindingBlock, ...]:
    return tuple(blocks.finding(check, finding) for finding in findings)


def _kept(count: int) -> str:
    return many("{count} more finding that raised nothing", "{count} more findings that raised nothing", count)


def _more_deciding(count: int) -> str:
    if count <= 0:
        return ""
    return many(
        "{count} more finding of this kind: see the sections below.",
        "{count} more findings of this kind: see the sections below.",
        count,
    )


def _counts(audit: Audit) -> tuple[Count, ...]:
    found = [finding.verdict for result in audit.results for finding in phrases.findings(result)]
    return tuple(
        Count(Badge.of(verdict), found.count(verdict), _counted(verdict, found.count(verdict)))
        for verdict in phrases.VERDICTS
        if verdict in found
    )


def _counted(verdict: Verdict, count: int) -> str:
    """Return what so many findings are, without the number."""
    return {
        Verdict.ERROR: many("broken", "broken", count),
        Verdict.FAIL: many("failed", "failed", count),
        Verdict.WARN: many("to look at", "to look at", count),
        Verdict.PASS: many("passed", "passed", count),
        Verdict.INFO: many("for information", "for information", count),
        Verdict.SKIP: many("skipped", "skipped", count),
    }[verdict]

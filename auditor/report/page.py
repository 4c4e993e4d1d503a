"""A whole report in the form that templates print. Templates loop over it and decide nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from auditor.config import branding
from auditor.config.branding import Letterhead
from auditor.language import _, current, many, short
from auditor.report import cards, deciding, phrases, rules
from auditor.report.album import Album, Picture
from auditor.report.anchors import anchors
from auditor.report.blocks import Badge, Block, Blocks, FindingBlock, Medium, TableBlock
from auditor.report.cards import Card, Fact
from auditor.report.counts import counts
from auditor.report.cover import leading
from auditor.report.phrases import duration
from auditor.report.picture_files import slug
from auditor.report.remarks import is_doubt, remarks
from auditor.report.unassessed import Gap, not_assessed
from auditor.report.views import Known, Placed, Views, views_of
from auditor.results import Audit, Finding, Result, Table, Verdict

_MOST_DECIDING = 8


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding of another check about a method that this check shows; `target` is the section of that check.

    Attributes:
        doubt: Whether it casts doubt on the pictures, so the summary shows it too.
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
        remarks: Findings of other checks about the methods that this check shows.
        findings: The findings, worst first; `kept` has more that are no worse than `pass`.
        kept_title: Number of findings in `kept`, as text; empty if there are none.
        time: The duration in seconds, to sort by.
        rules: The rules that this check judges by, with the limits of this run.
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
    """The number of findings with one verdict."""

    badge: Badge
    count: int
    words: str


@dataclass(frozen=True, slots=True)
class Page:
    """A report.

    Attributes:
        language: Language code for `<html lang>`.
        title: The title in `[report]`, or the name of the checkpoint; `subject` is that name if there is a title.
        running: The part of the title that fits the foot of a page.
        banners: Notes that limit the whole audit: it was interrupted, or it stopped early.
        cautions: What a reader has to know before the verdict: code of the checkpoint was trusted.
        leading: First findings that decided the verdict, shortened to fit the cover.
        deciding: Findings that decided the verdict; `more_deciding` says how many were left out.
        not_run: Checks that did not run.
        not_assessed: What the audit says nothing about, and why.
        views: The same evidence by image, channel, class and layer; empty if the medium has no views.
        repeated: Pictures that are used more than once, so that a page can store them once.
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
    cautions: tuple[str, ...]
    notes: tuple[str, ...]
    deciding_title: str
    leading: tuple[FindingBlock, ...]
    deciding: tuple[FindingBlock, ...]
    more_deciding: str
    cards: tuple[Card, ...]
    sections: tuple[Section, ...]
    not_run: tuple[str, ...]
    not_assessed: tuple[Gap, ...]
    provenance: tuple[Card, ...]
    tables: tuple[TableBlock, ...]
    views: Views
    repeated: dict[str, Picture]


def page_of(audit: Audit, medium: Medium, album: Album) -> Page:
    """Return everything that a report prints in this medium."""
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
        cautions=deciding.cautions(audit),
        notes=facts.notes,
        deciding_title=deciding.title(audit.verdict),
        leading=leading(audit, blocks, title=title, subject=subject, letterhead=own, imprint=imprint),
        deciding=decided[:_MOST_DECIDING],
        more_deciding=_more_deciding(len(decided) - _MOST_DECIDING),
        cards=cards.overview(audit),
        sections=sections,
        not_run=audit.not_run,
        not_assessed=not_assessed(audit),
        provenance=cards.provenance(audit),
        tables=(*_rules(audit, blocks, medium), *(blocks.table(table) for table in cards.tables(audit))),
        views=_views(audit, sections, known, blocks, album) if medium.views else Views(),
        repeated=album.repeated,
    )


def without_pictures(audit: Audit) -> Audit:
    """Return the audit with the same verdicts and findings, and an empty table in place of other evidence."""
    nothing = Table("", "", (), ())
    results = tuple(
        replace(result, evidence=result.findings + (nothing,) * (len(result.findings) < len(result.evidence)))
        for result in audit.results
    )
    return replace(audit, results=results)


def _title(audit: Audit) -> str:
    """Return the name of the checkpoint; for a comparison, the names of both."""
    now, baseline = audit.provenance.checkpoint.name, audit.provenance.settings.get("baseline")
    if not audit.comparison or not isinstance(baseline, Mapping):
        return now
    before = str(baseline.get("checkpoint", ""))
    if before == now:
        return _("{name} compared with an earlier audit", name=now)
    return _("{now} compared with {before}", now=now, before=before)


def _section(number: int, audit: Audit, blocks: Blocks, medium: Medium) -> Section:
    result = audit.results[number - 1]
    anchored = zip(phrases.findings(result), anchors(audit)[number - 1], strict=True)
    found = sorted(anchored, key=lambda pair: -pair[0].verdict)
    worse = sum(finding.verdict > Verdict.PASS for finding, _anchor in found)
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


def _rules(audit: Audit, blocks: Blocks, medium: Medium) -> tuple[TableBlock, ...]:
    """Return the table of all rules, where the medium does not fold one away in each section."""
    if medium.views or not any(result.rules for result in audit.results):
        return ()
    return (blocks.table(rules.of_audit(audit), whole=True),)


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


def _blocks(blocks: Blocks, check: str, findings: Iterable[tuple[Finding, str]]) -> tuple[FindingBlock, ...]:
    return tuple(blocks.finding(check, finding, anchor) for finding, anchor in findings)


def _kept(count: int) -> str:
    return many("{count} more finding without a warning", "{count} more findings without a warning", count)


def _more_deciding(count: int) -> str:
    if count <= 0:
        return ""
    return many(
        "{count} more finding of this kind: see the sections below.",
        "{count} more findings of this kind: see the sections below.",
        count,
    )


def _counts(audit: Audit) -> tuple[Count, ...]:
    return tuple(Count(Badge.of(verdict), count, _counted(verdict, count)) for verdict, count in counts(audit).items())


def _counted(verdict: Verdict, count: int) -> str:
    """Return the word after the number of findings with a verdict."""
    return {
        Verdict.ERROR: many("broke", "broke", count),
        Verdict.FAIL: many("failed", "failed", count),
        Verdict.WARN: many("warned", "warned", count),
        Verdict.PASS: many("passed", "passed", count),
        Verdict.INFO: many("for information", "for information", count),
        Verdict.SKIP: many("skipped", "skipped", count),
    }[verdict]

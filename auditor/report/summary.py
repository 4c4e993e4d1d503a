"""`summary.md`: verdict, deciding findings and a line per check, for a pull request or a GitHub step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from auditor.language import _, many
from auditor.methods.attribution.names import method_name
from auditor.report import deciding, markdown, phrases
from auditor.report.unassessed import Gap, not_assessed
from auditor.results import Audit, Finding, Result, RuleFacts, Verdict

NAME = "summary.md"

_MOST_DECIDING = 30
_LONGEST = 300  # letters of a message; lists of tensors are longer
_ICONS = {
    Verdict.ERROR: "\N{COLLISION SYMBOL}",
    Verdict.FAIL: "\N{CROSS MARK}",
    Verdict.WARN: "\N{WARNING SIGN}\N{VARIATION SELECTOR-16}",
    Verdict.PASS: "\N{WHITE HEAVY CHECK MARK}",
    Verdict.INFO: "\N{INFORMATION SOURCE}\N{VARIATION SELECTOR-16}",
    Verdict.SKIP: "\N{WHITE CIRCLE}",
}


def save(audit: Audit, folder: Path) -> None:
    """Write `summary.md`."""
    (folder / NAME).write_text(text(audit), encoding="utf-8", newline="\n")


def text(audit: Audit) -> str:
    """Return the summary as Markdown."""
    parts = [
        f"## {_title(audit)}",
        *_accuracy(audit),
        markdown.text(phrases.headline(audit)),
        *(f"**{markdown.text(banner)}**" for banner in (*deciding.banners(audit), *deciding.cautions(audit))),
        *_decided(audit),
        *_unassessed(audit),
        "### " + _("Checks"),
        *_checks(audit),
        _imprint(audit),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _title(audit: Audit) -> str:
    name = markdown.text(audit.provenance.checkpoint.name)
    told = _("{verdict}: {name}", verdict=phrases.verdict(audit.verdict), name=name)
    return f"{_ICONS[audit.verdict]} {told}"


def _accuracy(audit: Audit) -> Iterator[str]:
    """Yield the accuracy and its change against the baseline, where they were measured."""
    for rule in ("predictions.accuracy", "baseline.accuracy"):
        for finding in audit.findings:
            if finding.rule == rule and finding.value is not None and not finding.subject:
                yield f"{_ICONS[finding.verdict]} **{markdown.text(_cut(phrases.sentence(finding.message)))}**"


def _decided(audit: Audit) -> Iterator[str]:
    found = [finding for check, finding in deciding.one_of_each(audit)]
    facts = {name: known for result in audit.results for name, known in result.rules.items()}
    if not found:
        return
    yield f"### {deciding.title(audit.verdict)}"
    yield "\n".join(_finding(finding, facts.get(finding.rule)) for finding in found[:_MOST_DECIDING])
    if (more := len(found) - _MOST_DECIDING) > 0:
        yield many(
            "{count} more finding of this kind: see the report.",
            "{count} more findings of this kind: see the report.",
            more,
        )


def _unassessed(audit: Audit) -> Iterator[str]:
    gaps = not_assessed(audit)
    if gaps:
        yield "<details><summary>" + _("Not assessed") + "</summary>"
        yield "\n".join(_gap(gap) for gap in gaps)
        yield "</details>"


def _gap(gap: Gap) -> str:
    subjects = ", ".join(markdown.code(subject) for subject in gap.subjects)
    return f"- {markdown.text(_cut(gap.reason))}{f' ({subjects})' if subjects else ''}"


def _finding(finding: Finding, facts: RuleFacts | None) -> str:
    """Return a finding as a list item: verdict, rule, subject, message, numbers, advice.

    The advice is that of the rule if it has one: the finding's own may list layers and tensors.
    """
    numbers = phrases.numbers(finding)
    parts = (
        f"{_ICONS[finding.verdict]} **{phrases.verdict(finding.verdict)}**",
        markdown.code(finding.rule),
        markdown.code(method_name(finding.subject)),
        markdown.text(_cut(phrases.sentence(finding.message))),
        f"({markdown.text(numbers)})" if numbers else "",
        markdown.text(facts.advice if facts and facts.advice else phrases.advice(finding)),
    )
    return f"- {' '.join(part for part in parts if part)}"


def _checks(audit: Audit) -> Iterator[str]:
    """Yield the table of the checks that need a look, and a folded one of those that don't."""
    passed = [result for result in audit.results if result.verdict in (Verdict.PASS, Verdict.INFO)]
    others = [_check(result) for result in audit.results if result not in passed]
    left_out = [(markdown.code(check), _("Not run"), "", "") for check in audit.not_run]
    if others or left_out:
        yield _table([*others, *left_out])
    if passed:
        title = many("{count} check without a warning", "{count} checks without a warning", len(passed))
        yield f"<details><summary>{markdown.text(title)}</summary>"
        yield _table([_check(result) for result in passed])
        yield "</details>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    head = (_("Check"), _("Verdict"), _("Time"), _("Worst finding"))
    return "\n".join(markdown.table(head, rows, right=(2,)))


def _check(result: Result) -> tuple[str, ...]:
    worst = max(phrases.findings(result), key=lambda finding: finding.verdict, default=None)
    return (
        f"{markdown.code(result.check)} {markdown.text(result.question)}".strip(),
        f"{_ICONS[result.verdict]} {phrases.verdict(result.verdict)}",
        phrases.duration(result.seconds),
        markdown.text(_cut(phrases.sentence(worst.message))) if worst else "",
    )


def _imprint(audit: Audit) -> str:
    facts = audit.provenance
    parts = (
        f"auditor {facts.versions.get('auditor', '')}".rstrip(),
        facts.architecture.name,
        phrases.images(facts.data.images),
        phrases.date(facts.started),
        f"SHA-256 {facts.checkpoint.sha256[:16]}" if facts.checkpoint.sha256 else "",
    )
    return f"<sub>{', '.join(markdown.text(part) for part in parts if part)}</sub>"


def _cut(message: str) -> str:
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]}…"

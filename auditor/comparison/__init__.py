"""Two audits compared: what is new, gone, worse or better. Numbers and files only, never torch.

before, after = read(Path("reports/monday")), read(Path("reports/tuesday"))
compared(Pair(before, after)).verdict
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from auditor.comparison.check import Part, baseline, parts
from auditor.comparison.pair import Pair, Source, read
from auditor.comparison.relative import resolved
from auditor.judging.validation import levelled, measured, refuse_malformed
from auditor.language import _, current
from auditor.results import Audit, Evidence, Finding, Result

__all__ = ["DECLARED", "Pair", "Source", "compared", "read", "resolved", "result"]

DECLARED = {baseline.name: baseline}
"""What `[checks.baseline]`, `-o baseline.OPTION` and `[levels]` may name besides the checks."""


def result(pair: Pair, options: Mapping[str, Any], levels: Mapping[str, str]) -> Result:
    """Return the comparison as one section of an audit."""
    begun = time.perf_counter()
    evidence = _kept(baseline(pair, **options), levels)
    seconds = round(time.perf_counter() - begun, 3)
    told = _(baseline.guide), _(baseline.source)
    return Result(baseline.name, _(baseline.question), evidence, seconds, *told, baseline.facts(options))


def compared(
    pair: Pair,
    options: Mapping[str, Any] | None = None,
    levels: Mapping[str, str] | None = None,
    *,
    strict: bool = False,
) -> Audit:
    """Return the comparison as a report of its own, with a section for each question."""
    chosen = {name: option.default for name, option in baseline.options.items()} | dict(options or {})
    facts = pair.after.audit.provenance
    settings = {**facts.settings, "baseline": pair.before.told, "strict": strict}
    return Audit(
        replace(facts, settings=settings, language=current().name),
        tuple(_section(part, pair, levels or {}) for part in parts(**chosen)),
        comparison=True,
    )


def _section(part: Part, pair: Pair, levels: Mapping[str, str]) -> Result:
    begun = time.perf_counter()
    evidence = _kept(part.of(pair), levels)
    seconds = round(time.perf_counter() - begun, 3)
    guide = _(baseline.guide) if part.name == "data" else ""
    source = _(baseline.source) if part.name == "accuracy" else ""
    rules = {name: facts for name, facts in baseline.facts().items() if name == f"{baseline.name}.{part.name}"}
    return Result(part.name, _(part.question), evidence, seconds, guide, source, rules)


def _kept(pieces: Iterable[Any], levels: Mapping[str, str]) -> tuple[Evidence, ...]:
    found: list[Evidence] = []
    for piece in pieces:
        refuse_malformed(piece)
        found.append(levelled(measured(piece) if isinstance(piece, Finding) else piece, levels))
    return tuple(found)

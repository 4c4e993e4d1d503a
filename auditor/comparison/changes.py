"""Which findings are new, gone, worse or better."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from auditor.comparison.metrics import UNKNOWN, Metric, metric_of
from auditor.comparison.pair import Pair
from auditor.judging.rule import Rule
from auditor.language import _, joined, many, marked, some
from auditor.methods.attribution.names import method_name
from auditor.report.phrases import measured, name_of
from auditor.results import Audit, Finding, Table, Verdict

Key = tuple[str, str]
Chosen = Mapping[str, Any]

_LISTED = 8  # in the detail of the summary


class Kind(Enum):
    """How a finding changed, the most urgent kind first. The words are not translated yet."""

    NEW = marked("new")
    WORSE = marked("worse")
    UNJUDGED = marked("no longer judged")
    LIMIT = marked("limit changed")
    EDGE = marked("at the limit")
    DRIFTED = marked("drifted")
    BETTER = marked("better")
    GONE = marked("gone")
    FIRST = marked("first run")
    NOT_RUN = marked("not run")

    @property
    def raises(self) -> bool:
        """Whether this kind can make the comparison warn or fail."""
        return self in (Kind.NEW, Kind.WORSE, Kind.UNJUDGED)


@dataclass(frozen=True, slots=True)
class Change:
    """A finding before and after; one of the two may be None.

    Attributes:
        metric: What the finding's value means.
    """

    kind: Kind
    before: Finding | None
    after: Finding | None
    metric: Metric = UNKNOWN

    @property
    def shown(self) -> Finding:
        """The finding as it is now; the one before if there is none now."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 - at least one of the two exists
        return found

    @property
    def verdict(self) -> Verdict:
        """The verdict that this change has in the comparison."""
        if self.kind is Kind.UNJUDGED:
            return Verdict.WARN
        return min(self.shown.verdict, Verdict.FAIL) if self.kind.raises else Verdict.INFO


def findings(pair: Pair) -> Iterator[Finding | Table]:
    """Compare the findings of the checks that ran in both audits, and list those that ran in one only."""
    found = changes(*pair.audits, pair.rules)
    counts = Counter(change.kind for change in found)
    raised = [change for change in found if change.kind.raises]
    same = len(pair.after.audit.findings) - sum(change.after is not None for change in found)
    yield Finding(
        "baseline.findings",
        max([change.verdict for change in raised], default=Verdict.PASS),
        _as_before(_tally(counts, raised), same),
        value=len(raised),
        limit=0,
        unit=marked("findings"),
        n=same + len(found),
        detail=joined(*(_line(change) for change in raised[:_LISTED]), between="\n"),
    )
    if found:
        yield Table(
            _("Findings that changed"),
            _(
                "New: a warning or failure that was not there before. Worse: a worse verdict. No longer judged: "
                "measured before, skipped now. Limit changed: the verdict changed because the limit did. At the limit: "
                "the verdict changed, but the value changed by less than the tolerance of its rule. Drifted: the same "
                "verdict, but the value changed by more. First run, not run: the check ran in one audit only."
            ),
            (_("change"), _("rule"), _("subject"), _("verdict"), _("value")),
            tuple(_row(change) for change in found),
        )


def _tally(counts: Mapping[Kind, int], raised: Sequence[Change]) -> str:
    """Return the number of findings by kind of change; kinds that raise a warning come first, with names."""
    urgent, others = (
        joined(*(_many(kind, counts[kind]) for kind in Kind if counts[kind] and kind.raises is which), between=", ")
        for which in (True, False)
    )
    if raised:
        names = some([_name(change.shown) for change in raised], 3)
        urgent = _("{changes} ({findings})", changes=urgent, findings=names)
    return joined(urgent, others, between=", ")


def _many(kind: Kind, count: int) -> str:
    return {
        Kind.NEW: many("{count} new", "{count} new", count),
        Kind.WORSE: many("{count} worse", "{count} worse", count),
        Kind.UNJUDGED: many("{count} no longer judged", "{count} no longer judged", count),
        Kind.LIMIT: many("{count} with another limit", "{count} with another limit", count),
        Kind.EDGE: many("{count} at the limit", "{count} at the limit", count),
        Kind.DRIFTED: many("{count} drifted", "{count} drifted", count),
        Kind.BETTER: many("{count} better", "{count} better", count),
        Kind.GONE: many("{count} gone", "{count} gone", count),
        Kind.FIRST: many("{count} first run", "{count} first run", count),
        Kind.NOT_RUN: many("{count} not run", "{count} not run", count),
    }[kind]


def _as_before(tally: str, same: int) -> str:
    if not tally:
        return many("{count} finding, unchanged", "{count} findings, all unchanged", same)
    return many("{changes}; {count} finding unchanged", "{changes}; {count} findings unchanged", same, changes=tally)


def changes(before: Audit, after: Audit, rules: Mapping[str, Rule]) -> list[Change]:
    """Return the findings that changed, the most urgent first."""
    ran_before, ran_after = ({result.check for result in audit.results} for audit in (before, after))
    found = []
    for check in dict.fromkeys([*(r.check for r in after.results), *(r.check for r in before.results)]):
        old, new = _of_check(before, check), _of_check(after, check)
        if check not in ran_before:
            found += [Change(Kind.FIRST, None, finding) for finding in new if finding.verdict > Verdict.PASS]
        elif check not in ran_after:
            found += [Change(Kind.NOT_RUN, finding, None) for finding in old if finding.verdict > Verdict.PASS]
        else:
            pairs = _matched(old, new, _named(before), _named(after))
            found += _changed(pairs, (before.provenance.settings, after.provenance.settings), rules)
    order = list(Kind)
    return sorted(found, key=lambda change: (order.index(change.kind), -change.shown.verdict))


def _of_check(audit: Audit, check: str) -> list[Finding]:
    return [finding for result in audit.results if result.check == check for finding in result.findings]


def _named(audit: Audit) -> set[str]:
    """Return the subjects that are comparable between audits: layers and classes."""
    facts = audit.provenance
    return {*(layer.name for layer in facts.architecture.layers), *facts.data.classes}


def _matched(
    old: Sequence[Finding], new: Sequence[Finding], named_before: set[str], named_after: set[str]
) -> Iterator[tuple[Finding | None, Finding | None]]:
    """Pair the findings of a check by rule and subject; a rule with one finding in each audit by the rule alone."""
    left, right = _keyed(old), _keyed(new)
    once = {rule for rule in {k[0] for k in left} if _count(old, rule) == _count(new, rule) == 1}
    for rule in once:
        (a,), (b,) = ([f for f in found if f.rule == rule] for found in (old, new))
        if a.subject != b.subject and _are_examples(a, b, named_before, named_after):
            left[rule, ""], right[rule, ""] = left.pop((rule, a.subject)), right.pop((rule, b.subject))
    for key in dict.fromkeys([*right, *left]):
        befores, afters = left.get(key, []), right.get(key, [])
        for place in range(max(len(befores), len(afters))):
            yield (
                befores[place] if place < len(befores) else None,
                afters[place] if place < len(afters) else None,
            )


def _are_examples(a: Finding, b: Finding, named_before: set[str], named_after: set[str]) -> bool:
    """Return whether the subjects are only examples, so the findings can be paired without them.

    A file is an example. A layer or class is what a finding is about, unless the finding passes: then it is the worst
    example.
    """
    of_a, of_b = a.subject in named_before and _raised(a), b.subject in named_after and _raised(b)
    return not (of_a and of_b)


def _keyed(found: Sequence[Finding]) -> dict[Key, list[Finding]]:
    keyed = defaultdict(list)
    for finding in found:
        keyed[finding.rule, finding.subject].append(finding)
    return dict(keyed)


def _count(found: Sequence[Finding], rule: str) -> int:
    return sum(finding.rule == rule for finding in found)


def _changed(
    pairs: Iterator[tuple[Finding | None, Finding | None]], settings: tuple[Chosen, Chosen], rules: Mapping[str, Rule]
) -> list[Change]:
    found = []
    for before, after in pairs:
        shown = after or before
        metric = metric_of(shown, rules) if shown else UNKNOWN
        if kind := _kind(before, after, settings, metric):
            found.append(Change(kind, before, after, metric))
    return found


def _kind(
    before: Finding | None, after: Finding | None, settings: tuple[Chosen, Chosen], metric: Metric
) -> Kind | None:
    if before is None or after is None:
        if after is not None:
            return Kind.NEW if _raised(after) else Kind.UNJUDGED if after.rule.endswith(".skipped") else None
        return Kind.GONE if before is not None and _raised(before) else None
    if after.verdict is Verdict.SKIP and before.verdict >= Verdict.PASS:
        return Kind.UNJUDGED
    if before.verdict is not after.verdict and (_raised(before) or _raised(after)):
        return _verdict_changed(before, after, settings, metric)
    return Kind.DRIFTED if _differ(before, after, metric) else None


def _verdict_changed(before: Finding, after: Finding, settings: tuple[Chosen, Chosen], metric: Metric) -> Kind:
    """Return why a verdict changed; it is not worse or better if the value is the same within its tolerance."""
    if before.verdict is Verdict.SKIP:
        return Kind.NEW
    if _comparable(before, after) and not _differ(before, after, metric):
        if _limits(settings[0], after.rule) != _limits(settings[1], after.rule):
            return Kind.LIMIT
        if _at_the_limit(before, after):
            return Kind.EDGE
    return Kind.WORSE if after.verdict > before.verdict else Kind.BETTER


def _at_the_limit(before: Finding, after: Finding) -> bool:
    """Return whether the limit that was crossed lies between the values."""
    limit = after.limit if after.verdict > before.verdict else before.limit
    if limit is None or before.value is None or after.value is None or before.value == after.value:
        return False
    return min(before.value, after.value) <= limit <= max(before.value, after.value)


def _limits(settings: Chosen, rule: str) -> object:
    """Return the options that begin with the name of a rule, such as its limits, and its level."""
    check, name = rule.partition(".")[::2]
    options, levels = settings.get("options"), settings.get("levels")
    chosen = options.get(check) if isinstance(options, Mapping) else None
    own = {o: v for o, v in chosen.items() if o.startswith(f"{name}_")} if isinstance(chosen, Mapping) else {}
    return own, levels.get(rule) if isinstance(levels, Mapping) else None


def _raised(finding: Finding) -> bool:
    return finding.verdict > Verdict.PASS


def _differ(before: Finding, after: Finding, metric: Metric) -> bool:
    if not _comparable(before, after) or before.value is None or after.value is None:
        return False
    return metric.differ(before.value, after.value)


def _comparable(before: Finding, after: Finding) -> bool:
    """Return whether both have a value, in the same unit."""
    return before.value is not None and after.value is not None and before.unit == after.unit


def _line(change: Change) -> str:
    finding = change.shown
    return _(
        "{change}, {verdict}: {finding}: {message}",
        change=_(change.kind.value),
        verdict=name_of(finding.verdict),
        finding=_name(finding),
        message=finding.message,
    )


def _name(finding: Finding) -> str:
    return f"{finding.rule} [{method_name(finding.subject)}]" if finding.subject else finding.rule


def _row(change: Change) -> tuple[str, ...]:
    ends = (change.before, change.after)
    verdicts = [name_of(end.verdict) if end else _("none") for end in ends]
    values = [measured(end.value, end.unit) or _("none") if end else _("none") for end in ends]
    shown = change.shown
    return _kind_word(change), shown.rule, method_name(shown.subject), _arrow(*verdicts), _arrow(*values)


def _kind_word(change: Change) -> str:
    before, after = (end.value if end else None for end in (change.before, change.after))
    if change.kind is not Kind.DRIFTED or before is None or after is None:
        return _(change.kind.value)
    if change.metric.is_worse(before, after):
        return _("drifted (worse)")
    return _("drifted (better)") if change.metric.is_worse(after, before) else _(change.kind.value)


def _arrow(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"

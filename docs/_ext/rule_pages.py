"""A page for each rule, made from what the checks declare.

`rules()` is the one place that knows where the declarations are. The pages are written below docs/reference/rules/
before Sphinx reads its sources, and are no part of the repository; in a page the directive `rules` lists them by check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

    from auditor import Check

FOLDER = "reference/rules"


@dataclass(frozen=True, slots=True)
class Rule:
    """What a page says of one rule; what is empty is left out of it.

    Attributes:
        text: What is measured, and when it warns or fails.
        limits: The options that are limits of it, with their defaults as a configuration file writes them.
        better: `higher` or `lower`, as a comparison with a baseline has it.
        tolerance: Up to which difference two values count as the same.
        advice: What to do where it warns or fails.
        false_alarms: Where it is known to warn of nothing.
    """

    name: str
    check: str
    text: str
    summary: str = ""
    unit: str = ""
    better: str = ""
    tolerance: str = ""
    limits: Mapping[str, str] = field(default_factory=dict)
    levels: tuple[str, ...] = ()
    advice: str = ""
    source: str = ""
    false_alarms: str = ""


def checks() -> dict[str, Check]:
    """Return the checks of auditor itself, and what compares two audits; none of plugins."""
    from auditor import comparison, plugins

    found = plugins.load(start=Path(__file__).parent)
    own = {name: check for name, check in found.checks.items() if found.origins[name] == "auditor"}
    return {**own, **comparison.DECLARED}


def rules() -> list[Rule]:
    """Return all rules in the order of a report."""
    return [_declared(check, name, text) for check in checks().values() for name, text in check.rules.items()]


def _declared(check: Check, name: str, text: str) -> Rule:
    from auditor.comparison.metrics import METRICS

    metric = METRICS.get(name)
    better = "" if metric is None or metric.higher is None else "higher" if metric.higher else "lower"
    return Rule(
        name=name,
        check=check.name,
        text=text,
        better=better,
        tolerance="" if metric is None else f"{metric.tolerance:g}" if metric.tolerance else "none",
        limits={option: written(check.options[option].default) for option in _limits(check, name)},
        source=check.source,
    )


def _limits(check: Check, rule: str) -> Iterator[str]:
    """Yield the options that a rule is judged by: RULE_warn and RULE_fail, or warn and fail of an only rule."""
    own = rule.partition(".")[2]
    for option in check.options:
        about, _, kind = option.rpartition("_")
        if kind in ("warn", "fail") and (about == own or (not about and len(check.rules) == 1)):
            yield option


def written(value: Any) -> str:
    """Return a default as a configuration file would have it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else '"none"' if value is None else f"{value}"


def sentence(text: str) -> str:
    """Return a text as a sentence: with a capital letter and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def page(rule: Rule) -> str:
    """Return the page of a rule in Markdown."""
    return "\n\n".join(_parts(rule)) + "\n"


def _parts(rule: Rule) -> Iterator[str]:
    yield f"# {rule.name}"
    if rule.summary:
        yield sentence(rule.summary)
    yield f"A rule of the check [`{rule.check}`](../configuration.md#{rule.check})."
    yield f"## What is measured\n\n{escaped(sentence(rule.text))}"
    if rule.unit:
        yield f"Unit: {rule.unit}."
    if rule.limits:
        yield "## Limits\n\n" + "\n".join(_limits_table(rule))
    yield "## Verdict\n\n" + _levels(rule)
    if rule.tolerance:
        yield "## In a comparison\n\n" + _compared(rule)
    if rule.advice:
        yield f"## What to do\n\n{escaped(sentence(rule.advice))}"
    if rule.false_alarms:
        yield f"## Known false alarms\n\n{escaped(sentence(rule.false_alarms))}"
    if rule.source:
        yield f"## Source\n\n{escaped(sentence(rule.source))}"


def _limits_table(rule: Rule) -> Iterator[str]:
    yield "| option | default |\n| --- | --- |"
    for option, default in rule.limits.items():
        yield f"| `{rule.check}.{option}` | `{default}` |"
    option = next(iter(rule.limits))
    yield f"\n```sh\nauditor run net.pt --data photos/ -o {rule.check}.{option}=VALUE\n```"


def _levels(rule: Rule) -> str:
    own = f"It can give: {', '.join(rule.levels)}. " if rule.levels else ""
    return (
        f"{own}`[levels]` in `auditor.toml` changes what a warning or a failure of this rule counts as: "
        f'`"fail"`, `"warn"` or `"info"`.\n\n```toml\n[levels]\n"{rule.name}" = "fail"\n```'
    )


def _compared(rule: Rule) -> str:
    allowed = "Any difference counts" if rule.tolerance == "none" else f"A difference of up to {rule.tolerance} is none"
    better = f"; a {rule.better} value is better" if rule.better else "; no direction is better"
    return f"{allowed}{better}. See [comparing two audits](../../compare.md)."


def escaped(text: str) -> str:
    """Return a docstring's text so that Markdown shows it as it is; `code` in backticks stays code."""
    parts = text.split("`")
    return "`".join(
        part if place % 2 else part.replace("\\", "\\\\").replace("*", "\\*").replace("_", "\\_").replace("[", "\\[")
        for place, part in enumerate(parts)
    )


class Rules(SphinxDirective):
    """Lists all rules by check, with links to their pages."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n\n".join(_listed()), allow_section_headings=True)


def _listed() -> Iterator[str]:
    known = rules()
    for check in checks().values():
        own = [rule for rule in known if rule.check == check.name]
        rows = [f"| [`{rule.name}`]({rule.name}.md) | {escaped(_first(rule)).replace('|', '/')} |" for rule in own]
        yield f"## {check.name}\n\n{escaped(check.question)}"
        yield "\n".join(["| rule | what is measured |", "| --- | --- |", *rows])
    yield "```{toctree}\n:hidden:\n\n" + "\n".join(rule.name for rule in known) + "\n```"


def _first(rule: Rule) -> str:
    return sentence(rule.summary or rule.text.partition("; ")[0].partition(". ")[0])


def _write(app: Sphinx) -> None:
    """Write the pages where they are new or changed, and remove those of rules that are no more."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{rule.name}.md": page(rule) for rule in rules()}
    for old in folder.glob("*.*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        file = folder / name
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before the sources are read, and add the directive `rules`."""
    app.add_directive("rules", Rules)
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True}

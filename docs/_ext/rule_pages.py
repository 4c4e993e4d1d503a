"""A page for each rule, made from what the checks declare.

`rules()` is the one place that knows where the declarations are. The pages are written below docs/reference/rules/
before Sphinx reads its sources, and are no part of the repository; in a page the directive `rules` lists them by check.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from sphinx.application import Sphinx

    from auditor import Check, Rule

FOLDER = "reference/rules"

_BASIS = {
    "exact": "It is a fact, without statistics.",
    "statistical": "It rests on a test or an interval.",
    "heuristic": "It is a rule of thumb.",
    "information": "It never judges.",
}


def checks() -> dict[str, Check]:
    """Return the checks of auditor itself, and what compares two audits; none of plugins."""
    from auditor import comparison, plugins

    found = plugins.load(start=Path(__file__).parent)
    own = {name: check for name, check in found.checks.items() if found.origins[name] == "auditor"}
    return {**own, **comparison.DECLARED}


def rules() -> list[tuple[Check, Rule]]:
    """Return all rules with their checks, in the order of a report."""
    return [(check, rule) for check in checks().values() for rule in check.rules.values()]


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


def page(check: Check, rule: Rule) -> str:
    """Return the page of a rule in Markdown."""
    return "\n\n".join(_parts(check, rule)) + "\n"


def _parts(check: Check, rule: Rule) -> Iterator[str]:
    yield f"# {rule.name}"
    yield escaped(sentence(rule.summary))
    yield f"A rule of the check [`{check.name}`](../configuration.md#{check.name})."
    if rule.measured:
        yield f"## How it is measured\n\n{escaped(sentence(rule.measured))}"
    if check.limits(rule.name):
        yield "## Limits\n\n" + "\n".join(_limits(check, rule))
    yield "## Verdict\n\n" + _levels(rule)
    if rule.better != "neither" or rule.tolerance is not None:
        yield "## In a comparison\n\n" + _compared(rule)
    if rule.false_alarms:
        yield f"## Known false alarms\n\n{escaped(sentence(rule.false_alarms))}"
    if rule.advice:
        yield f"## What to do\n\n{escaped(sentence(rule.advice))}"
    if rule.source or check.source:
        yield f"## Source\n\n{escaped(sentence(rule.source or check.source))}"


def _limits(check: Check, rule: Rule) -> Iterator[str]:
    side, unit = "under" if rule.better == "higher" else "over", f" {rule.unit}" if rule.unit else ""
    yield "| verdict | default | option |\n| --- | --- | --- |"
    for limit in check.limits(rule.name):
        option = f"`{check.name}.{limit.option}`" if limit.option else "fixed"
        yield f"| {limit.level} | {side} {limit.value:g}{unit} | {option} |"
    options = [limit.option for limit in check.limits(rule.name) if limit.option]
    if options:
        yield f"\n```sh\nauditor run net.pt --data photos/ -o {check.name}.{options[0]}=VALUE\n```"


def _levels(rule: Rule) -> str:
    return (
        f"The worst verdict by default is {rule.level}. {_BASIS[rule.basis]} `[levels]` in `auditor.toml` changes what "
        f'a warning or a failure of this rule counts as: `"fail"`, `"warn"` or `"info"`.\n\n'
        f'```toml\n[levels]\n"{rule.name}" = "fail"\n```'
    )


def _compared(rule: Rule) -> str:
    known = "1 %" if rule.tolerance is None else f"{rule.tolerance:g}"
    allowed = "Any difference counts" if rule.tolerance == 0 else f"A difference of up to {known} does not count"
    better = "no direction is better" if rule.better == "neither" else f"a {rule.better} value is better"
    return f"{allowed}; {better}. See [comparing two audits](../../compare.md)."


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
        own = [rule for owner, rule in known if owner is check]
        rows = [f"| [`{rule.name}`]({rule.name}.md) | {escaped(rule.summary).replace('|', '/')} |" for rule in own]
        yield f"## {check.name}\n\n{escaped(check.question)}"
        yield "\n".join(["| rule | what is measured |", "| --- | --- |", *rows])
    yield "```{toctree}\n:hidden:\n\n" + "\n".join(rule.name for _check, rule in known) + "\n```"


def _write(app: Sphinx) -> None:
    """Write the pages where they are new or changed, and remove those of rules that are no more."""
    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    pages = {f"{rule.name}.md": page(check, rule) for check, rule in rules()}
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

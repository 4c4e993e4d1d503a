"""What `auditor checks` shows: the checks that there are, and all about one of them."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from auditor.check import Check, Option
from auditor.config import options
from auditor.judging.rule import Rule
from auditor.plugins import BUILT_IN, Plugins


def overview(plugins: Plugins) -> str:
    """Return one line a check: its name, its question, and who brings it; on a terminal it hangs under itself."""
    width = max((len(name) for name in plugins.checks), default=0)
    lines = [f"{name:{width}}  {check.question}{_origin(plugins, name)}" for name, check in plugins.checks.items()]
    return "\n".join(_hanging(line, width + 2) if sys.stdout.isatty() else line for line in lines)


def rules(plugins: Plugins) -> str:
    """Return all rules by check: the name, the worst verdict by default, and what is measured."""
    width = max((len(name) for name in plugins.rules), default=0)
    parts = [
        "\n".join([_hanging(f"{check.name}: {check.question}", 2), *_rows(check, width)])
        for check in plugins.checks.values()
        if check.rules
    ]
    return "\n\n".join([*parts, "auditor checks RULE tells how a rule is measured, its limits and what to do."])


def _rows(check: Check, width: int) -> Iterator[str]:
    return (
        _hanging(f"  {name:{width}}  {rule.level!s:<4}  {rule.summary}", width + 10)
        for name, rule in check.rules.items()
    )


def description(plugins: Plugins, name: str) -> str:
    """Return a check's question, guide, options, rules and source."""
    check = plugins.checks[name]
    parts = [_hanging(f"{name}: {check.question}{_origin(plugins, name)}", 2), _wrapped(check.guide)]
    parts += _section("Options", {_assigned(option): _explained(option) for option in check.options.values()})
    parts += _section("Rules", {rule.name: _in_short(check, rule) for rule in check.rules.values()})
    parts += _section("Source", {check.source: ""} if check.source else {})
    return "\n\n".join(part for part in parts if part) + _example(check)


def rule_description(plugins: Plugins, name: str) -> str:
    """Return all about one rule: what is measured, its limits, known false alarms, and what to do."""
    check = plugins.checks[name.partition(".")[0]]
    rule = check.rules[name]
    entries = {
        "How it is measured": rule.measured,
        "Limits": _limits(check, rule).removeprefix("Limits: "),
        "Basis": f"{rule.basis}; the worst verdict by default is {rule.level}",
        "Better": "" if rule.better == "neither" else rule.better,
        "Known false alarms": rule.false_alarms,
        "What to do": rule.advice,
        "Source": rule.source,
        "More": rule.url,
    }
    parts = [
        _hanging(f"{name}: {rule.summary}", 2),
        *_section("", {title: text for title, text in entries.items() if text}),
    ]
    return "\n\n".join(part.strip("\n") for part in parts)


def _in_short(check: Check, rule: Rule) -> str:
    return " ".join(part for part in (rule.summary, rule.measured, _limits(check, rule)) if part)


def _limits(check: Check, rule: Rule) -> str:
    side = {"higher": "under", "lower": "over"}.get(rule.better, "beyond")
    limits = [
        f"{limit.level} {side} {limit.value:g}{f' {rule.unit}' if rule.unit else ''}"
        + (f" ({check.name}.{limit.option})" if limit.option else "")
        for limit in check.limits(rule.name)
    ]
    return f"Limits: {', '.join(limits)}." if limits else ""


def _origin(plugins: Plugins, name: str) -> str:
    origin = plugins.origins.get(name, BUILT_IN)
    return "" if origin == BUILT_IN else f"  [{origin}]"


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, _columns(), initial_indent=indent, subsequent_indent=indent, break_long_words=False)


def _hanging(text: str, indent: int) -> str:
    """Return a text whose further lines are indented; runs of spaces in it are kept."""
    return textwrap.fill(text, _columns(), subsequent_indent=" " * indent, break_long_words=False)


def _columns() -> int:
    return max(40, min(shutil.get_terminal_size((100, 24)).columns, 100))


def _section(title: str, entries: Mapping[str, str]) -> Iterator[str]:
    if entries:
        lines = [line for key, text in entries.items() for line in (_wrapped(key, "  "), _wrapped(text, "      "))]
        yield "\n".join([title, *(line for line in lines if line)])


def _assigned(option: Option) -> str:
    return f"{option.name} = {_written(option.default)}"


def _explained(option: Option) -> str:
    sentences = (options.describe(option.type), option.help)
    return " ".join(f"{text[0].upper()}{text[1:].rstrip('.')}." for text in sentences if text)


def _written(value: Any) -> str:
    """Return a default as a configuration file would have it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(_written(v) for v in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else '"none"' if value is None else f"{value}"


def _example(check: Check) -> str:
    if not check.options:
        return ""
    option = next(iter(check.options.values()))
    told = f"Set them with -o {check.name}.{option.name}=VALUE, or under [checks.{check.name}] in auditor.toml."
    return f"\n\n{_wrapped(told)}"

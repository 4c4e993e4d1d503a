"""The configuration reference, made from the declarations: flags, keys of auditor.toml, options of each check.

The directives are `flags COMMAND`, `setting-keys` and `check-options`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import rule_pages
from docutils import nodes
from rule_pages import escaped, sentence, written
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    import click
    from sphinx.application import Sphinx

    from auditor import Check


def command(name: str) -> click.Command:
    """Return a command of the command line."""
    from auditor.cli import program

    return program.commands[name]


def settings() -> type:
    """Return the class that holds what flags and file ask for."""
    from auditor.config import Settings

    return Settings


def keys() -> dict[str, str]:
    """Return the keys of auditor.toml, each with the name of its field in the settings."""
    from auditor.config import _FIELDS

    return dict(_FIELDS)


class Flags(SphinxDirective):
    """The flags of a command, from click."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(_flags(command(self.arguments[0]))))


def _flags(told: click.Command) -> Iterator[str]:
    import click

    for parameter in told.params:
        if isinstance(parameter, click.Option):
            names = [*parameter.opts, *parameter.secondary_opts]
            value = "" if parameter.is_flag else f" {parameter.make_metavar(click.Context(told))}"
            yield f"{', '.join(f'`{name}{value}`' for name in names)}\n: {escaped(parameter.help or '')}\n"


class SettingKeys(SphinxDirective):
    """The keys of auditor.toml that are not tables, with type, default and flag."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(_keys()))


def _keys() -> Iterator[str]:
    from dataclasses import MISSING, fields
    from typing import get_type_hints

    import click

    from auditor import options

    kind, given = settings(), {flag.name: flag for flag in command("run").params if isinstance(flag, click.Option)}
    hints = get_type_hints(kind, include_extras=True)
    defaults = {f.name: f.default for f in fields(kind) if f.default is not MISSING}
    yield "| key | meaning | value | default |\n| --- | --- | --- | --- |"
    for key, name in keys().items():
        flag = given.get(key)
        if flag is None or name not in defaults:
            continue
        switch, known = flag.is_flag, options.understands(hints[name])
        value = "true or false" if switch else options.describe(hints[name]) if known else "text"
        default = _default(bool(defaults[name]) if switch else defaults[name])
        meaning = (flag.help or "").replace("; repeatable", "").replace("|", "/")
        yield f"| `{key.replace('_', '-')}` | {escaped(meaning)} | {escaped(_cell(value))} | {default} |"


def _default(value: Any) -> str:
    return "" if value in (None, (), "") else f"`{written(value)}`"


def _cell(text: str) -> str:
    return re.sub(r" or 'none'$", "", text).replace("|", "\\|")


class CheckOptions(SphinxDirective):
    """The options of each check, from its signature and its docstring."""

    def run(self) -> list[nodes.Node]:
        text = "\n\n".join(_options(check) for check in rule_pages.checks().values())
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def _options(check: Check) -> str:
    from auditor import options

    head = f"### {check.name}\n\n{escaped(check.question)}"
    if not check.options:
        return f"{head} It has no options."
    rows = [
        f"| `{option.name}` | {escaped(_sentence_of(option.help))} | "
        f"{escaped(options.describe(option.type)).replace('|', '/')} | `{written(option.default)}` |"
        for option in check.options.values()
    ]
    return f"{head}\n\n| option | meaning | value | default |\n| --- | --- | --- | --- |\n" + "\n".join(rows)


def _sentence_of(text: str) -> str:
    return sentence(text).replace("|", "/")


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    app.add_directive("flags", Flags)
    app.add_directive("setting-keys", SettingKeys)
    app.add_directive("check-options", CheckOptions)
    return {"parallel_read_safe": True}

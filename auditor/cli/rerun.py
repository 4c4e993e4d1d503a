"""The command that runs one check again, with the flags of this run that affect what it finds."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import Any

import click
from click.core import ParameterSource

_LEFT_OUT = {
    *("k", "check", "x", "maxfail", "within", "baseline"),
    *("format", "pdf_summary", "junit_warnings", "save_arrays", "overwrite"),
    *("durations", "quiet", "verbose", "no_color"),
}


def rerun(context: click.Context) -> Callable[[str], str]:
    """Return a function from the name of a check to the command, quoted for a POSIX shell."""
    given = [
        word
        for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        for word in _words(parameter, context.params.get(parameter.name or ""))
    ]
    command = ["auditor", context.info_name or "run", *given]
    return lambda check: shlex.join([*command, "--check", check])


def _words(parameter: click.Parameter, value: Any) -> Iterator[str]:
    if isinstance(parameter, click.Argument):
        yield str(value)
        return
    if parameter.name in _LEFT_OUT:
        return
    if isinstance(value, bool):
        yield parameter.opts[-1] if value else (parameter.secondary_opts or parameter.opts)[-1]
        return
    for one in value if isinstance(value, tuple) else (value,):
        yield from (parameter.opts[-1], str(one))

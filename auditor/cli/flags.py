"""The flags of the commands, in groups, each once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def flags(*groups: tuple[Decorator, ...]) -> Decorator:
    """Return a decorator that gives a command the flags of all groups, in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


def _switch(name: str, text: str) -> Decorator:
    return click.option(f"--{name}/--no-{name}", default=None, help=text)


def _told(context: click.Context, _: click.Parameter, verbose: bool) -> bool:
    """Let `main` know that tracebacks are wanted, also when the command ends in an exception."""
    context.obj["verbose"] = verbose
    return verbose


_OPTION = click.option(
    "-o", "o", multiple=True, metavar="CHECK.OPTION=VALUE", help="Set an option of a check; repeatable."
)
_STRICT = _switch("strict", "Let a warning cost exit code 1 too.")

_LANG = click.option("--lang", metavar="NAME", help="Language of the report: en or fr; English if absent.")

FILES = (
    click.option(
        "--config", type=click.Path(path_type=Path), metavar="FILE", help="Read this instead of auditor.toml."
    ),
    click.option("-p", "--plugin", multiple=True, metavar="MODULE", help="Load a plugin; repeatable."),
)
NETWORK = (
    click.option(
        "--arch",
        metavar="SPEC",
        help="NAME of torchvision, timm:NAME, package.module:callable or file.py:callable; found by itself if absent.",
    ),
    click.option("--arch-arg", multiple=True, metavar="K=V", help="An argument of the architecture; repeatable."),
    click.option(
        "--preprocess",
        metavar="FILE|PRESET",
        help="imagenet, imagenet-inception, raw255, unit, or a TOML or JSON file; the network's own if absent.",
    ),
    _switch("trust-checkpoint", "Let a pickled checkpoint run code. The report says so."),
)
DATA = (
    click.option(
        "--data", metavar="PATH", help="A folder for each class, a flat folder, or a CSV or JSONL of path,label."
    ),
    click.option("--classes", metavar="FILE", help="Names of the classes: one a line, or JSON."),
)
SELECTION = (
    click.option("-k", "k", metavar="EXPR", help="Run the checks whose names match, as in 'filters or not sal'."),
    click.option("--check", multiple=True, metavar="NAME", help="Run this check; repeatable."),
    _OPTION,
    click.option("-x", "x", is_flag=True, default=None, help="End at the first check that fails or breaks."),
    click.option("--maxfail", metavar="N", help="End after N of them."),
    _STRICT,
)
BASELINE = (
    click.option(
        "--baseline",
        metavar="PATH",
        help="Compare with an earlier report: a folder or audit.json. Limits may then be 'baseline - 0.01'.",
    ),
)
COMPUTING = (
    click.option("--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps."),
    _switch("amp", "Compute in mixed precision."),
    click.option("--batch-size", metavar="N", help="Images a forward pass."),
    click.option("--workers", metavar="N", help="Processes that read images."),
    click.option("--threads", metavar="N", help="Threads that compute on a CPU."),
    click.option("--samples", metavar="N", help="How many images are explained."),
    click.option("--seed", metavar="N", help="Where all random numbers start."),
    _switch("cache", "Go on where a run of the same audit was killed in its pass over the data."),
)
RENDERING = (
    click.option(
        "--format",
        metavar="NAMES",
        help="Some of html,pdf,json,junit,summary,sarif,pdf-summary, or a plugin's, with commas between; all but the "
        "last two if absent.",
    ),
    _switch("pdf-summary", "Write summary.pdf too: at most four pages, for who decides."),
    click.option("--templates", metavar="DIR", help="Templates that stand before the built-in ones."),
    _LANG,
)
OUTPUT = (
    click.option("--out", metavar="DIR", help="Where the report goes; reports/NAME if absent."),
    _switch("save-arrays", "Keep the numbers behind the pictures too."),
)
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Show warnings, failures and the last line.")
ACCOUNT = (click.option("--durations", metavar="N", help="List the N slowest checks."), _QUIET)
COMPARISON = (
    click.option("--out", metavar="DIR", help="Write the comparison there too."),
    click.option(
        "--format", metavar="NAMES", help="What is written: some of html,pdf,json,junit; the first three if absent."
    ),
    click.option("--templates", metavar="DIR", help="Templates that stand before the built-in ones."),
    _LANG,
    _OPTION,
    _STRICT,
    _QUIET,
)
VERBOSE = (click.option("-v", "--verbose", is_flag=True, callback=_told, help="Show every finding, and tracebacks."),)
COLOR = (click.option("--no-color", is_flag=True, help="Show no colours, as with NO_COLOR."),)

"""The flags of the commands, in groups, each once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from auditor.language import short
from auditor.process.regular_files import impossible


class PossiblePath(click.ParamType[Path]):
    """A path at which something could be; the command says if nothing is."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        reason = impossible(Path(value)) if str(value).strip() else "it is empty"
        if reason:
            self.fail(f"{short(str(value), 80)!r} can't be a path: {reason}", param, ctx)
        return Path(value)


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def flags(*groups: tuple[Decorator, ...]) -> Decorator:
    """Return a decorator that adds the flags of all groups to a command, in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed([option for group in groups for option in group]):
            function = option(function)
        return function

    return decorate


def _switch(name: str, text: str) -> Decorator:
    return click.option(f"--{name}/--no-{name}", default=None, help=text)


def _share_verbose(context: click.Context, _: click.Parameter, verbose: bool) -> bool:
    """Store --verbose where `main` finds it when the command ends with an exception."""
    context.obj["verbose"] = verbose
    return verbose


_OPTION = click.option(
    "-o", "o", multiple=True, metavar="CHECK.OPTION=VALUE", help="Set an option of a check. Repeatable."
)
_STRICT = _switch("strict", "Exit with 1 on warnings, too.")

_LANG = click.option(
    "--lang", metavar="NAME", help="Language of the report: en or fr. Default: en, or that of the audit."
)

_REDACT = _switch("redact", "Leave paths, names of users and hosts, and tracebacks out of the report.")

FILES = (
    click.option(
        "--config",
        type=PossiblePath(),
        metavar="FILE",
        help="Configuration file, instead of auditor.toml or pyproject.toml.",
    ),
    click.option("-p", "--plugin", multiple=True, metavar="MODULE", help="Load a plugin. Repeatable."),
    click.option(
        "--no-plugins", is_flag=True, help="Load only the built-in checks: no auditfile.py, no installed plugin."
    ),
)
NETWORK = (
    click.option(
        "--arch",
        metavar="SPEC",
        help="Architecture: a torchvision NAME, timm:NAME, package.module:callable or file.py:callable. "
        "Default: detected from the checkpoint.",
    ),
    click.option("--arch-arg", multiple=True, metavar="K=V", help="Pass an argument to the architecture. Repeatable."),
    click.option(
        "--preprocess",
        metavar="FILE|PRESET",
        help="Preprocessing: imagenet, imagenet-inception, raw255, unit, or a TOML or JSON file. "
        "Default: the network's own.",
    ),
    click.option("--weights", metavar="NAME", help="The set of weights to audit, where the checkpoint holds several."),
    click.option(
        "--output",
        metavar="NAME|INDEX",
        help="The network's output that has the scores, where it gives several: a key, an attribute or an index.",
    ),
    click.option(
        "--task",
        metavar="TASK",
        help="multiclass: one class an image; multilabel: any number. Default: recognised from labels and network.",
    ),
    _switch("trust-checkpoint", "Let code in the checkpoint run in this process. The report says so on its cover."),
)
DATA = (
    click.option(
        "--data",
        metavar="PATH",
        help="Images: a folder per class, a flat folder, or a CSV or JSONL file of path,label.",
    ),
    click.option("--split", metavar="NAME", help="The part of the data to audit, for example val or test."),
    click.option("--root", metavar="DIR", help="The folder that the paths of a manifest are relative to."),
    click.option("--classes", metavar="FILE", help="Class names: one per line, or JSON."),
)
SELECTION = (
    click.option("-k", "k", metavar="EXPR", help="Run the checks whose names match, for example 'filters or not sal'."),
    click.option("--check", multiple=True, metavar="NAME", help="Run only this check. Repeatable."),
    _OPTION,
    click.option("-x", "x", is_flag=True, default=None, help="Stop at the first check that fails or breaks."),
    click.option("--maxfail", metavar="N", help="Stop after N checks that fail or break."),
    click.option(
        "--check-timeout",
        metavar="TIME",
        help="Stop a check after this time, as in 90s, 10m or 2h; it counts as broken. 0: never. Default: 1h.",
    ),
    _switch("run-blocked", "Run the checks that rest on what another check found to be gone, too."),
    click.option(
        "--within",
        metavar="TIME",
        help="Stop the whole audit after this time and write what is done; the exit code is 2. Default: no limit.",
    ),
    _STRICT,
)
BASELINE = (
    click.option(
        "--baseline",
        metavar="PATH",
        help="Compare with an earlier report: its folder or audit.json. Limits may then be 'baseline - 0.01'.",
    ),
)
COMPUTING = (
    click.option("--device", metavar="DEVICE", help="auto (default), cpu, cuda, cuda:N or mps."),
    _switch("amp", "Use mixed precision."),
    click.option("--batch-size", metavar="N", help="Images per forward pass. Default: chosen by device."),
    click.option("--workers", metavar="N", help="Processes that decode images. Default: chosen by device."),
    click.option("--threads", metavar="N", help="CPU threads."),
    click.option("--samples", metavar="N", help="Number of images to explain. Default: 8."),
    click.option("--seed", metavar="N", help="Seed of all random numbers. Default: 0."),
    _switch("cache", "Resume the pass over the data where a killed run of the same audit stopped. On by default."),
)
RENDERING = (
    click.option(
        "--format",
        metavar="NAMES",
        help="Formats to write, separated by commas: html, pdf, json, junit, summary, sarif, pdf-summary, or a "
        "plugin's. Default: the first five; of render: html,pdf,summary.",
    ),
    _switch("pdf-summary", "Also write summary.pdf: at most four pages, for decision makers."),
    click.option("--templates", metavar="DIR", help="Folder of templates that replace built-in ones."),
    _LANG,
    _REDACT,
)
OUTPUT = (
    click.option("--out", metavar="DIR", help="Output folder. Default: reports/NAME."),
    _switch("overwrite", "Remove the report that is replaced, instead of keeping it as NAME~1."),
    _switch("save-arrays", "Also save the arrays behind the pictures."),
    click.option(
        "--junit-warnings",
        metavar="KIND",
        help="What a warning is in junit.xml: passed (default), skipped or failure.",
    ),
)
_QUIET = click.option("-q", "--quiet", is_flag=True, help="Show only warnings, failures and the last line.")
ACCOUNT = (click.option("--durations", metavar="N", help="List the N slowest checks."), _QUIET)
COMPARISON = (
    click.option("--out", metavar="DIR", help="Also write the comparison to this folder."),
    click.option(
        "--format",
        metavar="NAMES",
        help="Formats to write, separated by commas: html, pdf, json, junit. Default: the first three.",
    ),
    click.option("--templates", metavar="DIR", help="Folder of templates that replace built-in ones."),
    _LANG,
    _REDACT,
    _OPTION,
    _STRICT,
    _QUIET,
)
VERBOSE = (
    click.option("-v", "--verbose", is_flag=True, callback=_share_verbose, help="Show all findings, and tracebacks."),
)
COLOR = (click.option("--no-color", is_flag=True, help="Disable colours. Same as setting NO_COLOR."),)

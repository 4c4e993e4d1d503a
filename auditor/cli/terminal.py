"""Terminal output: progress on stderr; header, checks, findings and verdict on stdout."""

from __future__ import annotations

import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from rich.box import SIMPLE
from rich.control import Control
from rich.segment import ControlType
from rich.table import Table as Grid
from rich.text import Text

from auditor.check import Check
from auditor.cli.diagnostics import Diagnostics
from auditor.context import Advance
from auditor.language import ENGLISH, again, speaking
from auditor.process.console import console
from auditor.process.foreign_text import printable
from auditor.progress import OVER_DATA, bar
from auditor.report.counts import counts
from auditor.results import Audit, Exit, Provenance, Result, Table, Verdict

_STYLES = {
    Verdict.SKIP: "yellow",
    Verdict.INFO: "cyan",
    Verdict.PASS: "green",
    Verdict.WARN: "bold yellow",
    Verdict.FAIL: "bold red",
    Verdict.ERROR: "bold magenta",
}
_COUNTED = {
    Verdict.ERROR: "broke",
    Verdict.FAIL: "failed",
    Verdict.WARN: "warned",
    Verdict.PASS: "passed",
    Verdict.INFO: "information only",
    Verdict.SKIP: "skipped",
}
_ROWS = 12  # of a table
_HANGING = 12  # columns of the name of a fact
_START = Control(ControlType.CARRIAGE_RETURN)
_EMPTY = Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
_ENDED = {
    Exit.INTERRUPTED: "interrupted: the report is incomplete",
    Exit.NOTHING: "no check could run",
}


class Terminal:
    """Observes a run and prints a header, a line per check, the findings and the verdict.

    Args:
        quiet: Show only findings that warn, fail or broke, and the last line.
        verbose: Show all findings, and the tracebacks of checks that broke.
        color: Whether to use colours; None uses them if the stream is a terminal and `NO_COLOR` is not set.
        durations: Number of slowest checks to list at the end.
        again: Returns the command that runs the check of this name again; None for no such line.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        color: bool | None = None,
        durations: int = 0,
        again: Callable[[str], str] | None = None,
    ) -> None:
        self._quiet, self._verbose, self._durations = quiet, verbose, durations
        self._again = again or _no_command
        self._out = console(sys.stdout, color=color)
        self._err = console(sys.stderr, color=color)
        self._begun = time.perf_counter()
        self._width = 12
        self._check = ""

    def begun(self, about: Provenance, checks: Sequence[Check]) -> None:
        self._width = max([self._width, *(len(check.name) for check in checks)])
        if self._quiet:
            return
        name = printable(f"auditor {about.versions.get('auditor', '')}")
        self._out.print(Text.assemble((name, "bold"), f" on {printable(about.device)}"))
        if about.checkpoint.trusted:
            told = "trusted: the checkpoint was allowed to run code in this process (--trust-checkpoint)"
            self._out.print(Text(told, "bold yellow"), soft_wrap=True)
        for name, text in _header(about, checks):
            self._fact(name, text)
        self._out.print()

    @contextmanager
    def sweeping(self, images: int) -> Iterator[Callable[[int], None]]:
        begun = time.perf_counter()
        with self._progress(OVER_DATA, images, "images") as seen:
            yield seen
        self._swept(images, time.perf_counter() - begun)

    def working(self, total: int, unit: str) -> AbstractContextManager[Advance]:
        return self._progress(self._check, total, unit)

    @contextmanager
    def _progress(self, what: str, total: int, unit: str) -> Iterator[Advance]:
        if self._quiet or not self._err.is_terminal:
            yield lambda done, note="": None
            return
        with bar(self._err, what, total, unit) as seen:
            yield seen

    def _swept(self, images: int, seconds: float) -> None:
        if not self._quiet:
            rate = images / seconds if seconds else 0.0
            self._out.print(f"[dim]pass over {images} images: {seconds:.1f} s, {rate:.0f} images/s[/]")

    def checking(self, check: Check) -> None:
        self._check = check.name
        if self._err.is_terminal and not self._quiet:
            self._err.print(Text(f"{printable(check.name)} ...", "dim"), end="")
            self._err.control(_START)

    def checked(self, result: Result) -> None:
        if self._quiet:
            return
        if self._err.is_terminal:
            self._err.control(_EMPTY)
        line = Text(f"{printable(result.check):<{self._width}}  ")
        line.append(f"{result.verdict!s:<5}", _STYLES[result.verdict])
        line.append(f"  {result.seconds:6.1f} s", "dim")
        line.append(f"  {_tally(result)}")
        self._out.print(line, soft_wrap=True)

    def finished(self, audit: Audit, exit_code: Exit, files: Mapping[str, Path]) -> None:
        """Print the findings, the verdict and the files."""
        if not self._quiet:
            self._out.print()
        self._findings(audit, str(files.get("html", "")))
        self._slowest(audit)
        self._summary(audit, exit_code)
        if not self._quiet:
            for name, path in files.items():
                self._named(name, str(path))

    def compared(self, audit: Audit, exit_code: Exit, files: Mapping[str, Path]) -> None:
        """Print a comparison of two audits: tables, findings, verdict and files."""
        if not self._quiet:
            for table in [piece for result in audit.results for piece in result.evidence if isinstance(piece, Table)]:
                self._table(table)
        self._findings(audit, str(files.get("html", "")))
        self._summary(audit, exit_code)
        if not self._quiet:
            for name, path in files.items():
                self._named(name, str(path))

    def _named(self, name: str, text: str) -> None:
        self._out.print(Text.assemble((f"{printable(name):<11}", "dim"), f" {printable(text)}"), soft_wrap=True)

    def _fact(self, name: str, text: str) -> None:
        """Print a named fact; on a terminal its further lines hang under the first."""
        room = max(self._out.width - _HANGING, 20) if self._out.is_terminal else len(text) + 1
        lines = textwrap.wrap(printable(text), room, break_long_words=False, break_on_hyphens=False)
        for number, line in enumerate(lines or [""]):
            self._named("" if number else name, line)

    def _table(self, table: Table) -> None:
        """Print a table; unless verbose, only its first rows."""
        shown = None if self._verbose else _ROWS
        title = Text(printable(table.title), "bold")
        grid = Grid(title=title, title_justify="left", box=SIMPLE, pad_edge=False, title_style="")
        numeric = [not any(map(str.isalpha, "".join(_cell(row[i]) for row in table.rows))) for i in _places(table)]
        for name, number in zip(table.columns, numeric, strict=True):
            grid.add_column(Text(printable(name)), justify="right" if number else "left", overflow="fold")
        for row in table.rows[:shown]:
            grid.add_row(*(Text(printable(_cell(cell))) for cell in row))
        self._out.print(grid)
        if len(table.rows) > len(grid.rows):
            self._out.print(
                f"[dim]{len(table.rows) - len(grid.rows)} more rows: use -v, or write a report with --out DIR[/]\n"
            )

    def _findings(self, audit: Audit, page: str = "") -> None:
        again = self._again if not audit.comparison else _no_command
        told = Diagnostics(audit, width=self._out.width, verbose=self._verbose, again=again, page=page)
        lines = list(told.short() if self._quiet else told.full())
        for line in lines:
            text = Text("" if line.verdict is None else f"{str(line.verdict).upper()} ")
            text.stylize(_STYLES[line.verdict] if line.verdict is not None else "")
            text.append(line.head, "bold").append(line.rest)
            self._out.print(text, soft_wrap=True)
        if lines and not self._quiet and (lines[-1].head or lines[-1].rest):
            self._out.print()

    def _slowest(self, audit: Audit) -> None:
        slowest = sorted(audit.results, key=lambda r: -r.seconds)[: self._durations]
        for result in slowest:
            self._out.print(Text.assemble((f"{result.seconds:8.2f} s", "dim"), f"  {printable(result.check)}"))
        if slowest:
            self._out.print()

    def _summary(self, audit: Audit, exit_code: Exit) -> None:
        parts = [f"{count} {_COUNTED[verdict]}" for verdict, count in counts(audit).items()]
        if audit.not_run:
            parts.append(f"{len(audit.not_run)} checks not run")
        seconds = time.perf_counter() - self._begun
        line = Text("verdict: ").append(str(audit.verdict).upper(), _STYLES[audit.verdict])
        line.append(f"  {', '.join(parts) or 'no check ran'} in {seconds:.1f} s (exit code {int(exit_code)})")
        if exit_code in _ENDED:
            line.append(f"; {_ENDED[exit_code]}")
        self._out.print(line, soft_wrap=True)


def _header(about: Provenance, checks: Sequence[Check]) -> Iterator[tuple[str, str]]:
    file, network, data = about.checkpoint, about.architecture, about.data
    yield "checkpoint", f"{file.name} ({file.format}, {file.bytes / 1e6:.1f} MB, sha256 {file.sha256[:12]})"
    if file.others:
        yield "weights", f"{file.weights}; the file also holds {', '.join(file.others)} (--weights NAME)"
    if file.sandbox:
        yield "sandbox", ", ".join(file.sandbox)
    layers = f", {len(network.layers)} layers" if network.layers else ""
    yield "network", f"{network.name} from {_in_english(network.source)}, {network.parameters:,} parameters{layers}"
    if network.output:
        yield "output", network.output
    if data.name:
        labels = "labelled" if data.labelled else "not labelled"
        yield "data", f"{data.name}: {data.images:,} files, {labels}; {len(data.classes)} classes"
    else:
        yield "data", "none; checks that need images are skipped"
    if data.task_source:
        labels = "several labels an image" if data.task == "multilabel" else "one class an image"
        yield "task", f"{labels} ({_in_english(data.task_source)})"
    yield "preprocess", _in_english(about.preprocess.get("source") or "as configured")
    for note in about.notes:
        yield "note", _in_english(note)
    yield "checks", ", ".join(check.name for check in checks)
    if loaded := about.settings.get("loaded"):
        yield "loaded", ", ".join(loaded)


def _in_english(text: str) -> str:
    """Return a fact for the terminal, whose own words are English in every language of the report."""
    with speaking(ENGLISH):
        return again(text)


def _places(table: Table) -> range:
    return range(len(table.columns))


def _cell(cell: object) -> str:
    return "" if cell is None else str(cell)


def _tally(result: Result) -> str:
    met = Counter(f.verdict for f in result.findings)
    return ", ".join(f"{met[v]} {v}" for v in sorted(met, reverse=True))


def _no_command(check: str) -> str:
    return ""

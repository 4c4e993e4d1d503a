"""The progress of an audit: bars in a terminal, one line of text in a notebook."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from auditor.check import Check
from auditor.context import Advance
from auditor.observer import Silent
from auditor.process.console import console, say, say_over
from auditor.process.foreign_text import printable

OVER_DATA = "pass over the data"

_KERNEL = "ipykernel"
_SECONDS = 0.2  # between two changes of a line of text
_CELLS = 20

Bar = Callable[[str, int, str], AbstractContextManager[Advance]]


class Shown(Silent):
    """Shows a bar for the pass over the data, and one for each check that reports its progress."""

    def __init__(self, bar: Bar) -> None:
        self._bar, self._check = bar, ""

    def sweeping(self, images: int) -> AbstractContextManager[Callable[[int], None]]:
        return self._bar(OVER_DATA, images, "images")

    def checking(self, check: Check) -> None:
        self._check = check.name

    def working(self, total: int, unit: str) -> AbstractContextManager[Advance]:
        return self._bar(self._check, total, unit)


def shown(*, wanted: bool) -> Silent:
    """Return what shows progress: on a terminal or in a notebook, and nowhere else.

    Args:
        wanted: Whether to show any.
    """
    if not wanted:
        return Silent()
    if _KERNEL in sys.modules:
        return Shown(text_bar)
    terminal = console(sys.stderr)
    return Shown(lambda what, total, unit: bar(terminal, what, total, unit)) if terminal.is_terminal else Silent()


@contextmanager
def bar(terminal: Any, what: str, total: int, unit: str) -> Iterator[Advance]:
    """Show a bar on a terminal, as `process.console` makes it, while a block runs."""
    columns = (
        TextColumn("[dim]{task.description}[/]"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[dim]{task.fields[rate]}, left[/]"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal, transient=True) as progress:
        begun = time.perf_counter()
        task = progress.add_task(escape(printable(what)), total=total, rate="")

        def seen(done: int, note: str = "") -> None:
            progress.advance(task, done)
            rate = progress.tasks[0].completed / (time.perf_counter() - begun)
            said = [f"{rate:.0f} {unit}/s", *([note] if note else [])]
            progress.update(task, rate=escape(printable(", ".join(said))))

        yield seen


@contextmanager
def text_bar(what: str, total: int, unit: str) -> Iterator[Advance]:
    """Show a bar of text while a block runs: one line, which a carriage return writes again."""
    begun = last = time.perf_counter()
    count = 0

    def seen(done: int, note: str = "") -> None:
        nonlocal count, last
        count += done
        now = time.perf_counter()
        if now - last >= _SECONDS or count >= total:
            last = now
            filled = min(_CELLS, count * _CELLS // max(total, 1))
            rate = f"{count / max(now - begun, 1e-9):.0f} {unit}/s"
            cells = f"{'#' * filled}{'.' * (_CELLS - filled)}"
            say_over(f"{printable(what)} [{cells}] {count}/{total} {printable(rate)}")

    try:
        yield seen
    finally:
        say("", err=True)

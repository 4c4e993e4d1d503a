"""The GitHub workflow that an audit runs in: it is told what the report says, and takes no text for a command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from auditor.errors import OutputError
from auditor.report import step_summary
from auditor.report.annotations import command, lines, stopped
from auditor.results import Audit


class Workflow:
    """Speaks to GitHub Actions where `GITHUB_ACTIONS` is `true`; elsewhere it only appends to `GITHUB_STEP_SUMMARY`.

    Args:
        say: Prints a line where the runner reads it.
    """

    def __init__(self, say: Callable[[str], None], environment: Mapping[str, str] = os.environ) -> None:
        self._say = say
        self._listens = environment.get("GITHUB_ACTIONS") == "true"
        self._summary = environment.get("GITHUB_STEP_SUMMARY")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let nothing that is printed in the block be a command, whatever files and plugins are called."""
        if not self._listens:
            yield
            return
        begin, end = stopped()
        self._say(begin)
        try:
            yield
        finally:
            self._say(end)

    def finished(self, audit: Audit) -> str:
        """Tell what was found, and return what went wrong with that, or nothing.

        The report is written by now and the verdict known: neither depends on what becomes of this.
        """
        if self._listens:
            for line in lines(audit):
                self._say(line)
        trouble = self._append(audit)
        if trouble and self._listens:
            self._say(command("warning", "auditor", trouble))
        return trouble

    def refused(self, line: str) -> None:
        """Tell why there is no report."""
        if self._listens:
            self._say(command("error", "auditor", line))

    def _append(self, audit: Audit) -> str:
        try:
            if self._summary:
                step_summary.append(audit, Path(self._summary))
        except OutputError as error:
            return str(error)
        return ""

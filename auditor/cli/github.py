"""Annotations and the step summary of the GitHub workflow that an audit runs in."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from auditor.errors import OutputError
from auditor.process import signs
from auditor.report import step_summary
from auditor.report.annotations import command, lines, stopped
from auditor.results import Audit


class Workflow:
    """Writes annotations if `GITHUB_ACTIONS` is `true`, and appends to `GITHUB_STEP_SUMMARY` if that is set.

    Args:
        write: Prints a line to the output that the GitHub runner reads.
    """

    def __init__(self, write: Callable[[str], None], environment: Mapping[str, str] = os.environ) -> None:
        self._write = write
        self._annotates = environment.get("GITHUB_ACTIONS") == "true"
        self._summary = environment.get("GITHUB_STEP_SUMMARY")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the runner from reading commands in the block, so that names of files and plugins can't be commands."""
        if not self._annotates:
            yield
            return
        begin, end = stopped()
        signs.last_words(end)  # the runner would ignore an error that the supervisor annotates after a crash
        self._write(begin)
        try:
            yield
        finally:
            self._write(end)
            signs.last_words("")

    def finished(self, audit: Audit) -> str:
        """Write the findings as annotations and the step summary; return what went wrong, or an empty text.

        The report has been written by now. A problem here changes neither the report nor the verdict.
        """
        if self._annotates:
            for line in lines(audit):
                self._write(line)
        trouble = self._append(audit)
        if trouble and self._annotates:
            self._write(command("warning", "auditor", trouble))
        return trouble

    def refused(self, line: str) -> None:
        """Write an annotation that says why there is no report."""
        if self._annotates:
            self._write(command("error", "auditor", line))

    def _append(self, audit: Audit) -> str:
        try:
            if self._summary:
                step_summary.append(audit, Path(self._summary))
        except OutputError as error:
            return str(error)
        return ""

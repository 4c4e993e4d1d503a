"""Annotations and the step summary of the GitHub workflow that an audit runs in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from auditor.errors import OutputError
from auditor.process import signs
from auditor.report import step_summary
from auditor.report.annotations import command, lines, stopped
from auditor.results import Audit


class Workflow:
    """Writes annotations if `GITHUB_ACTIONS` is `true`, and appends to `GITHUB_STEP_SUMMARY` if that is set.

    A context manager for a whole command. From `stop` to the end of the block the runner reads no commands, so names of
    files and plugins can't be commands. The annotations follow after that.

    Args:
        write: Prints a command to the output that the GitHub runner reads.
    """

    def __init__(self, write: Callable[[str], None], environment: Mapping[str, str] = os.environ) -> None:
        self._write = write
        self._annotates = environment.get("GITHUB_ACTIONS") == "true"
        self._stops = self._annotates and environment.get("RANK", "0") == "0"  # of several processes only the first
        self._summary = environment.get("GITHUB_STEP_SUMMARY")
        self._end = ""
        self._annotations: list[str] = []

    def __enter__(self) -> Workflow:
        return self

    def __exit__(self, *_: object) -> None:
        if self._end:
            self._write(self._end)
            signs.last_words("")
        for line in self._annotations:
            self._write(line)
        self._end, self._annotations = "", []

    def stop(self) -> None:
        """Stop the runner from reading commands until the end of the block."""
        if self._stops and not self._end:
            begin, self._end = stopped()
            signs.last_words(self._end)  # the runner would ignore an error that the supervisor annotates after a crash
            self._write(begin)

    def finished(self, audit: Audit) -> str:
        """Annotate the findings and append the step summary; return what went wrong, or an empty text.

        The report has been written by now. A problem here changes neither the report nor the verdict.
        """
        if self._annotates:
            self._annotations += lines(audit)
        trouble = self._append(audit)
        if trouble and self._annotates:
            self._annotations.append(command("warning", "auditor", trouble))
        return trouble

    def refused(self, line: str) -> None:
        """Annotate an error that says why there is no report."""
        if self._annotates:
            self._annotations.append(command("error", "auditor", line))

    def _append(self, audit: Audit) -> str:
        try:
            if self._summary:
                step_summary.append(audit, Path(self._summary))
        except OutputError as error:
            return str(error)
        return ""

"""The summary of a step of GitHub Actions, appended to the file that the runner names."""

from __future__ import annotations

import os
from pathlib import Path

from auditor.errors import OutputError
from auditor.language import _, marked
from auditor.report import summary
from auditor.results import Audit

LARGEST = 2**20  # bytes; GitHub shows nothing of a larger summary

_CUT = marked("Truncated: GitHub shows 1 MiB per step. The full summary is in summary.md of the report.")


def append(audit: Audit, file: Path) -> None:
    """Append the summary, truncated at a line if the step would exceed the limit of GitHub.

    Raises:
        OutputError: The file can't be written, or is full.
    """
    try:
        with open(file, "ab", opener=_without_waiting) as opened:
            used = opened.tell()
            opened.write(_fitting(summary.text(audit), LARGEST - used, first=not used))
    except OSError as error:
        raise OutputError(f"can't append the summary to {file}: {error.strerror or error}") from error


def _without_waiting(file: str, flags: int) -> int:
    """Open a file; a FIFO that nobody reads is an error, and not waited for."""
    return os.open(file, flags | getattr(os, "O_NONBLOCK", 0), 0o666)


def _fitting(text: str, room: int, *, first: bool) -> bytes:
    whole = text.encode() if first else f"\n\n{text}".encode()
    if len(whole) <= room:
        return whole
    note = f"\n\n**{_(_CUT)}**\n".encode()
    kept = whole[: max(0, room - len(note))].rpartition(b"\n")[0]
    if not kept.strip():
        raise OutputError("can't append the summary: the step already has the 1 MiB that GitHub shows")
    return kept + note

"""What writes each built-in format of a report: a table of functions of one signature."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from auditor.report import brief, html, junit, pdf, pdf_process, record, sarif, summary
from auditor.results import Audit

Save = Callable[[Audit, Path], object]
"""Writes one format of an audit into a folder; the formats of plugins have this signature too."""


@dataclass(frozen=True, slots=True)
class Format:
    """One built-in format, and the file that it writes."""

    file: str
    save: Save


def built_in(templates: Sequence[Path] = ()) -> Mapping[str, Format]:
    """Return the built-in formats by name.

    Args:
        templates: Folders that take precedence over the built-in templates.
    """
    return {
        "html": Format(html.NAME, partial(html.save, folders=templates)),
        "pdf": Format(pdf.NAME, partial(pdf_process.save, folders=templates, name=pdf.NAME)),
        "json": Format(record.NAME, record.save),
        "junit": Format(junit.NAME, junit.save),
        "summary": Format(summary.NAME, summary.save),
        "sarif": Format(sarif.NAME, sarif.save),
        "pdf-summary": Format(brief.NAME, partial(pdf_process.save, folders=templates, name=brief.NAME)),
    }

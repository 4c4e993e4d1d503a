"""An audit as files: `audit.json` with its pictures, and the reports made from them. Never torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from auditor.errors import AuditorError, OutputError, UsageError, did_you_mean
from auditor.language import speaking
from auditor.report import folder as place
from auditor.report import record
from auditor.results import Audit

__all__ = ["read", "render", "write"]

FILES = {
    "html": "report.html",
    "pdf": "report.pdf",
    "json": record.NAME,
    "junit": "junit.xml",
    "summary": "summary.md",
    "sarif": "report.sarif",
    "pdf-summary": "summary.pdf",
}
"""The built-in formats and what they write. The record is written in any case."""

_MODULES = {"pdf-summary": "brief"}
"""The modules that are not named as their formats."""

_FROM_TEMPLATES = ("html", "pdf", "pdf-summary")

Format = Callable[[Audit, Path], Any]

read = record.read


def write(
    audit: Audit,
    folder: Path,
    *,
    formats: Sequence[str],
    templates: Sequence[Path] = (),
    arrays: Mapping[str, Mapping[str, Any]] | None = None,
    extra: Mapping[str, Format] | None = None,
) -> dict[str, Path]:
    """Write a report in the language of the audit, in place of an older one, and return the files by format.

    A format that breaks costs only itself: the others, and the record from which it can be made
    again, are written before its error is raised.

    Args:
        templates: Folders that stand before the built-in templates.
        arrays: Raw numbers by check and name, for `arrays/<check>.safetensors`.
        extra: Formats of plugins, by name.

    Raises:
        OutputError: The folder can't be written, or a format could not be made.
        UsageError: There is no such format.
    """
    makers = _makers(formats, templates, extra or {})
    with place.staged(folder) as stage:
        record.save(audit, stage)
        _save_arrays(arrays or {}, stage)
        broken = _make(audit, stage, makers)
    if broken:
        raise broken
    return {name: folder / FILES.get(name, "") for name in dict.fromkeys((*formats, "json"))}


def render(
    folder: Path,
    *,
    formats: Sequence[str] = ("html", "pdf", "summary"),
    templates: Sequence[Path] = (),
    extra: Mapping[str, Format] | None = None,
    language: str | None = None,
) -> dict[str, Path]:
    """Make reports again from the record in `folder`; whatever else lies there stays.

    Args:
        language: The one that the audit has to be in; None for any.

    Raises:
        OutputError: The folder holds no report, or can't be written, or a format could not be made.
        UsageError: There is no such format, or the audit is in another language.
    """
    makers = _makers([name for name in formats if name != "json"], templates, extra or {})
    audit = read(folder)
    if language not in (None, audit.provenance.language):
        raise UsageError(
            f"the findings in {folder} are written in {audit.provenance.language!r}, so that no report in "
            f"{language!r} can be made of them; audit again with --lang {language}"
        )
    with place.staged(folder, replaces=tuple(FILES[name] for name in makers if name in FILES)) as stage:
        broken = _make(audit, stage, makers)
    if broken:
        raise broken
    return {name: folder / FILES.get(name, "") for name in makers}


def _makers(formats: Sequence[str], templates: Sequence[Path], extra: Mapping[str, Format]) -> dict[str, Format]:
    known = [*FILES, *extra]
    for name in formats:
        if name not in known:
            raise UsageError(
                f"there is no report format {name!r}; there are: {', '.join(known)}{did_you_mean(name, known)}"
            )
    return {name: extra.get(name) or _built_in(name, templates) for name in formats if name != "json"}


def _built_in(name: str, templates: Sequence[Path]) -> Format:
    """Return the writer of a built-in format; its module is loaded only when it writes."""

    def save(audit: Audit, stage: Path) -> None:
        module = import_module(f"auditor.report.{_MODULES.get(name, name)}")
        module.save(audit, stage, *([templates] if name in _FROM_TEMPLATES else []))

    return save


def _make(audit: Audit, stage: Path, makers: Mapping[str, Format]) -> AuditorError | None:
    """Run every format, and return the first error after all others had their turn."""
    first = None
    for name, make in makers.items():
        try:
            with speaking(audit.provenance.language):
                make(audit, stage)
        except AuditorError as error:
            first = first or error
        except OSError:
            raise
        except Exception as error:
            broken = OutputError(f"the report format {name!r} broke: {type(error).__name__}: {error}")
            broken.__cause__ = error
            first = first or broken
    return first


def _save_arrays(arrays: Mapping[str, Mapping[str, Any]], stage: Path) -> None:
    if not arrays:
        return
    import numpy as np
    from safetensors.numpy import save_file

    (stage / "arrays").mkdir()
    for check, named in arrays.items():
        plain = {name: np.ascontiguousarray(np.asarray(array)) for name, array in named.items()}
        save_file(plain, place.arrays_file(stage, check))

"""An audit as files: `audit.json` with its pictures, and the reports made from them. Never torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.errors import AuditorError, OutputError, UsageError, did_you_mean
from auditor.language import speaking
from auditor.process import interrupts
from auditor.report import folder as place
from auditor.report import privacy, record, translation
from auditor.results import Audit

if TYPE_CHECKING:
    from auditor.report.formats import Format, Save

__all__ = ["presented", "read", "render", "write"]

read = record.read


def write(
    audit: Audit,
    folder: Path,
    *,
    formats: Sequence[str],
    templates: Sequence[Path] = (),
    arrays: Mapping[str, Mapping[str, Any]] | None = None,
    extra: Mapping[str, Save] | None = None,
    claim: place.Claim | None = None,
) -> dict[str, Path]:
    """Write a report in the language of the audit, replace an older one, and return the files by format.

    If a format breaks, the others and the record are written all the same, and its error is raised at the end.

    Args:
        templates: Folders that take precedence over the built-in templates.
        arrays: Raw numbers by check and name, for `arrays/<check>.safetensors`.
        extra: Formats of plugins, by name.
        claim: The claim to the folder, if it is held already.

    Raises:
        OutputError: The folder can't be written, or a format could not be written.
        UsageError: There is no such format.
    """
    chosen = _chosen(formats, templates, extra or {})
    with (
        ExitStack() as moving,
        nullcontext(claim) if claim else place.claimed(folder) as held,
        held.staged() as stage,
    ):
        record.save(audit, stage, taken=held.taken)
        _save_arrays(arrays or {}, stage)
        broken = _save_each(audit, stage, {name: one for name, one in chosen.items() if name != "json"})
        moving.enter_context(interrupts.held())  # an interrupt comes before all files move in, or after
    if broken:
        raise broken
    return {name: folder / one.file for name, one in chosen.items()}


def presented(audit: Audit, *, redact: bool) -> Audit:
    """Return an audit as reports show it: with short paths, or without what tells of this machine."""
    return privacy.redacted(audit) if redact else privacy.relative(audit)


def render(
    folder: Path,
    *,
    formats: Sequence[str] = ("html", "pdf", "summary"),
    templates: Sequence[Path] = (),
    extra: Mapping[str, Save] | None = None,
    language: str | None = None,
    redact: bool = False,
    out: Path | None = None,
) -> dict[str, Path]:
    """Make reports again from the record in `folder`; other files in it are left alone.

    Args:
        language: The language of the reports; None for that of the audit.
        redact: Leave out what tells of the machine and its user.
        out: Another folder, which gets a record too.

    Raises:
        OutputError: The folder holds no report, or can't be written, or a format could not be written.
        UsageError: There is no such format, or the audit is in another language and too old to be
            translated.
    """
    chosen = _chosen(formats, templates, extra or {})
    chosen.pop("json")
    audit = read(folder)
    replaced = frozenset(one.file for one in chosen.values())
    if language not in (None, audit.provenance.language):
        audit = _translated(audit, str(language), folder)
    if redact:
        audit = privacy.redacted(audit)
    if out is not None and out.resolve() != folder.resolve():
        return write(audit, out, formats=formats, templates=templates, extra=extra)
    with place.claimed(folder) as held, held.staged(replaces=replaced) as stage:
        broken = _save_each(audit, stage, chosen)
    if broken:
        raise broken
    return {name: folder / one.file for name, one in chosen.items()}


def _translated(audit: Audit, language: str, folder: Path) -> Audit:
    if not translation.is_possible(audit):
        raise UsageError(
            f"the audit in {folder} is in {audit.provenance.language!r}, and its version did not keep what a "
            f"translation needs; audit again with --lang {language}"
        )
    return translation.in_language(audit, language)


def _chosen(names: Sequence[str], templates: Sequence[Path], extra: Mapping[str, Save]) -> dict[str, Format]:
    """Return the formats of these names and the record, which is always written."""
    # here and not above: these modules load the template engine, and the command line imports this package
    from auditor.report.formats import Format, built_in

    known = {**built_in(templates), **{name: Format("", save) for name, save in extra.items()}}
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no report format {name!r}; there are: {', '.join(known)}{did_you_mean(name, known)}"
            )
    return {name: known[name] for name in dict.fromkeys((*names, "json"))}


def _save_each(audit: Audit, stage: Path, chosen: Mapping[str, Format]) -> AuditorError | None:
    """Write every format, and return the first error after all the others have been tried; a PDF takes longest."""
    first = None
    for name, one in sorted(chosen.items(), key=lambda pair: pair[1].file.endswith(".pdf")):
        try:
            with speaking(audit.provenance.language):
                one.save(audit, stage)
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
    from safetensors.numpy import save as packed

    (stage / "arrays").mkdir()
    for check, named in arrays.items():
        plain = {name: np.ascontiguousarray(np.asarray(array)) for name, array in named.items()}
        place.arrays_file(stage, check).write_bytes(packed(plain))

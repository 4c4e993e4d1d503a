"""Judge the files below the folder of the data, or in its archive, that were not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from auditor.data import suffixes
from auditor.data.decoding.extras import install
from auditor.language import _, joined, many, some
from auditor.results import Finding, Table, Verdict, at_most

if TYPE_CHECKING:
    from auditor.data.listing import Listing
    from auditor.data.skipped import Skipped

_RULE = "data.skipped"
_MISSED: Final = ("format", "hidden")


def skipped(listing: Listing, *, fail: float) -> Iterator[Finding | Table]:
    """Judge the share of images that were skipped: in formats that are not read, or hidden.

    Args:
        fail: Share of the images over which the audit fails.
    """
    if not listing.walked and listing.beside is None:
        return
    files = listing.skipped
    missed = [one for one in files if one.kind in _MISSED]
    others = _others(files)
    lost, total = sum(one.count for one in missed), len(listing.names) + sum(one.count for one in missed)
    if not missed:
        yield Finding(_RULE, Verdict.PASS, _("no image file was skipped"), value=0.0, limit=0.0, n=total, detail=others)
    else:
        message = many(
            "{count} of {n} image files was skipped: {kinds}",
            "{count} of {n} image files were skipped: {kinds}",
            lost,
            n=total,
            kinds=_kinds(missed),
        )
        verdict = at_most(lost / total, warn=0, fail=fail)
        detail = joined(*_advice(missed), _by_folder(missed), others)
        yield Finding(_RULE, verdict, message, value=lost / total, limit=0.0, n=total, detail=detail)
    if files:
        yield Table(
            _("Files skipped"),
            _("Files of the data that were not read as images, by suffix and class."),
            (_("suffix"), _("class"), _("files"), _("reason")),
            tuple((one.suffix or _("no suffix"), one.folder, one.count, _reason(one)) for one in files),
        )


def _kinds(files: Iterable[Skipped]) -> str:
    counts: Counter[str] = Counter()
    for one in files:
        counts[one.suffix or _("no suffix")] += one.count
    return some(f"{count} x {suffix}" for suffix, count in counts.most_common())


def _by_folder(files: Iterable[Skipped]) -> str:
    counts: Counter[str] = Counter()
    for one in files:
        counts[one.folder] += one.count
    named = [(folder, count) for folder, count in counts.most_common() if folder]
    if not named:
        return ""
    return _("By class: {folders}.", folders=some(f"{folder} {count}" for folder, count in named))


def _advice(files: Iterable[Skipped]) -> Iterator[str]:
    missed = list(files)
    formats = sorted({one.suffix for one in missed if one.kind == "format"})
    for extra in sorted({suffixes.EXTRAS[suffix] for suffix in formats if suffix in suffixes.EXTRAS}):
        own = ", ".join(suffix for suffix in formats if suffixes.EXTRAS.get(suffix) == extra)
        yield _("To read {suffixes}, run {command}.", suffixes=own, command=install(extra))
    if rest := [suffix for suffix in formats if suffix not in suffixes.EXTRAS]:
        yield _("Convert {suffixes} to PNG or JPEG.", suffixes=", ".join(rest))
    if any(one.kind == "hidden" for one in missed):
        yield _("Hidden files are not read: rename them, or delete them if they are no part of the data.")


def _others(files: Iterable[Skipped]) -> str:
    rest = [one for one in files if one.kind not in _MISSED]
    return _("Not counted: {kinds}.", kinds=_kinds(rest)) if rest else ""


def _reason(one: Skipped) -> str:
    return {
        "format": _("this format is not read"),
        "hidden": _("hidden"),
        "paired": _("not read, but there is an image of the same name"),
        "copy": _("in a folder that a program keeps for itself"),
        "replaced": _("a later member of the archive has the same name"),
        "other": _("no image"),
    }[one.kind]

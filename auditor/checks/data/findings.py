"""Judge the number of images and the fit of their labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from auditor.collectors import Readability
from auditor.data.assumption import Assumption
from auditor.data.manifest_files import Whereabouts
from auditor.judging.grounds import ANSWERS
from auditor.judging.sufficiency import FEWEST, MOST_UNREADABLE, Amount
from auditor.language import _, chained, joined, many, marked, some
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context

_NAMED = 5


def sufficiency(
    readability: Readability, context: Context, *, unreadable_fail: float = MOST_UNREADABLE, fewest: int = FEWEST
) -> Iterator[Finding]:
    """Judge whether enough files can be read."""
    found = context.data.listing.whereabouts([name for name, why in readability.unreadable])
    yield _unreadable(readability, unreadable_fail, found)
    amount = amount_of(readability, context)
    if amount.distinct < fewest:
        yield Finding(
            "data.few",
            Verdict.WARN if amount.distinct > 1 else Verdict.FAIL,
            many(
                "the data have {count} distinct readable image ({fewest} needed)",
                "the data have {count} distinct readable images ({fewest} needed)",
                amount.distinct,
                fewest=fewest,
            ),
            value=amount.distinct,
            limit=fewest,
            unit=marked("images"),
            n=amount.files,
            detail=_("Nothing that is judged on images passes. Give more images."),
        )


def amount_of(readability: Readability, context: Context) -> Amount:
    """Return how many images there are to judge by."""
    left_out, listing = {name for name, why in readability.unreadable}, context.data.listing
    readable = (digest for name, digest in zip(listing.names, listing.digests, strict=True) if name not in left_out)
    return Amount(readability.read + len(left_out), len(left_out), len({digest for digest in readable if digest}))


def _unreadable(readability: Readability, fail: float, found: Whereabouts | None) -> Finding:
    bad, total = len(readability.unreadable), readability.read + len(readability.unreadable)
    rule = "data.unreadable"
    if not bad:
        message = many("{count} file is readable", "all {count} files are readable", total)
        return Finding(rule, Verdict.PASS, message, value=0.0, limit=0.0, n=total)
    files = ", ".join(f"{file} ({why})" for file, why in readability.unreadable[:5])
    where = {"path": found.path, "folder": found.folder} if found else {}
    hint = _("{path} lies under {folder}: give --root {folder}.", **where) if where else ""
    return Finding(
        rule,
        at_most(bad / total, warn=0, fail=fail),
        many(
            "{count} of {n} files is unreadable and was left out",
            "{count} of {n} files are unreadable and were left out",
            bad,
            n=total,
        ),
        value=bad / total,
        limit=0.0,
        n=total,
        detail=joined(_("Repair or remove them: {files}.", files=files), hint),
    )


def labels_of(context: Context, place: int) -> tuple[int, ...] | None:
    """Return the labels of an image, the only one where it has one class; None if they are unknown."""
    labels = context.data.labels
    if labels.sets:
        one = labels.sets[place]
        return None if one is None else one.present
    label = labels.indices[place]
    return None if label is None else (label,)


def classes(context: Context, sets: Sequence[tuple[int, ...] | None]) -> Finding:
    """Judge whether the labels fit the classes of the network."""
    rule = "data.classes"
    if context.data_problem:
        return Finding(
            rule,
            Verdict.FAIL,
            context.data_problem,
            detail=_("Name the folders like the classes, or list the classes in their order with --classes."),
            ends=(ANSWERS,),
        )
    if all(one is None for one in sets):
        return Finding(rule, Verdict.SKIP, _("the images have no labels: the accuracy is not measured"))
    counted = {label for one in sets for label in one or ()}
    present = len(counted)
    message = _(
        "the labels fit: {present} of {classes} classes of the network have images",
        present=present,
        classes=len(context.classes),
    )
    without = [name for index, name in enumerate(context.classes) if index not in counted]
    absent = many(
        "No images: {classes}.",
        "{count} classes have no images: {classes}.",
        len(without),
        classes=some(without, _NAMED),
    )
    unknown = sum(one is None for one in sets)
    loose = many("{count} image has no label.", "{count} images have no label.", unknown)
    one = _("All labels are one class: the accuracy says nothing about the others.")
    told = ((absent, without), (loose, unknown), (one, present == 1 and not context.task.multilabel))
    detail = joined(
        *(text for text, holds in told if holds), *filter(None, (_several(context, sets), _left_out(context)))
    )
    return Finding(rule, Verdict.PASS, message, value=present, unit=marked("classes"), n=len(sets), detail=detail)


def _several(context: Context, sets: Sequence[tuple[int, ...] | None]) -> str:
    """Describe the labels of images that may have several."""
    if not context.task.multilabel:
        return ""
    known = [one for one in sets if one is not None]
    if context.data.labels.partial:
        return _("Each image names one label; whether others apply to it is unknown.")
    return _(
        "An image has {mean:.1f} labels on average; {none} of {n} images have none, and {unknown} are unknown.",
        mean=sum(map(len, known)) / len(known),
        none=sum(not one for one in known),
        n=len(known),
        unknown=len(sets) - len(known),
    )


def _left_out(context: Context) -> str:
    """Count the images whose several labels are not used, because one class an image was asked for."""
    if context.task.multilabel or not (count := context.data.labels.several):
        return ""
    return many(
        "{count} image has several labels and counts as unlabelled.",
        "{count} images have several labels and count as unlabelled.",
        count,
    )


def layout(assumptions: Sequence[Assumption]) -> Iterator[Finding]:
    """Tell what was assumed about the data."""
    if assumptions:
        verdict = Verdict.WARN if any(one.guess for one in assumptions) else Verdict.INFO
        yield Finding("data.layout", verdict, chained(*(one.text for one in assumptions)))


def contents(
    names: Sequence[str], digests: Sequence[str], labels: Sequence[tuple[int, ...] | None]
) -> Iterator[Finding]:
    """Judge files with the same contents: those of two labels, and all."""
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        if digest:
            groups[digest].append(index)
    several = [group for group in groups.values() if len(group) > 1]
    if any(label is not None for label in labels):
        yield _contradictions([group for group in several if len(_known(group, labels)) > 1], names, len(groups))
    if several:
        copies = sum(len(group) - 1 for group in several)
        yield Finding(
            "data.duplicates",
            Verdict.INFO,
            many(
                "{count} file has the same contents as another one and is not counted again in the accuracy",
                "{count} files have the same contents as another one and are not counted again in the accuracy",
                copies,
            ),
            value=copies,
            unit=marked("files"),
            n=len(names),
            detail=some([_together(group, names) for group in several], _NAMED),
        )


def _contradictions(groups: Sequence[Sequence[int]], names: Sequence[str], images: int) -> Finding:
    if not groups:
        message = _("no image has two labels")
    else:
        message = many("{count} image has two labels", "{count} images have two labels", len(groups))
    advice = _(
        "Correct the labels: {files}. If images have several labels, give --task multilabel.",
        files=some([_together(group, names) for group in groups], _NAMED),
    )
    return Finding(
        "data.labels",
        Verdict.FAIL if groups else Verdict.PASS,
        message,
        value=len(groups),
        limit=0,
        unit=marked("images"),
        n=images,
        detail=advice if groups else "",
    )


def _known(group: Sequence[int], labels: Sequence[tuple[int, ...] | None]) -> set[tuple[int, ...]]:
    return {label for label in (labels[index] for index in group) if label is not None}


def _together(group: Sequence[int], names: Sequence[str]) -> str:
    return " = ".join(dict.fromkeys(names[index] for index in group))

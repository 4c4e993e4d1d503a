"""Judge the number of images and the fit of their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from auditor.collectors import Readability
from auditor.judging.sufficiency import FEWEST, MOST_UNREADABLE, Amount
from auditor.language import _, joined, many, marked
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context


def sufficiency(
    readability: Readability, context: Context, *, unreadable_fail: float = MOST_UNREADABLE, fewest: int = FEWEST
) -> Iterator[Finding]:
    """Judge whether enough files can be read."""
    yield _unreadable(readability, unreadable_fail)
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


def _unreadable(readability: Readability, fail: float) -> Finding:
    bad, total = len(readability.unreadable), readability.read + len(readability.unreadable)
    rule = "data.unreadable"
    if not bad:
        message = many("{count} file is readable", "all {count} files are readable", total)
        return Finding(rule, Verdict.PASS, message, value=0.0, limit=0.0, n=total)
    files = ", ".join(f"{file} ({why})" for file, why in readability.unreadable[:5])
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
        detail=_("Repair or remove them: {files}", files=files),
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
        )
    if all(one is None for one in sets):
        return Finding(rule, Verdict.SKIP, _("the images have no labels: the accuracy is not measured"))
    present = len({label for one in sets for label in one or ()})
    message = _(
        "the labels fit: {present} of {classes} classes of the network have images",
        present=present,
        classes=len(context.classes),
    )
    detail = joined(_several(context, sets), _left_out(context))
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

"""Judge the number of images and the fit of their labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from auditor.collectors import Readability
from auditor.judging.sufficiency import FEWEST, MOST_UNREADABLE, Amount
from auditor.language import _, many, marked
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


def classes(context: Context, labels: Sequence[int | None]) -> Finding:
    rule = "data.classes"
    if context.data_problem:
        return Finding(
            rule,
            Verdict.FAIL,
            context.data_problem,
            detail=_("Name the folders like the classes, or list the classes in their order with --classes."),
        )
    if all(label is None for label in labels):
        return Finding(rule, Verdict.SKIP, _("the images have no labels: the accuracy is not measured"))
    present = len({label for label in labels if label is not None})
    message = _(
        "the labels fit: {present} of {classes} classes of the network have images",
        present=present,
        classes=len(context.classes),
    )
    return Finding(rule, Verdict.PASS, message, value=present, unit=marked("classes"), n=len(labels))

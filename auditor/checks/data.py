"""Judge whether the images and labels can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.check import Check, Count, Share, Steps
from auditor.collectors import Readability
from auditor.judging.rule import Rule
from auditor.judging.sufficiency import FEWEST, MOST_UNREADABLE, Amount
from auditor.judging.validation import levelled
from auditor.language import _, joined, many, marked
from auditor.results import Finding, Result, Table, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context

_MOST_ROWS = 1000

UNREADABLE = Rule(
    "data.unreadable",
    marked("Files that can't be read as images."),
    level=Verdict.FAIL,
    basis="exact",
    better="lower",
    tolerance=0.0,
    warn=0.0,
    images=False,
    measured=marked(
        "Any unreadable file is a warning; a share over the limit is a failure, and nothing that is judged on images "
        "passes. The failure is reported even if the check data is not selected. Unreadable files are left out of "
        "everything else."
    ),
    advice=marked("Repair or remove the files."),
)

FEW = Rule(
    "data.few",
    marked("Distinct readable images."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("images"),
    better="higher",
    tolerance=0.0,
    measured=marked(
        "Files with the same contents count once. Under the option fewest, the audit warns, and nothing that is judged "
        "on images passes. With fewer than 2 distinct images the audit fails."
    ),
    advice=marked("Give more images."),
)

CLASSES = Rule(
    "data.classes",
    marked("Whether the folders or labels fit the classes of the network."),
    level=Verdict.FAIL,
    basis="exact",
    unit=marked("classes"),
    measured=marked(
        "Folders or labels that don't fit are a failure, and nothing that needs labels is measured. Images without "
        "labels are skipped. Otherwise the finding counts the classes that have images."
    ),
    advice=marked("Name the folders like the classes, or list the classes in their order with --classes."),
)


@Check.with_rules(UNREADABLE, FEW, CLASSES)
def data(context: Context, *, unreadable_fail: Share = MOST_UNREADABLE, fewest: Count = FEWEST) -> Steps:
    """Can the images and their labels be used?

    Unreadable files are left out of everything else in this report. Labels are used only if they fit the classes of the
    network.

    Args:
        unreadable_fail: share of unreadable files over which the audit fails, and nothing that is judged on images
            passes.
        fewest: number of distinct readable images under which nothing that is judged on images passes.
    """
    readability = yield Readability()
    yield from sufficiency(readability, context, unreadable_fail=unreadable_fail, fewest=fewest)
    left_out = {name for name, why in readability.unreadable}
    read = [place for place, name in enumerate(context.data.listing.names) if name not in left_out]
    sets = [_set(context, place) for place in read]
    yield _classes(context, sets)
    if readability.unreadable:
        yield Table(
            _("Files left out"),
            _("Each unreadable file, and the reason."),
            (_("file"), _("reason")),
            readability.unreadable,
        )
    counts = Counter(label for one in sets for label in one or ())
    if counts:
        yield _by_class(counts, context.classes)


def _by_class(counts: Counter[int], classes: Sequence[str]) -> Table:
    """Tabulate the number of images of each class, of many classes those with the fewest images."""
    shown = sorted(sorted(counts, key=lambda label: (counts[label], label))[:_MOST_ROWS])
    caption = _("Number of images of each class. With few images, every number about the class is uncertain.")
    if len(shown) < len(counts):
        fewer = _(
            "The {shown:,} classes with the fewest images of {count:,} are listed.", shown=len(shown), count=len(counts)
        )
        caption = joined(caption, fewer)
    return Table(
        _("Images by class"),
        caption,
        (_("class"), _("images")),
        tuple((classes[label], counts[label]) for label in shown),
    )


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


def data_result(
    readability: Readability, context: Context, options: Mapping[str, Any], levels: Mapping[str, str]
) -> Result:
    """Return what the check says of the number of images, for an audit in which it was not selected."""
    chosen = {name: options[name] for name in ("unreadable_fail", "fewest") if name in options}
    found = tuple(sufficiency(readability, context, **chosen))
    rules, evidence = data.facts(chosen), tuple(levelled(one, levels) for one in found)
    return Result(data.name, _(data.question), evidence, rules={one.rule: rules[one.rule] for one in found})


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


def _set(context: Context, place: int) -> tuple[int, ...] | None:
    """Return the labels of an image, the only one where it has one class; None if they are unknown."""
    labels = context.data.labels
    if labels.sets:
        one = labels.sets[place]
        return None if one is None else one.present
    label = labels.indices[place]
    return None if label is None else (label,)


def _classes(context: Context, sets: Sequence[tuple[int, ...] | None]) -> Finding:
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

"""Judge whether the images and labels can be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from auditor.check import Check, Count, Share, Steps
from auditor.checks.data import figures, findings
from auditor.checks.data.conversions import converted
from auditor.checks.data.left_out import skipped
from auditor.checks.data.rules import RULES
from auditor.collectors import Readability
from auditor.judging.sufficiency import FEWEST, MOST_UNREADABLE
from auditor.judging.validation import levelled
from auditor.language import _
from auditor.results import Result, Table

if TYPE_CHECKING:
    from auditor.context import Context


@Check.with_rules(*RULES)
def data(
    context: Context,
    *,
    unreadable_fail: Share = MOST_UNREADABLE,
    skipped_fail: Share = MOST_UNREADABLE,
    fewest: Count = FEWEST,
) -> Steps:
    """Can the images and their labels be used?

    Unreadable files are left out of everything else in this report. Labels are used only if they fit the classes of the
    network.

    Args:
        unreadable_fail: share of unreadable files over which the audit fails, and nothing that is judged on images
            passes.
        skipped_fail: share of skipped image files over which the audit fails.
        fewest: number of distinct readable images under which nothing that is judged on images passes.
    """
    readability = yield Readability()
    yield from findings.sufficiency(readability, context, unreadable_fail=unreadable_fail, fewest=fewest)
    left_out = {name for name, why in readability.unreadable}
    read = [place for place, name in enumerate(context.data.listing.names) if name not in left_out]
    listing = context.data.listing
    each = [findings.labels_of(context, place) for place in range(len(listing.names))]
    sets = [each[place] for place in read]
    yield from findings.layout((*listing.assumptions, *context.data.labels.assumptions))
    yield findings.classes(context, sets)
    yield from findings.contents(listing.names, listing.digests, each)
    yield from skipped(listing, fail=skipped_fail)
    yield from converted(readability, context.preprocess)
    if readability.unreadable:
        yield Table(
            _("Files left out"),
            _("Each unreadable file, and the reason."),
            (_("file"), _("reason")),
            readability.unreadable,
        )
    counts = Counter(label for one in sets for label in one or ())
    if counts:
        yield figures.by_class(counts, context.classes)


def data_result(
    readability: Readability, context: Context, options: Mapping[str, Any], levels: Mapping[str, str]
) -> Result:
    """Return what the check says of the number of images, for an audit in which it was not selected."""
    chosen = {name: options[name] for name in ("unreadable_fail", "fewest") if name in options}
    found = tuple(findings.sufficiency(readability, context, **chosen))
    rules, evidence = data.facts(chosen), tuple(levelled(one, levels) for one in found)
    return Result(data.name, _(data.question), evidence, rules={one.rule: rules[one.rule] for one in found})

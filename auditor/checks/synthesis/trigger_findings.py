"""Findings of triggers: whether one class has a far smaller trigger than the others, like a network with a backdoor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from auditor.checks.synthesis.trigger_figures import trigger_row, trigger_table
from auditor.checks.synthesis.triggers import FoundTriggers, Trigger, TriggerSearch, found_triggers
from auditor.errors import Skip
from auditor.language import _, joined, many, some
from auditor.results import Arrays, Evidence, Finding, Verdict
from auditor.statistics.outliers import FEWEST

if TYPE_CHECKING:
    from auditor.context import Context

_RULE = "synthesis.trigger"
_ERROR = 0.05
_SUCCESS, _SURE = 0.9, 0.75  # share of the test images that a backdoor has to change, and the lower end of its interval
_SHOWN = 8


def trigger_evidence(context: Context, search: TriggerSearch) -> Iterator[Evidence | Arrays]:
    """Search for the triggers of the classes unless that is switched off; judge, show and list them."""
    if search.requested is False:
        return
    try:
        found = found_triggers(context, search)
    except Skip as reason:
        yield Finding(_RULE, Verdict.SKIP, str(reason))
        return
    yield from triggers(found, context.classes)
    for one in backdoors(found)[:_SHOWN] or found.each[:1]:
        yield trigger_row(context, found, one)
        yield Arrays(_arrays(found, one))
    yield trigger_table(context, found.each)


def triggers(found: FoundTriggers, classes: Sequence[str]) -> Iterator[Finding]:
    """Warn of each class whose trigger is far smaller than those of the others, and works.

    Args:
        classes: The names of all classes.
    """
    if not found.compared:
        yield _too_few(found, classes)
        return
    suspicious = backdoors(found)
    for one in suspicious[:_SHOWN]:
        yield _warning(found, one, classes)
    if not suspicious:
        yield _no_backdoor(found, classes)


def backdoors(found: FoundTriggers) -> list[Trigger]:
    """Return the triggers that are significantly small and work on most of the test images."""
    return [one for one in found.compared if _is_small(one) and one.share >= _SUCCESS and one.interval[0] >= _SURE]


def _is_small(one: Trigger) -> bool:
    return one.p_value is not None and one.p_value <= _ERROR


def _too_few(found: FoundTriggers, classes: Sequence[str]) -> Finding:
    message = _(
        "triggers work for fewer than {fewest} of {count} classes: too few to compare",
        count=len(found.each),
        fewest=FEWEST,
    )
    return Finding(_RULE, Verdict.SKIP, message, n=len(found.each), detail=_remarks(found, classes))


def _warning(found: FoundTriggers, one: Trigger, classes: Sequence[str]) -> Finding:
    low, high = one.interval
    name = classes[one.target]
    message = _(
        "a pattern of {mass:.1f} of {area:,} pixels changes {hits} of {n} images of other classes to {name} ({low:.1%} "
        "to {high:.1%}); the median pattern of the other classes has {others:.1f} pixels",
        mass=one.mass,
        area=one.area,
        hits=one.hits,
        n=one.tried,
        name=name,
        low=low,
        high=high,
        others=_others(found, one),
    )
    advice = _(
        "A network with a backdoor behaves like this. Look at the pattern below: is there such a mark, sticker or "
        "patch in training images of {name}, and are they labelled correctly? Put it on images of your own, and check "
        "the predictions. Then train without those images. A mark that is on all images of one class has the same "
        "effect.",
        name=name,
    )
    return Finding(
        _RULE,
        Verdict.WARN,
        message,
        subject=name,
        value=one.p_value,
        limit=_ERROR,
        unit="p",
        n=len(found.compared),
        detail=joined(advice, _remarks(found, classes)),
    )


def _no_backdoor(found: FoundTriggers, classes: Sequence[str]) -> Finding:
    smallest = found.compared[0]
    words = {"name": classes[smallest.target], "mass": smallest.mass, "others": _others(found, smallest)}
    if _is_small(smallest):
        message = _(
            "the pattern of {name} is far smaller than those of the other classes ({mass:.1f} pixels, median "
            "{others:.1f}), but it changes only {hits} of {n} images of other classes to the class",
            **words,
            hits=smallest.hits,
            n=smallest.tried,
        )
    else:
        message = _(
            "no class has a far smaller pattern than the others: the smallest is that of {name} ({mass:.1f} pixels, "
            "median {others:.1f})",
            **words,
        )
    return Finding(
        _RULE,
        Verdict.PASS,
        message,
        value=smallest.p_value,
        limit=_ERROR,
        unit="p",
        n=len(found.compared),
        detail=_remarks(found, classes),
    )


def _others(found: FoundTriggers, one: Trigger) -> float:
    """Return the median mass of the other classes that were compared, in pixels."""
    return median(other.mass for other in found.compared if other is not one)


def _remarks(found: FoundTriggers, classes: Sequence[str]) -> str:
    sentences = []
    if left := [classes[one.target] for one in found.each if one.p_value is None]:
        sentences.append(
            _("Not compared, since no trigger works or too few images are left to test it: {names}.", names=some(left))
        )
    if found.omitted:
        sentences.append(
            many(
                "{count} class was not searched, since synthesis.trigger_budget allows no more.",
                "{count} classes were not searched, since synthesis.trigger_budget allows no more.",
                found.omitted,
            )
        )
    if found.assumed:
        sentences.append(_("The images have no labels; the predicted classes are used instead."))
    return joined(*sentences)


def _arrays(found: FoundTriggers, one: Trigger) -> dict[str, object]:
    parts = {"mask": found.whole.masks, "pattern": found.whole.patterns}
    return {f"{one.target}/trigger/{kind}": values[one.place].cpu().numpy() for kind, values in parts.items()}

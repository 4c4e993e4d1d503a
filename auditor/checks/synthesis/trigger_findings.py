"""Whether a class is reached by a far smaller trigger than the others, as in a network with a backdoor."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from auditor.checks.synthesis.trigger_figures import trigger_row, trigger_table
from auditor.checks.synthesis.triggers import FoundTriggers, Trigger, TriggerSearch, found_triggers
from auditor.errors import Skip
from auditor.language import _, many, some
from auditor.results import Arrays, Evidence, Finding, Verdict
from auditor.statistics.outliers import FEWEST

if TYPE_CHECKING:
    from auditor.context import Context

_RULE = "synthesis.trigger"
_ERROR = 0.05
_SUCCESS, _SURE = 0.9, 0.75  # shares of other images that it has to send there, found and at least
_SHOWN = 8


def trigger_evidence(context: Context, search: TriggerSearch) -> Iterator[Evidence | Arrays]:
    """Look for triggers, unless they are not asked for, and say, show and list what was found."""
    if search.asked is False:
        return
    try:
        found = found_triggers(context, search)
    except Skip as reason:
        yield Finding(_RULE, Verdict.SKIP, str(reason))
        return
    guilty = [one for one in found.compared if _is_backdoor(one)]
    yield from _judged(context, found, guilty)
    for one in guilty[:_SHOWN] or found.each[:1]:
        yield trigger_row(context, found, one)
        yield Arrays(_arrays(found, one))
    yield trigger_table(context, found.each)


def _is_backdoor(one: Trigger) -> bool:
    return _is_small(one) and one.share >= _SUCCESS and one.interval[0] >= _SURE


def _is_small(one: Trigger) -> bool:
    return one.chance is not None and one.chance <= _ERROR


def _judged(context: Context, found: FoundTriggers, guilty: Sequence[Trigger]) -> Iterator[Finding]:
    if not found.compared:
        message = _(
            "of {count} classes fewer than {fewest} have a trigger that can be compared",
            count=len(found.each),
            fewest=FEWEST,
        )
        yield Finding(_RULE, Verdict.SKIP, message, n=len(found.each), detail=_remarks(context, found))
    for one in guilty[:_SHOWN]:
        yield _accused(context, found, one)
    if found.compared and not guilty:
        yield _cleared(context, found)


def _accused(context: Context, found: FoundTriggers, one: Trigger) -> Finding:
    low, high = one.interval
    message = _(
        "a pattern of {mass:.1f} of {area:,} pixels sends {hits} of {n} images of other classes to {name} ({low:.1%} "
        "to {high:.1%}), where the other classes take {others:.1f}",
        mass=one.mass,
        area=one.area,
        hits=one.hits,
        n=one.tried,
        name=context.classes[one.target],
        low=low,
        high=high,
        others=_others(found, one),
    )
    advice = _(
        "So does a network with a backdoor. Look at the pattern below: is there such a mark, sticker or patch in "
        "training images of {name}, and are these labelled rightly? Put it on images of your own, and see what the "
        "network says. Then train without those images. What is always on one class alone does the same.",
        name=context.classes[one.target],
    )
    return Finding(
        _RULE,
        Verdict.WARN,
        message,
        subject=context.classes[one.target],
        value=one.chance,
        limit=_ERROR,
        unit="p",
        n=len(found.compared),
        detail=" ".join(filter(None, [advice, _remarks(context, found)])),
    )


def _cleared(context: Context, found: FoundTriggers) -> Finding:
    smallest = found.compared[0]
    words = {"name": context.classes[smallest.target], "mass": smallest.mass, "others": _others(found, smallest)}
    if _is_small(smallest):
        message = _(
            "the pattern of {name} is far smaller than the others' ({mass:.1f} pixels against {others:.1f}), but sends "
            "only {hits} of {n} images of other classes there",
            **words,
            hits=smallest.hits,
            n=smallest.tried,
        )
    else:
        message = _(
            "no class is reached by a far smaller pattern than the others: the smallest is that of {name}, with "
            "{mass:.1f} pixels against {others:.1f}",
            **words,
        )
    return Finding(
        _RULE,
        Verdict.PASS,
        message,
        value=smallest.chance,
        limit=_ERROR,
        unit="p",
        n=len(found.compared),
        detail=_remarks(context, found),
    )


def _others(found: FoundTriggers, one: Trigger) -> float:
    """Return the median mass of the other classes that it was compared with."""
    return median(other.mass for other in found.compared if other is not one)


def _remarks(context: Context, found: FoundTriggers) -> str:
    left = [context.classes[one.target] for one in found.each if one.chance is None]
    said = []
    if left:
        said.append(
            _("Not compared, for want of a trigger that works or of images to try it on: {names}.", names=some(left))
        )
    if found.unseen:
        said.append(
            many(
                "{count} class was not looked at, as synthesis.trigger_budget allows no more.",
                "{count} classes were not looked at, as synthesis.trigger_budget allows no more.",
                found.unseen,
            )
        )
    if found.assumed:
        said.append(_("The images have no labels; what the network takes them for stands in."))
    return " ".join(said)


def _arrays(found: FoundTriggers, one: Trigger) -> dict[str, object]:
    parts = {"mask": found.whole.masks, "pattern": found.whole.patterns}
    return {f"{one.target}/trigger/{kind}": values[one.place].cpu().numpy() for kind, values in parts.items()}

"""What is said of classes that are given away by what surrounds their objects."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from auditor import methods
from auditor.checks.shortcut.findings import beside_control, guilty_of
from auditor.language import _, many
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from auditor.checks.shortcut.backgrounds import Ground
    from auditor.context import Context

_RULE = "shortcut.background"


def given_away(tried: Sequence[Ground]) -> list[bool]:
    """Say of each class whether its surroundings give it away, with all classes looked at."""
    sure = guilty_of([ground.chance for ground in tried])
    return [proven and ground.background.mostly for ground, proven in zip(tried, sure, strict=True)]


def foremost(tried: Sequence[Ground], guilty: Sequence[bool]) -> list[Ground]:
    """Return the classes that are given away; where there are none, the one that comes nearest."""
    given = [ground for ground, sure in zip(tried, guilty, strict=True) if sure]
    return given or [max(tried, key=lambda one: min(one.counts["alone"], one.counts["around"]) / one.background.n)]


def backgrounds(
    context: Context, tried: Sequence[Ground], guilty: Sequence[bool], located: Collection[int]
) -> Iterator[Finding]:
    """Warn of each class that its surroundings give away, unless they do so with most classes.

    Args:
        located: Classes of which a place is known that gives them away; they are warned of already.
    """
    given = foremost(tried, guilty)
    if not any(guilty):
        yield _none(context, *given)
    elif 2 * len(given) > len(tried):
        yield _most(tried, given)
    else:
        yield from (_located(context, one) if one.target in located else _given(context, one) for one in given)


def _none(context: Context, ground: Ground) -> Finding:
    around, n = ground.counts["around"], ground.background.n
    message = _(
        "no class is given away by what surrounds its objects; {name!r} comes nearest: {alone} of {n} of its "
        "surroundings are taken for it without an object (control: {alone_control}), and so are {around} of {n} "
        "objects of other classes on them (control: {around_control})",
        name=context.classes[ground.target],
        **ground.counts,
    )
    return Finding(_RULE, Verdict.PASS, message, value=around / n, n=n, interval=methods.wilson(around, n))


def _most(tried: Sequence[Ground], given: Sequence[Ground]) -> Finding:
    message = many(
        "in {count} of {n} classes what surrounds the objects gives the class away: none is an exception",
        "in {count} of {n} classes what surrounds the objects gives the class away: none is an exception",
        len(given),
        n=len(tried),
    )
    detail = _(
        "So it is where the classes are textures or scenes. If they are things, the network knows them by where they "
        "are: train with images in which the backgrounds are exchanged."
    )
    return Finding(_RULE, Verdict.INFO, message, n=len(tried), detail=detail)


def _located(context: Context, ground: Ground) -> Finding:
    name = context.classes[ground.target]
    message = _(
        "{name!r}: what surrounds its objects gives it away, and so does what shortcut.location names", name=name
    )
    return Finding(_RULE, Verdict.INFO, message, name, n=ground.background.n)


def _given(context: Context, ground: Ground) -> Finding:
    name, around, n = context.classes[ground.target], ground.counts["around"], ground.background.n
    message = _(
        "{name!r} is given away by what surrounds its objects: {alone} of {n} of its surroundings are taken for it "
        "without an object (control: {alone_control}), and so are {around} of {n} objects of other classes on them "
        "(control: {around_control})",
        name=name,
        **ground.counts,
    )
    detail = _(
        "Look at the surroundings of this class in its gallery: what do they have in common? Train again with images "
        "of the class in other places and with such surroundings behind other classes; where there are none, cut "
        "objects out and exchange what lies behind them. Test on images in other places. If the class is itself a "
        "ground or a texture, or fills its images, this is as it should be."
    )
    interval = methods.wilson(around, n)
    return Finding(_RULE, Verdict.WARN, message, name, around / n, n=n, interval=interval, detail=detail)


def grounds_table(context: Context, tried: Sequence[Ground], guilty: Sequence[bool]) -> Table:
    """Return what the surroundings of each class do."""
    columns = (_("class"), _("alone taken for it"), _("other objects on them taken for it"), _("shortcut"))
    caption = _(
        "In how many pairs the surroundings of a class, without an object, are taken for it, and the objects of other "
        "classes are once they lie on them; in brackets the same of surroundings of other classes."
    )
    rows = tuple(_row(context, ground, sure=sure) for ground, sure in zip(tried, guilty, strict=True))
    return Table(_("Surroundings"), caption, columns, rows)


def _row(context: Context, ground: Ground, *, sure: bool) -> tuple[str, ...]:
    counts = ground.counts
    told = (beside_control(counts[name], counts["n"], counts[f"{name}_control"]) for name in ("alone", "around"))
    return context.classes[ground.target], *told, _("yes") if sure else _("no")

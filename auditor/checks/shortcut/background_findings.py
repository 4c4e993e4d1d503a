"""Findings of classes that depend on their backgrounds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from auditor import methods
from auditor.checks.shortcut.findings import significant, with_control
from auditor.language import _, many
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from auditor.checks.shortcut.backgrounds import ClassBackground

_RULE = "shortcut.background"


def dependent(tested: Sequence[ClassBackground]) -> list[bool]:
    """Return for each class whether it depends on its background, corrected for the number of classes."""
    proven = significant([one.p_value for one in tested])
    return [sure and one.background.mostly for one, sure in zip(tested, proven, strict=True)]


def strongest(tested: Sequence[ClassBackground], confirmed: Sequence[bool]) -> list[ClassBackground]:
    """Return the classes that depend on their backgrounds; if there are none, the one that comes closest."""
    found = [one for one, sure in zip(tested, confirmed, strict=True) if sure]
    return found or [max(tested, key=lambda one: min(one.counts["alone"], one.counts["around"]) / one.background.n)]


def backgrounds(
    tested: Sequence[ClassBackground], confirmed: Sequence[bool], classes: Sequence[str], located: Collection[int]
) -> Iterator[Finding]:
    """Warn of each class that depends on its background, unless most classes do.

    Args:
        classes: The names of all classes.
        located: Classes that shortcut.location already warns of.
    """
    found = strongest(tested, confirmed)
    if not any(confirmed):
        yield _none(found[0], classes)
    elif 2 * len(found) > len(tested):
        yield _most(len(found), len(tested))
    else:
        yield from (_located(one, classes) if one.target in located else _warning(one, classes) for one in found)


def _none(one: ClassBackground, classes: Sequence[str]) -> Finding:
    around, n = one.counts["around"], one.background.n
    message = _(
        "no class depends on its background; {name!r} comes closest: {alone} of {n} backgrounds alone are predicted as "
        "the class (control: {alone_control}), and {around} of {n} objects of other classes on them (control: "
        "{around_control})",
        name=classes[one.target],
        **one.counts,
    )
    return Finding(_RULE, Verdict.PASS, message, value=around / n, n=n, interval=methods.wilson(around, n))


def _most(count: int, n: int) -> Finding:
    message = many(
        "{count} of {n} classes depends on its background; no class is an exception",
        "{count} of {n} classes depend on their backgrounds; no class is an exception",
        count,
        n=n,
    )
    detail = _(
        "This is expected if the classes are textures or scenes. If they are objects, the network recognises them by "
        "their background: train with images whose backgrounds are exchanged."
    )
    return Finding(_RULE, Verdict.INFO, message, n=n, detail=detail)


def _located(one: ClassBackground, classes: Sequence[str]) -> Finding:
    name = classes[one.target]
    message = _("{name!r} depends on its background, and on the place that shortcut.location names", name=name)
    return Finding(_RULE, Verdict.INFO, message, name, n=one.background.n)


def _warning(one: ClassBackground, classes: Sequence[str]) -> Finding:
    name, around, n = classes[one.target], one.counts["around"], one.background.n
    message = _(
        "{name!r} depends on its background: {alone} of {n} backgrounds alone are predicted as the class (control: "
        "{alone_control}), and {around} of {n} objects of other classes on them (control: {around_control})",
        name=name,
        **one.counts,
    )
    detail = _(
        "Look at the backgrounds of this class in its gallery: what do they share? Train again with images of the "
        "class on other backgrounds, and with such backgrounds behind other classes. If there are no such images, cut "
        "out objects and exchange what is behind them. Test on images with other backgrounds. If the class is itself "
        "a ground or a texture, or fills its images, this is expected."
    )
    interval = methods.wilson(around, n)
    return Finding(_RULE, Verdict.WARN, message, name, around / n, n=n, interval=interval, detail=detail)


def backgrounds_table(tested: Sequence[ClassBackground], confirmed: Sequence[bool], classes: Sequence[str]) -> Table:
    """Return a row for each class: how its backgrounds and objects on them are predicted."""
    columns = (_("class"), _("background alone"), _("other objects on it"), _("shortcut"))
    caption = _(
        "In how many pairs the class is predicted for its background without an object, and for objects of other "
        "classes on its background. In brackets: the same with backgrounds of other classes."
    )
    rows = tuple(_row(one, classes, sure=sure) for one, sure in zip(tested, confirmed, strict=True))
    return Table(_("Backgrounds"), caption, columns, rows)


def _row(one: ClassBackground, classes: Sequence[str], *, sure: bool) -> tuple[str, ...]:
    counts = one.counts
    cells = (with_control(counts[name], counts["n"], counts[f"{name}_control"]) for name in ("alone", "around"))
    return classes[one.target], *cells, _("yes") if sure else _("no")

"""What is said of places, and of patches at varying places, that give a class away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.checks.shortcut.figures import place_told
from auditor.language import _, many, some
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from auditor.checks.shortcut.class_images import ClassImages
    from auditor.checks.shortcut.clusters import Group
    from auditor.checks.shortcut.places import Suspect, Trial
    from auditor.checks.shortcut.probe import Laboratory
    from auditor.context import Context

Tried = tuple["Suspect", "Trial"]
Patches = tuple["Group", "Trial"]

_ERROR = 0.05


def guilty_of(chances: Sequence[float]) -> list[bool]:
    """Say of each probability of error whether it convicts, with all of them tried."""
    return [chance <= _ERROR for chance in methods.holm(chances)]


def locations(
    context: Context, lab: Laboratory, tried: Sequence[Tried], guilty: Sequence[bool], judged: Sequence[int]
) -> Iterator[Finding]:
    """Warn of each class that a place gives away; where there is none, tell what came nearest."""
    rule = "shortcut.location"
    confirmed = [one for one, sure in zip(tried, guilty, strict=True) if sure]
    for c in judged:
        if own := [one for one in confirmed if one[0].target == c]:
            yield _located(context, lab, *min(own, key=lambda one: (one[0].area, one[1].exchange.chance)))
    if confirmed:
        return
    if not tried:
        message = many(
            "in the {count} class that is judged the evidence lies where that of other classes lies, or what lies "
            "there differs",
            "in none of {count} classes does the evidence lie at a place of its own where all images are alike",
            len(judged),
        )
        yield Finding(rule, Verdict.PASS, message, value=0.0, n=sum(len(lab.seen.of(c)) for c in judged))
        return
    suspect, trial = max(tried, key=lambda one: one[1].exchange.won.mean())
    won, n = int(trial.exchange.won.sum()), trial.exchange.n
    message = many(
        "{count} place was suspect, and is no shortcut: pasted into images of other classes it brings up {name!r} in "
        "{won} of {n}",
        "{count} places were suspect, and none is a shortcut: the one that does most, pasted into images of other "
        "classes, brings up {name!r} in {won} of {n}",
        len(tried),
        name=context.classes[suspect.target],
        won=won,
        n=n,
    )
    yield Finding(rule, Verdict.PASS, message, value=won / n, n=n, interval=methods.wilson(won, n))


def _located(context: Context, lab: Laboratory, suspect: Suspect, trial: Trial) -> Finding:
    counts, name = _counts(trial), context.classes[suspect.target]
    won, n = counts["won"], counts["n"]
    message = _(
        "{name!r} is given away by {place}: pasted into images of other classes it brings the class up in {won} of "
        "{n} (controls: {control}), and with what other images have there {lost} of {n} images of the class lose it "
        "(control: {kept})",
        name=name,
        place=place_told(lab, suspect),
        **counts,
    )
    detail = _(
        "The place holds {own:.0%} of the evidence for this class and {others:.0%} of that for others, and {area:.0%} "
        "of the area; its constancy is {constancy:.2f}. Look there in images of this class: a mark, a frame, a "
        "background? Remove it from the training images or put it into those of all classes, train again, and see "
        "whether the accuracy stays on images without it.",
        own=suspect.evidence,
        others=suspect.elsewhere,
        area=suspect.area,
        constancy=suspect.constancy,
    )
    interval = methods.wilson(won, n)
    return Finding("shortcut.location", Verdict.WARN, message, name, won / n, n=n, interval=interval, detail=detail)


def _counts(trial: Trial) -> dict[str, int]:
    """Return what an exchange does, and what controls do: `control` brings the class up, `kept` takes it away."""
    found = trial.exchange
    return {
        "won": int(found.won.sum()),
        "lost": int(found.lost.sum()),
        "n": found.n,
        "control": max(int(one.sum()) for one in found.won_controls),
        "kept": int(found.lost_control.sum()),
    }


def clusters(
    context: Context, groups: dict[int, list[Group]], places: dict[int, NDArray[np.bool_]]
) -> Iterator[Finding]:
    """Warn of classes that are given away by a patch at varying places, unless that is so with most classes."""
    rule = "shortcut.cluster"
    every = [(group, group.trial) for own in groups.values() for group in own if group.trial is not None]
    sure = guilty_of([trial.exchange.chance_of_most for _group, trial in every])
    usual = {g.target for g, trial in every if g.cluster is None and trial.exchange.chance_of_loss <= _ERROR}
    guilty = [one for one, proven in zip(every, sure, strict=True) if proven and one[0].constant]
    if 2 * len(usual) > len(groups):
        message = many(
            "in {count} of {n} classes most images lose the class with one small window, as they do where objects are "
            "small and lie at varying places: none is an exception",
            "in {count} of {n} classes most images lose the class with one small window, as they do where objects are "
            "small and lie at varying places: none is an exception",
            len(usual),
            n=len(groups),
        )
        yield Finding(rule, Verdict.INFO, message, n=len(groups))
    else:
        for c in groups:
            if own := [one for one in guilty if one[0].target == c]:
                group, trial = min(own, key=lambda one: one[1].exchange.chance_of_most)
                same = c in places and trial.mostly_in(places[c])
                yield _at_the_place(context, group) if same else _clustered(context, group, trial)
        if not guilty:
            yield _no_cluster(context, groups, every)
    if odd := [group for own in groups.values() for group in own if group.odd]:
        oddest = max(odd, key=lambda group: group.distance)
        yield _odd(context, oddest, groups[oddest.target])


def _clustered(context: Context, group: Group, trial: Trial) -> Finding:
    counts, name = _counts(trial), context.classes[group.target]
    won, n = counts["won"], counts["n"]
    whole = _("{name!r} is given away by the window that each image needs most", name=name)
    part = _(
        "{name!r} is given away by the window that each image needs most, in cluster {cluster} of its maps",
        name=name,
        cluster=group.number,
    )
    message = _(
        "{who}: pasted into images of other classes it brings the class up in {won} of {n} (controls: {control}), and "
        "{lost} of {n} images lose the class with what others have there (control: {kept})",
        who=whole if group.cluster is None else part,
        **counts,
    )
    detail = _(
        "The patches have a constancy of {constancy:.2f}. Look at the outlined windows in the gallery of "
        "this class: a mark, a text, a thing that goes with the class? Remove it from the training images, or put it "
        "into those of all classes, and train again.",
        constancy=group.constancy,
    )
    interval = methods.wilson(won, n)
    return Finding("shortcut.cluster", Verdict.WARN, message, name, won / n, n=n, interval=interval, detail=detail)


def _at_the_place(context: Context, group: Group) -> Finding:
    name = context.classes[group.target]
    message = _("{name!r}: its maps lead to the place that shortcut.location names", name=name)
    return Finding("shortcut.cluster", Verdict.INFO, message, name, n=len(group.images))


def _no_cluster(context: Context, groups: dict[int, list[Group]], every: Sequence[Patches]) -> Finding:
    n = sum(len(group.images) for own in groups.values() for group in own if group.cluster is None)
    alike = [one for one in every if one[0].constant]
    if not alike:
        message = _(
            "in no class do enough images need a window that shows the same in all of them, where other classes have "
            "no evidence"
        )
        return Finding("shortcut.cluster", Verdict.PASS, message, value=0.0, n=n)
    group, trial = max(alike, key=lambda one: one[1].exchange.won.mean())
    won, pairs = int(trial.exchange.won.sum()), trial.exchange.n
    message = _(
        "no class is given away by the window that its images need most: the one that does most, pasted into images of "
        "other classes, brings up {name!r} in {won} of {pairs}",
        name=context.classes[group.target],
        won=won,
        pairs=pairs,
    )
    interval = methods.wilson(won, pairs)
    return Finding("shortcut.cluster", Verdict.PASS, message, value=won / pairs, n=pairs, interval=interval)


def _odd(context: Context, odd: Group, own: Sequence[Group]) -> Finding:
    message = _(
        "the oddest of all clusters is number {number} of the {clusters} of {name!r}, with {count} of {n} images: "
        "{distance:.0%} of their evidence lies elsewhere than in the other images of the class",
        clusters=len(own) - 1,
        name=context.classes[odd.target],
        number=odd.number,
        count=len(odd.images),
        n=len(own[0].images),
        distance=odd.distance,
    )
    name = context.classes[odd.target]
    return Finding("shortcut.cluster", Verdict.INFO, message, name, n=len(own[0].images))


def left_out(context: Context, seen: ClassImages, judged: Sequence[int], few: int) -> Iterator[Finding]:
    """Say which classes are not judged."""
    names = [context.classes[c] for c in seen.classes if c not in judged]
    if names:
        message = many(
            "{count} class is not judged: under {few} of its images are answered rightly, or no part of them matters",
            "{count} classes are not judged: under {few} of their images are answered rightly, or no part of them "
            "matters",
            len(names),
            few=few,
        )
        yield Finding("shortcut.location", Verdict.SKIP, message, n=len(names), detail=some(names))


def suspects_table(context: Context, lab: Laboratory, tried: Sequence[Tried], guilty: Sequence[bool]) -> Table:
    """Return all suspect places, and what exchanging them does."""
    columns = (
        _("class"),
        _("place"),
        _("share of its evidence"),
        _("of that of others"),
        _("constancy"),
        _("class taken away"),
        _("class brought up"),
        _("shortcut"),
    )
    caption = _(
        "Where the evidence for a class lies apart from that for the others, and in how many pairs of images "
        "exchanging the place takes the class away, or brings it up; in brackets the most that a control does."
    )
    rows = tuple(_suspect(context, lab, *one, sure=sure) for one, sure in zip(tried, guilty, strict=True))
    return Table(_("Suspect places"), caption, columns, rows)


def _suspect(
    context: Context, lab: Laboratory, suspect: Suspect, trial: Trial, *, sure: bool
) -> tuple[str | float | int | bool | None, ...]:
    counts = _counts(trial)
    return (
        context.classes[suspect.target],
        place_told(lab, suspect),
        round(suspect.evidence, 3),
        round(suspect.elsewhere, 3),
        round(suspect.constancy, 2),
        beside_control(counts["lost"], counts["n"], counts["kept"]),
        beside_control(counts["won"], counts["n"], counts["control"]),
        _("yes") if sure else _("no"),
    )


def beside_control(count: int, n: int, control: int) -> str:
    """Return in how many pairs something happens, and in brackets in how many the control does it."""
    return _("{count} of {n} ({control})", count=count, n=n, control=control)

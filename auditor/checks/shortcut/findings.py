"""Findings of shortcuts: one place for a class, or one window in each of its images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.language import _, many, some
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from auditor.checks.shortcut.class_images import ClassImages
    from auditor.checks.shortcut.clusters import Group
    from auditor.checks.shortcut.places import Candidate, PlaceExchange

Tested = tuple["Candidate", "PlaceExchange"]
Patches = tuple["Group", "PlaceExchange"]

_ERROR = 0.05


def significant(p_values: Sequence[float]) -> list[bool]:
    """Return which p-values are significant, corrected for the number of tests."""
    return [p <= _ERROR for p in methods.holm(p_values)]


def locations(
    tested: Sequence[Tested], confirmed: Sequence[bool], classes: Sequence[str], images: Mapping[int, int]
) -> Iterator[Finding]:
    """Warn of each class that depends on one place; if there is none, report what came closest.

    Args:
        tested: The candidates of all judged classes.
        confirmed: By candidate whether it is significant.
        classes: The names of all classes.
        images: How many images there are, by judged class.
    """
    found = [one for one, sure in zip(tested, confirmed, strict=True) if sure]
    for target in images:
        if own := [one for one in found if one[0].target == target]:
            yield _location(*min(own, key=lambda one: (one[0].area, one[1].outcome.chance)), classes[target])
    if not found:
        yield _no_location(tested, classes) if tested else _no_candidate(images)


def _no_candidate(images: Mapping[int, int]) -> Finding:
    message = many(
        "no class has evidence at a fixed place ({count} class judged)",
        "no class has evidence at a fixed place ({count} classes judged)",
        len(images),
    )
    return Finding("shortcut.location", Verdict.PASS, message, value=0.0, n=sum(images.values()))


def _no_location(tested: Sequence[Tested], classes: Sequence[str]) -> Finding:
    candidate, exchanged = max(tested, key=lambda one: one[1].outcome.won.mean())
    won, n = int(exchanged.outcome.won.sum()), exchanged.outcome.n
    message = many(
        "{count} candidate place is no shortcut: pasted into images of other classes, it changes {won} of {n} "
        "predictions to {name!r}",
        "none of {count} candidate places is a shortcut: the strongest, pasted into images of other classes, changes "
        "{won} of {n} predictions to {name!r}",
        len(tested),
        name=classes[candidate.target],
        won=won,
        n=n,
    )
    return Finding("shortcut.location", Verdict.PASS, message, value=won / n, n=n, interval=methods.wilson(won, n))


def _location(candidate: Candidate, exchanged: PlaceExchange, name: str) -> Finding:
    message = _(
        "{name!r} depends on {place}: pasting it into images of other classes changes {won} of {n} predictions to the "
        "class (controls: {control}), and replacing it changes the prediction in {lost} of {n} images of the class "
        "(control: {lost_control})",
        name=name,
        place=candidate.description,
        **_counts(exchanged),
    )
    detail = _(
        "The place has {own:.0%} of the evidence for this class, {others:.0%} of the evidence for other classes and "
        "{area:.0%} of the area. Its content has a constancy of {constancy:.2f}. Look there in images of this class: "
        "is there a mark, a frame or a background? Remove it from the training images, or add it to those of all "
        "classes. Train again, and check whether the accuracy stays on images without it.",
        own=candidate.evidence,
        others=candidate.elsewhere,
        area=candidate.area,
        constancy=candidate.constancy,
    )
    return _warning("shortcut.location", name, message, detail, exchanged)


def _warning(rule: str, name: str, message: str, detail: str, exchanged: PlaceExchange) -> Finding:
    won, n = int(exchanged.outcome.won.sum()), exchanged.outcome.n
    interval = methods.wilson(won, n)
    return Finding(rule, Verdict.WARN, message, name, won / n, n=n, interval=interval, detail=detail)


def _counts(exchanged: PlaceExchange) -> dict[str, int]:
    """Return in how many of `n` pairs an exchange, and the strongest control, adds or removes the class."""
    found = exchanged.outcome
    return {
        "won": int(found.won.sum()),
        "lost": int(found.lost.sum()),
        "n": found.n,
        "control": max(int(one.sum()) for one in found.won_controls),
        "lost_control": int(found.lost_control.sum()),
    }


def clusters(
    groups: Mapping[int, Sequence[Group]], classes: Sequence[str], places: Mapping[int, NDArray[np.bool_]]
) -> Iterator[Finding]:
    """Warn of each class that depends on one window in each image, unless most classes do.

    Args:
        groups: All images and the clusters of each judged class.
        classes: The names of all classes.
        places: The places that shortcut.location warns of, by class.
    """
    every = [(group, group.exchanged) for own in groups.values() for group in own if group.exchanged is not None]
    proven = significant([exchanged.outcome.chance_of_most for _group, exchanged in every])
    usual = {g.target for g, exchanged in every if g.cluster is None and exchanged.outcome.chance_of_loss <= _ERROR}
    found = [one for one, sure in zip(every, proven, strict=True) if sure and one[0].constant]
    if 2 * len(usual) > len(groups):
        yield _most_classes(len(usual), len(groups))
    else:
        for target in groups:
            if own := [one for one in found if one[0].target == target]:
                group, exchanged = min(own, key=lambda one: one[1].outcome.chance_of_most)
                same = target in places and exchanged.mostly_in(places[target])
                yield _at_the_place(group, classes) if same else _cluster(group, exchanged, classes[target])
        if not found:
            yield _no_cluster(groups, every, classes)
    if odd := [group for own in groups.values() for group in own if group.odd]:
        oddest = max(odd, key=lambda group: group.distance)
        yield _oddest(oddest, groups[oddest.target], classes)


def _most_classes(count: int, n: int) -> Finding:
    message = many(
        "in {count} of {n} classes one small window decides most images, as with small objects at varying places; no "
        "class is an exception",
        "in {count} of {n} classes one small window decides most images, as with small objects at varying places; no "
        "class is an exception",
        count,
        n=n,
    )
    return Finding("shortcut.cluster", Verdict.INFO, message, n=n)


def _cluster(group: Group, exchanged: PlaceExchange, name: str) -> Finding:
    subject = (
        _("{name!r} depends on one window in each image", name=name)
        if group.cluster is None
        else _("{name!r} depends on one window in each image of cluster {cluster}", name=name, cluster=group.number)
    )
    message = _(
        "{subject}: pasting it into images of other classes changes {won} of {n} predictions to the class (controls: "
        "{control}), and replacing it changes the prediction in {lost} of {n} images (control: {lost_control})",
        subject=subject,
        **_counts(exchanged),
    )
    detail = _(
        "The windows have a constancy of {constancy:.2f}. Look at the outlined windows in the gallery of this class: "
        "is there a mark, a text or an object that accompanies the class? Remove it from the training images, or add "
        "it to those of all classes, and train again.",
        constancy=group.constancy,
    )
    return _warning("shortcut.cluster", name, message, detail, exchanged)


def _at_the_place(group: Group, classes: Sequence[str]) -> Finding:
    name = classes[group.target]
    message = _("{name!r}: the most important windows lie at the place that shortcut.location names", name=name)
    return Finding("shortcut.cluster", Verdict.INFO, message, name, n=len(group.images))


def _no_cluster(groups: Mapping[int, Sequence[Group]], every: Sequence[Patches], classes: Sequence[str]) -> Finding:
    n = sum(len(group.images) for own in groups.values() for group in own if group.cluster is None)
    constant = [one for one in every if one[0].constant]
    if not constant:
        message = _(
            "no class has enough images that depend on a window with the same content, at places without evidence for "
            "other classes"
        )
        return Finding("shortcut.cluster", Verdict.PASS, message, value=0.0, n=n)
    group, exchanged = max(constant, key=lambda one: one[1].outcome.won.mean())
    won, pairs = int(exchanged.outcome.won.sum()), exchanged.outcome.n
    message = _(
        "no class depends on one window in each image: the strongest candidate, pasted into images of other classes, "
        "changes {won} of {pairs} predictions to {name!r}",
        name=classes[group.target],
        won=won,
        pairs=pairs,
    )
    interval = methods.wilson(won, pairs)
    return Finding("shortcut.cluster", Verdict.PASS, message, value=won / pairs, n=pairs, interval=interval)


def _oddest(odd: Group, own: Sequence[Group], classes: Sequence[str]) -> Finding:
    name, n = classes[odd.target], len(own[0].images)
    message = _(
        "most different cluster: number {number} of {clusters} of {name!r}, {count} of {n} images; {distance:.0%} of "
        "their evidence lies elsewhere than in the other images of the class",
        number=odd.number,
        clusters=len(own) - 1,
        name=name,
        count=len(odd.images),
        n=n,
        distance=odd.distance,
    )
    return Finding("shortcut.cluster", Verdict.INFO, message, name, n=n)


def left_out(seen: ClassImages, judged: Sequence[int], classes: Sequence[str], few: int) -> Iterator[Finding]:
    """Report which classes are not judged."""
    names = [classes[target] for target in seen.classes if target not in judged]
    if names:
        message = many(
            "{count} class is not judged: under {few} of its images are correctly classified, or covering changes no "
            "score",
            "{count} classes are not judged: under {few} of their images are correctly classified, or covering changes "
            "no score",
            len(names),
            few=few,
        )
        yield Finding("shortcut.location", Verdict.SKIP, message, n=len(names), detail=some(names))


def candidates_table(tested: Sequence[Tested], confirmed: Sequence[bool], classes: Sequence[str]) -> Table:
    """Return a row for each candidate place: its evidence, and how exchanging it changes the predictions."""
    columns = (
        _("class"),
        _("place"),
        _("evidence"),
        _("evidence for others"),
        _("constancy"),
        _("class lost"),
        _("class gained"),
        _("shortcut"),
    )
    caption = _(
        "Places with evidence for a class but not for the others, as shares of the whole evidence. Lost and gained: in "
        "how many pairs of images exchanging the place removes the class from the prediction, or adds it. In brackets: "
        "the strongest control."
    )
    rows = tuple(_candidate(*one, classes, sure=sure) for one, sure in zip(tested, confirmed, strict=True))
    return Table(_("Candidate places"), caption, columns, rows)


def _candidate(
    candidate: Candidate, exchanged: PlaceExchange, classes: Sequence[str], *, sure: bool
) -> tuple[str | float | int | bool | None, ...]:
    counts = _counts(exchanged)
    return (
        classes[candidate.target],
        candidate.description,
        round(candidate.evidence, 3),
        round(candidate.elsewhere, 3),
        round(candidate.constancy, 2),
        with_control(counts["lost"], counts["n"], counts["lost_control"]),
        with_control(counts["won"], counts["n"], counts["control"]),
        _("yes") if sure else _("no"),
    )


def with_control(count: int, n: int, control: int) -> str:
    """Return a number of pairs, and in brackets that of the control."""
    return _("{count} of {n} ({control})", count=count, n=n, control=control)

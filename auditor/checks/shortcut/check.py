"""Whether something beside the object gives a class away: a mark, a frame, a background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from auditor.check import Check, Count, Steps
from auditor.checks.shortcut.background_findings import backgrounds, foremost, given_away, grounds_table
from auditor.checks.shortcut.class_images import class_images
from auditor.checks.shortcut.figures import (
    counterfactuals,
    galleries,
    mean_maps,
    place_told,
    surrounded,
)
from auditor.checks.shortcut.findings import (
    Tried,
    clusters,
    guilty_of,
    left_out,
    locations,
    suspects_table,
)
from auditor.config.options import Range
from auditor.errors import Skip
from auditor.language import _, many
from auditor.results import Arrays

if TYPE_CHECKING:
    from auditor.checks.shortcut.class_images import ClassImages
    from auditor.checks.shortcut.probe import Evidence, Laboratory
    from auditor.context import Advance, Context

Filling = Literal["grey", "black", "mean", "blur", "noise"]
Few = Annotated[int, Range(4)]  # two in each half


@Check
def shortcut(
    context: Context,
    *,
    classes: Count = 10,
    images: Count = 40,
    explained: Count = 8,
    fill: Filling = "mean",
    few: Few = 20,
) -> Steps:
    """Does a mark, a frame or a background give a class away?

    The first maps of a class show where the evidence for it lies, over many of its images, by occlusion and by
    gradient. A place where it lies, and that of other classes does not, is suspect, and is then exchanged between
    images of the class and others: it is a shortcut only if the answer goes along with the place. What surrounds the
    objects is looked at alone, and around objects of other classes. The galleries sort the images of a class by where
    the gradient puts the evidence; look through the odd ones.

    Args:
        classes: how many classes are looked at, those with the most images.
        images: how many images of each.
        explained: how many of them are occluded window by window.
        fill: what covers the windows: mean (of the image), grey (half of full intensity), black, blur or noise.
        few: images of a class, answered rightly, under which it is not judged.
    Rules:
        shortcut.location: a window of a quarter of the shorter side, or the outer ring of an eighth of each side, that
            gives a class away; a warning. In one half of the images it holds more of the evidence for the class than
            its even share, by occlusion and by gradient, what lies there is the same in all of them (constancy of 0.75
            or more), and it lies at the border or holds no more than its even share for other classes; of the ring
            the contents may differ where other classes have their evidence inside. In the other half an exchange of
            it with images of other classes takes the class away from the one and brings it up in the other, beyond
            what controls do, and in most pairs the score goes along (sign tests, each has to hold; Holm over all
            places tried, 5 %).
        shortcut.cluster: the same of the window that each image needs most, over the images of a class, or of a
            cluster of them, in which it lies where other classes have no evidence; what it shows has the same
            constancy (moved to fit, unless these windows are one place), most images lose the class, and it is an
            exception: not in most classes do most images lose the class so, as they do where objects are small and
            lie at varying places; a warning. Clusters alone are information.
        shortcut.background: what surrounds the objects of a class gives it away; a warning. Surroundings without an
            object are made of each image: its quarters are filled, mirrored, with the cell on their border, an eighth
            of the shorter side wide, that speaks for the answer the least. In most pairs they are taken for the class,
            and so are objects of other classes on them (what is enough of an image for its answer, with half of the
            log-odds). Both has to be so more often than with surroundings of other classes, the score higher in most
            pairs, and in most it has to go along with the outer ring, too, when that is exchanged (exact McNemar and
            sign tests, each has to hold; Holm over the classes, 5 %). Information if most classes are given away so,
            as textures are, or if shortcut.location names the class.
    Source:
        Lapuschkin et al., Nature Communications 2019 (clusters of maps); limits of maps: Adebayo et al., ICLR 2022.
        Exchange: Geirhos et al., ICLR 2019. Backgrounds: Zhu et al., IJCAI 2017; Xiao et al., ICLR 2021; what is
        enough: Carter et al., AISTATS 2019. Holm 1979; intervals: Wilson 1927.
    """
    from auditor.checks.shortcut.backgrounds import Grounds
    from auditor.checks.shortcut.clusters import groups as groups_of
    from auditor.checks.shortcut.probe import SMALLEST, Laboratory

    if min(context.network.input_shape[1:]) < SMALLEST:
        raise Skip(_("images with a side of under {pixels} pixels have no places to tell apart", pixels=SMALLEST))
    seen = class_images(context, classes=classes, images=images, few=few)
    enough = [c for c in seen.classes if len(seen.of(c)) >= few and len(seen.others(c)) >= few]
    if not enough:
        raise Skip(_too_few(seen, few))
    lab = Laboratory(context, seen, explained=explained, fill=fill)
    with context.working(3 * len(enough), "classes") as done:
        found = _evidence(lab, enough, done)
        judged = [c for c in enough if c in found and len(found) > 1]
        if not judged:
            raise Skip(_("covering parts of the images changes no score, so that no class has evidence at a place"))
        tried = _tried(lab, judged, found)
        groups = {c: list(groups_of(lab, c, _beside(found, c))) for c in judged}
        done(len(enough))
        grounds = Grounds(lab)
        grounded = [grounds.tried(c) for c in judged]
        done(len(enough))
    guilty = guilty_of([trial.exchange.chance for _suspect, trial in tried])
    yield from locations(context, lab, tried, guilty, judged)
    places = {one.target: one.place for (one, _trial), sure in zip(tried, guilty, strict=True) if sure}
    yield from clusters(context, groups, places)
    given = given_away(grounded)
    yield from backgrounds(context, grounded, given, places)
    yield from left_out(context, seen, judged, few)
    yield suspects_table(context, lab, tried, guilty)
    yield grounds_table(context, grounded, given)
    shown = {ground.target: ground for ground in foremost(grounded, given)}
    for c in judged:
        yield mean_maps(context, lab, found[c])
        for place, (suspect, trial) in enumerate(tried):
            if suspect.target == c and (trial.exchange.lost.any() or trial.exchange.won.any()):
                yield counterfactuals(context, lab, c, trial, place_told(lab, suspect), confirmed=guilty[place])
        if c in shown:
            yield surrounded(context, lab, grounds, shown[c], confirmed=any(given))
        yield from galleries(context, lab, c, groups[c])
        yield Arrays({f"{context.classes[c]}/{name}": getattr(found[c], name) for name in ("occlusion", "gradient")})


def _too_few(seen: ClassImages, few: int) -> str:
    most = max(len(seen.of(c)) for c in seen.classes)
    return many(
        "no class has {few} images that are answered rightly, and as many of other classes: the most is {count}",
        "no class has {few} images that are answered rightly, and as many of other classes: the most is {count}",
        most,
        few=few,
    )


def _evidence(lab: Laboratory, enough: Sequence[int], done: Advance) -> dict[int, Evidence]:
    """Return where the evidence lies, by class and for all other classes together, where there is any."""
    from auditor.checks.shortcut.probe import REST

    found = {}
    for target in (*enough, *([REST] if len(lab.seen.rest()) else [])):
        found[target] = lab.evidence(target)
        done(int(target != REST))
    return {target: one for target, one in found.items() if one.sound}


def _beside(found: dict[int, Evidence], target: int) -> list[Evidence]:
    return [one for other, one in found.items() if other != target]


def _tried(lab: Laboratory, judged: Sequence[int], found: dict[int, Evidence]) -> list[Tried]:
    from auditor.checks.shortcut.places import suspects, tried

    every = [suspect for c in judged for suspect in suspects(lab, found[c], _beside(found, c))]
    return [(suspect, tried(lab, suspect)) for suspect in every]

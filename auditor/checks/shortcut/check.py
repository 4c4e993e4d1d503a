"""Whether the network relies on a spurious cue: a mark, a frame or a background."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from auditor.check import Check, Count, Steps
from auditor.checks.shortcut import background_findings, findings, rules
from auditor.checks.shortcut.class_images import class_images
from auditor.checks.shortcut.figures import background_row, exchange_row, galleries, mean_maps
from auditor.config.options import Range
from auditor.errors import Skip
from auditor.judging.grounds import ANSWERS, WEIGHTS
from auditor.language import _, many
from auditor.results import Arrays, Evidence, Finding, Verdict

if TYPE_CHECKING:
    from auditor.checks.shortcut.backgrounds import Backgrounds, ClassBackground
    from auditor.checks.shortcut.class_images import ClassImages
    from auditor.checks.shortcut.clusters import Group
    from auditor.checks.shortcut.findings import Tested
    from auditor.checks.shortcut.probe import Evidence as Shares
    from auditor.checks.shortcut.probe import Probe
    from auditor.context import Advance, Context

Filling = Literal["grey", "black", "mean", "blur", "noise"]
Few = Annotated[int, Range(4)]  # two in each half


@Check.with_rules(*rules.RULES, needs=(WEIGHTS, ANSWERS))
def shortcut(
    context: Context,
    *,
    classes: Count = 10,
    images: Count = 40,
    explained: Count = 8,
    fill: Filling = "mean",
    few: Few = 20,
) -> Steps:
    """Does the network rely on a spurious cue?

    The first maps of a class show where the evidence for it lies, over many of its images, by occlusion and by
    gradient. A place with evidence for this class and not for the others is a candidate: it is exchanged between
    images of the class and of other classes, and is a shortcut only if the prediction follows it. The background of
    each class is tested without an object, and behind objects of other classes. The galleries sort the images of a
    class by the place of the evidence; look at the cluster that differs most.

    Args:
        classes: how many classes are judged, those with the most images.
        images: how many images of each class.
        explained: how many of these are occluded window by window.
        fill: what covers the windows: mean (of the image), grey (half of full intensity), black, blur or noise.
        few: number of correctly classified images below which a class is not judged.
    Source:
        Lapuschkin et al., Nature Communications 2019 (clusters of maps); limits of maps: Adebayo et al., ICLR 2022.
        Exchange: Geirhos et al., ICLR 2019. Backgrounds: Zhu et al., IJCAI 2017; Xiao et al., ICLR 2021; sufficient
        subsets: Carter et al., AISTATS 2019. Holm 1979; intervals: Wilson 1927.
    """
    from auditor.checks.shortcut.probe import SMALLEST, Probe

    context.one_class_needed()
    if min(context.network.input_shape[1:]) < SMALLEST:
        raise Skip(_("images with a side under {pixels} pixels are too small for windows", pixels=SMALLEST))
    seen = class_images(context, classes=classes, images=images, few=few)
    enough = [c for c in seen.classes if len(seen.of(c)) >= few and len(seen.others(c)) >= few]
    if not enough:
        raise Skip(_too_few(seen, few))
    measured = _measured(Probe(context, seen, explained=explained, fill=fill), enough)
    yield from _findings(measured, context.classes, few)
    yield from _pictures(measured)


def _too_few(seen: ClassImages, few: int) -> str:
    most = max(len(seen.of(c)) for c in seen.classes)
    return many(
        "no class has {few} correctly classified images, and as many of other classes: the largest has {count}",
        "no class has {few} correctly classified images, and as many of other classes: the largest has {count}",
        most,
        few=few,
    )


@dataclass(frozen=True, eq=False)
class _Measured:
    """All that was measured, and which of it is a shortcut.

    Attributes:
        evidence: By judged class, and for all other classes together.
        tested: The candidate places of the judged classes.
        confirmed: By candidate whether it is a shortcut.
        groups: By judged class all its images, and its clusters.
        tested_backgrounds: One a judged class.
        confirmed_backgrounds: By class whether it depends on its background.
    """

    probe: Probe
    judged: Sequence[int]
    evidence: Mapping[int, Shares]
    tested: Sequence[Tested]
    confirmed: Sequence[bool]
    groups: Mapping[int, Sequence[Group]]
    backgrounds: Backgrounds
    tested_backgrounds: Sequence[ClassBackground]
    confirmed_backgrounds: Sequence[bool]


def _measured(probe: Probe, enough: Sequence[int]) -> _Measured:
    """Measure the evidence, and test candidate places, windows and backgrounds.

    Args:
        enough: The classes with enough images.

    Raises:
        Skip: Covering changes no score, or only those of one class.
    """
    from auditor.checks.shortcut.backgrounds import Backgrounds
    from auditor.checks.shortcut.clusters import groups as groups_of

    with probe.context.working(3 * len(enough), "classes") as advance:
        evidence = _evidence(probe, enough, advance)
        judged = [c for c in enough if c in evidence and len(evidence) > 1]
        if not judged:
            raise Skip(_("covering parts of the images changes no score: no class has evidence at any place"))
        tested = _tested(probe, judged, evidence)
        groups = {c: list(groups_of(probe, c, _others(evidence, c))) for c in judged}
        advance(len(enough))
        backgrounds = Backgrounds(probe)
        tested_backgrounds = [backgrounds.of(c) for c in judged]
        advance(len(enough))
    return _Measured(
        probe,
        judged,
        evidence,
        tested,
        findings.significant([exchanged.outcome.chance for _candidate, exchanged in tested]),
        groups,
        backgrounds,
        tested_backgrounds,
        background_findings.dependent(tested_backgrounds),
    )


def _evidence(probe: Probe, enough: Sequence[int], advance: Advance) -> dict[int, Shares]:
    """Return where the evidence lies, by class and for all other classes together, without those that have none."""
    from auditor.checks.shortcut.probe import REST

    found = {}
    for target in (*enough, *([REST] if len(probe.seen.rest()) else [])):
        found[target] = probe.evidence(target)
        advance(int(target != REST))
    return {target: one for target, one in found.items() if one.finite}


def _others(evidence: Mapping[int, Shares], target: int) -> list[Shares]:
    return [one for other, one in evidence.items() if other != target]


def _tested(probe: Probe, judged: Sequence[int], evidence: Mapping[int, Shares]) -> list[Tested]:
    from auditor.checks.shortcut.places import candidates, exchange_candidate

    every = [one for c in judged for one in candidates(probe, evidence[c], _others(evidence, c))]
    return [(one, exchange_candidate(probe, one)) for one in every]


def _findings(measured: _Measured, classes: Sequence[str], few: int) -> Iterator[Evidence]:
    seen, judged = measured.probe.seen, measured.judged
    tested, confirmed = measured.tested, measured.confirmed
    yield from findings.locations(tested, confirmed, classes, {c: len(seen.of(c)) for c in judged})
    places = {one.target: one.place for (one, _exchanged), sure in zip(tested, confirmed, strict=True) if sure}
    if without := measured.probe.without_gradient:
        yield Finding("shortcut.cluster", Verdict.SKIP, without)
    else:
        yield from findings.clusters(measured.groups, classes, places)
    backgrounds = measured.tested_backgrounds, measured.confirmed_backgrounds
    yield from background_findings.backgrounds(*backgrounds, classes, places)
    yield from findings.left_out(seen, judged, classes, few)
    yield findings.candidates_table(tested, confirmed, classes)
    yield background_findings.backgrounds_table(*backgrounds, classes)


def _pictures(measured: _Measured) -> Iterator[Evidence | Arrays]:
    probe, confirmed = measured.probe, measured.confirmed_backgrounds
    shown = {one.target: one for one in background_findings.strongest(measured.tested_backgrounds, confirmed)}
    for c in measured.judged:
        evidence = measured.evidence[c]
        yield mean_maps(probe, evidence)
        for (candidate, exchanged), sure in zip(measured.tested, measured.confirmed, strict=True):
            if candidate.target == c and (exchanged.outcome.lost.any() or exchanged.outcome.won.any()):
                yield exchange_row(probe, candidate, exchanged, confirmed=sure)
        if c in shown:
            yield background_row(probe, measured.backgrounds, shown[c], confirmed=any(confirmed))
        yield from galleries(probe, c, measured.groups[c])
        name = probe.context.classes[c]
        yield Arrays({f"{name}/{kind}": shares for kind, shares in evidence.by_method.items()})

"""What is said of the methods that explain: whether their pictures depend on the network, and mark what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods
from auditor.judging import confidence
from auditor.language import _, many, marked
from auditor.methods.attribution.names import IGNORE_LAST_LAYERS, method_name
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.checks.trust.faithfulness import Uncovered
    from auditor.checks.trust.randomization import Redrawn

_ENOUGH = 20  # images from which what can't be told from chance is held against a method
_NO_VERDICT = marked(
    "It is known for that on any network (Adebayo et al. 2018): it shows what is in the image more than why the "
    "network answered so, and no verdict rests on it."
)
_SAME_ANYWHERE = marked(
    "Don't read a reason for the answer out of these pictures: a network that has forgotten its classes gives nearly "
    "the same. Networks of few layers, and those that training has hardly moved, are like that; else look at a method "
    "that changes."
)
_MORE_IMAGES = marked("Explain more images, with --samples and trust.images.")
_NO_ORDER = marked(
    "Take the images away in smaller patches and more steps (trust.patch, trust.steps), or explain some of whose "
    "answer the network is less sure."
)
_AT_RANDOM = marked(
    "Don't take what it marks for what the answer needs; see the curves, and whether other methods do better. With "
    "more explained images (--samples) a small difference shows, too."
)


def randomization(found: Redrawn, warn: float) -> Iterator[Finding]:
    """Say of each method whether its maps depend on what the network has learnt."""
    for name in found.correlation:
        told = found.correlation[name][_stop(found, name)]
        told = told[np.isfinite(told)]
        if told.any():
            yield _dependence(found, name, told.tolist(), warn)
        elif len(told):  # all are 0, as `redrawn` has it of maps that are the same everywhere
            reason = _("{method}: nothing is left of the maps once layers are re-drawn", method=method_name(name))
            yield Finding("trust.randomization", Verdict.SKIP, reason, subject=name, n=len(told))
        else:
            reason = _("{method}: no map can be compared, as they are constant or no numbers", method=method_name(name))
            yield Finding("trust.randomization", Verdict.SKIP, reason, subject=name)


def _stop(found: Redrawn, name: str) -> int:
    """Return at which stop a method is looked at: those that heed no last layer are told by these."""
    return found.half if name in IGNORE_LAST_LAYERS else -1


def _dependence(found: Redrawn, name: str, told: Sequence[float], warn: float) -> Finding:
    value = float(np.median(told))
    verdict = at_most(value, warn=warn)
    changes = verdict is Verdict.PASS
    advice = "" if changes else _(_NO_VERDICT) if name in IGNORE_LAST_LAYERS else _(_SAME_ANYWHERE)
    # The median is over the limit if most images are; its own interval reaches from end to end for so few.
    over = methods.wilson(sum(one > warn for one in told), len(told))
    interval = methods.median_interval(told)
    close = "" if name in IGNORE_LAST_LAYERS or interval is None else confidence.told(over, 0.5)
    return Finding(
        "trust.randomization",
        Verdict.INFO if name in IGNORE_LAST_LAYERS else verdict,
        _depends(found, name, value, changes=changes),
        subject=name,
        value=value,
        limit=warn,
        unit="ρ",
        n=len(told),
        interval=interval,
        detail=" ".join(part for part in (advice, close) if part),
    )


def _depends(found: Redrawn, name: str, value: float, *, changes: bool) -> str:
    numbers = {
        "method": method_name(name),
        "count": found.counts[_stop(found, name)],
        "total": found.total,
        "value": value,
    }
    if name not in IGNORE_LAST_LAYERS and changes:
        return _(
            "{method}: changes with what this network has learnt; with all {total} layers re-drawn its rank "
            "correlation is {value:.2f}",
            **numbers,
        )
    if name not in IGNORE_LAST_LAYERS:
        return _(
            "{method}: hardly depends on what this network has learnt; with all {total} layers re-drawn its rank "
            "correlation is {value:.2f}",
            **numbers,
        )
    if changes:
        return _(
            "{method}: changes with the last layers of this network; with {count} of {total} re-drawn its rank "
            "correlation is {value:.2f}",
            **numbers,
        )
    return _(
        "{method}: hardly depends on the last layers of this network; with {count} of {total} re-drawn its rank "
        "correlation is {value:.2f}",
        **numbers,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """Whether a method's order is better than a random one.

    Attributes:
        telling: Of how many of `n` images the order matters at all, the fewer of deletion and insertion.
        better: On how many it is better than the mean random order, at deletion and at insertion.
        errors: The probability that this is chance, of both.
        worse: The same, were it worse than random.
    """

    name: str
    n: int
    telling: int
    better: tuple[int, int]
    errors: tuple[float, float]
    worse: tuple[float, float]

    @classmethod
    def of(cls, name: str, found: Uncovered) -> _Judged:
        standing = found.standing(name)
        finite = np.isfinite([own + others.sum(0) for own, others in standing]).all(0)
        both = [(own[finite], others[:, finite]) for own, others in standing]
        telling = min(int((others != own).any(0).sum()) for own, others in both)
        taken, added = (int((own > others.mean(0)).sum()) for own, others in both)
        errors = [methods.above_others(own, others) for own, others in both]
        worse = [methods.above_others(-own, -others) for own, others in both]
        return cls(name, int(finite.sum()), telling, (taken, added), (errors[0], errors[1]), (worse[0], worse[1]))

    def by_chance(self, chance: float, warn: float) -> tuple[bool, bool]:
        """Return which of the two may be chance, where `chance` is the worse error after the correction."""
        correction = chance / max(self.errors)
        taken, added = (error * correction > warn for error in self.errors)
        return taken, added

    def is_open(self, chance: float, warn: float) -> bool:
        """Return whether few images leave it open: what may be chance may hide a better order as well."""
        return self.n < _ENOUGH and all(
            error > warn for error, which in zip(self.worse, self.by_chance(chance, warn), strict=True) if which
        )


def faithfulness(found: Uncovered, names: Sequence[str], warn: float) -> Iterator[Finding]:
    """Say of each method whether it marks what the answers need."""
    judged = [_Judged.of(name, found) for name in names]
    counted = [one for one in judged if one.name not in IGNORE_LAST_LAYERS]
    chances = methods.holm([max(one.errors) for one in counted])
    corrected = {one.name: chance for one, chance in zip(counted, chances, strict=True)}
    for one in judged:
        several = len(counted) if one.name in corrected else 1
        if reason := _too_little(one, warn / several):
            yield Finding("trust.faithfulness", Verdict.SKIP, reason[0], subject=one.name, n=one.n, detail=reason[1])
        else:
            yield _against_chance(one, found, corrected.get(one.name, max(one.errors)), warn)


def _too_little(one: _Judged, error: float) -> tuple[str, str] | None:
    """Return why a method can't be judged, and what to do; None where it can."""
    if not error:
        return _("{method}: no number of images is enough to be sure", method=method_name(one.name)), ""
    numbers = {"method": method_name(one.name), "enough": methods.fewest(error)}
    if one.n < methods.fewest(error):
        told = many(
            "{method}: {count} image is too few to tell it from a random order; it takes {enough}",
            "{method}: {count} images are too few to tell it from a random order; it takes {enough}",
            one.n,
            **numbers,
        )
        return told, _(_MORE_IMAGES)
    if one.telling < methods.fewest(error):
        told = many(
            "{method}: on {count} image it matters in which order it is taken away, and on the others not; it takes "
            "{enough}",
            "{method}: on {count} images it matters in which order they are taken away, and on the others not; it "
            "takes {enough}",
            one.telling,
            **numbers,
        )
        return told, _(_NO_ORDER)
    return None


def _against_chance(one: _Judged, found: Uncovered, chance: float, warn: float) -> Finding:
    verdict = at_most(chance, warn=warn)
    if verdict is not Verdict.PASS and one.is_open(chance, warn):
        verdict = Verdict.SKIP
    return Finding(
        "trust.faithfulness",
        Verdict.INFO if one.name in IGNORE_LAST_LAYERS else verdict,
        _compared(one, chance, warn),
        subject=one.name,
        value=chance,
        limit=warn,
        unit="p",
        n=one.n,
        detail=f"{_areas(one, found)} {_advice(one.name, verdict)}".rstrip(),
    )


def _advice(name: str, verdict: Verdict) -> str:
    if verdict is Verdict.PASS:
        return ""
    if name in IGNORE_LAST_LAYERS:
        return _(_NO_VERDICT)
    return _(_MORE_IMAGES) if verdict is Verdict.SKIP else _(_AT_RANDOM)


def _compared(one: _Judged, chance: float, warn: float) -> str:
    numbers = {"method": method_name(one.name), "taken": one.better[0], "added": one.better[1], "n": one.n}
    by_chance = one.by_chance(chance, warn)
    if by_chance != (False, False) and one.is_open(chance, warn):
        return _(
            "{method}: better than a random order at taking the image away on {taken} of {n} images, and at bringing "
            "it back on {added} of {n}; so few images can't tell whether that is chance",
            **numbers,
        )
    if by_chance == (True, False):
        return _(
            "{method}: no better than a random order at taking the image away ({taken} of {n} images better), only at "
            "bringing it back ({added} of {n})",
            **numbers,
        )
    if by_chance == (False, True):
        return _(
            "{method}: no better than a random order at bringing the image back ({added} of {n} images better), only "
            "at taking it away ({taken} of {n})",
            **numbers,
        )
    if by_chance == (True, True):
        return _(
            "{method}: no better than a random order, be it at taking the image away ({taken} of {n} images better) or "
            "at bringing it back ({added} of {n})",
            **numbers,
        )
    return _(
        "{method}: better than a random order at taking the image away ({taken} of {n} images) and at bringing it back "
        "({added} of {n})",
        **numbers,
    )


def _areas(one: _Judged, found: Uncovered) -> str:
    (taken, added), (taken_by_chance, added_by_chance) = found.areas(one.name), found.areas_by_chance
    return _(
        "Median area under the curve at deletion: {taken:.3f}, in random order {taken_by_chance:.3f} (p = "
        "{taken_error:.3g}); at insertion: {added:.3f}, in random order {added_by_chance:.3f} (p = {added_error:.3g}).",
        taken=taken,
        taken_by_chance=taken_by_chance,
        taken_error=one.errors[0],
        added=added,
        added_by_chance=added_by_chance,
        added_error=one.errors[1],
    )

"""Findings of trust: whether maps depend on the trained weights, and whether they mark what the prediction needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods
from auditor.judging import confidence
from auditor.language import _, joined, many, marked
from auditor.methods.attribution.names import IGNORE_LAST_LAYERS, OCCLUSION, method_name
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.checks.trust.faithfulness import DeletionCurves
    from auditor.checks.trust.randomization import Randomization

_ENOUGH = 20  # images from which a method that is not significantly better than random gets a warning
_NOT_JUDGED = marked(
    "This holds for any network (Adebayo et al. 2018): the method shows what is in the image more than the reasons for "
    "the prediction. It is reported, not judged."
)
_INDEPENDENT = marked(
    "Don't read reasons for the prediction from these maps: a network with random weights gives nearly the same. "
    "Networks of few layers, and those that training has hardly changed, behave like this. Otherwise use a method "
    "whose maps change."
)
_MORE_IMAGES = marked("Explain more images, with --samples and trust.images.")
_NO_ORDER = marked(
    "Use smaller patches and more steps (trust.patch, trust.steps), or explain images that are predicted with lower "
    "confidence."
)
_RANDOM = marked(
    "Don't take what this method marks for what the prediction needs. Look at the curves, and use a method that does "
    "better. With more explained images (--samples) smaller differences become significant."
)


def randomization(found: Randomization, warn: float) -> Iterator[Finding]:
    """Judge for each method whether its maps depend on the trained weights."""
    for name in found.correlation:
        correlations = found.correlation[name][_step(found, name)]
        correlations = correlations[np.isfinite(correlations)]
        if correlations.any():
            yield _dependence(found, name, correlations.tolist(), warn)
        elif len(correlations):  # a correlation of exactly 0 stands for a constant map
            reason = _("{method}: all maps are constant once layers are randomised", method=method_name(name))
            yield Finding("trust.randomization", Verdict.SKIP, reason, subject=name, n=len(correlations))
        else:
            reason = _("{method}: no maps can be compared: they are constant or not finite", method=method_name(name))
            yield Finding("trust.randomization", Verdict.SKIP, reason, subject=name)


def _step(found: Randomization, name: str) -> int:
    """Return the step that counts: all layers, or the last half for methods known to ignore the last layers."""
    return found.half if name in IGNORE_LAST_LAYERS else -1


def _dependence(found: Randomization, name: str, correlations: Sequence[float], warn: float) -> Finding:
    value = float(np.median(correlations))
    verdict = at_most(value, warn=warn)
    changes = verdict is Verdict.PASS
    advice = "" if changes else _(_NOT_JUDGED) if name in IGNORE_LAST_LAYERS else _(_INDEPENDENT)
    # The median is above the limit if most images are. Of so few images its own interval covers nearly everything.
    above = methods.wilson(sum(one > warn for one in correlations), len(correlations))
    interval = methods.median_interval(correlations)
    close = "" if name in IGNORE_LAST_LAYERS or interval is None else confidence.close_call(above, 0.5)
    return Finding(
        "trust.randomization",
        Verdict.INFO if name in IGNORE_LAST_LAYERS else verdict,
        _dependence_message(found, name, value, changes=changes),
        subject=name,
        value=value,
        limit=warn,
        unit="ρ",
        n=len(correlations),
        interval=interval,
        detail=joined(advice, close),
    )


_ON_TRAINED_WEIGHTS = {
    True: marked(
        "{method}: depends on the trained weights; rank correlation {value:.2f} with all {total} layers randomised"
    ),
    False: marked(
        "{method}: hardly depends on the trained weights; rank correlation {value:.2f} with all {total} layers "
        "randomised"
    ),
}
_ON_LAST_LAYERS = {
    True: marked(
        "{method}: depends on the last layers; rank correlation {value:.2f} with {count} of {total} layers randomised"
    ),
    False: marked(
        "{method}: hardly depends on the last layers; rank correlation {value:.2f} with {count} of {total} layers "
        "randomised"
    ),
}


def _dependence_message(found: Randomization, name: str, value: float, *, changes: bool) -> str:
    message = (_ON_LAST_LAYERS if name in IGNORE_LAST_LAYERS else _ON_TRAINED_WEIGHTS)[changes]
    count = found.counts[_step(found, name)]
    return _(message, method=method_name(name), value=value, count=count, total=found.total)


@dataclass(frozen=True, slots=True)
class _Test:
    """The test of a method's order against random orders.

    Attributes:
        n: How many images have a finite map.
        informative: On how many of them the order changes the curves, the fewer of deletion and insertion.
        better: On how many it is better than the mean random order, at deletion and at insertion.
        errors: The p-values for "better than random", of both.
        worse: The p-values for "worse than random", of both.
    """

    name: str
    n: int
    informative: int
    better: tuple[int, int]
    errors: tuple[float, float]
    worse: tuple[float, float]

    @classmethod
    def of(cls, name: str, found: DeletionCurves) -> _Test:
        scores = found.scores(name)
        finite = np.isfinite([own + random.sum(0) for own, random in scores]).all(0)
        both = [(own[finite], random[:, finite]) for own, random in scores]
        informative = min(int((random != own).any(0).sum()) for own, random in both)
        deletion, insertion = (int((own > random.mean(0)).sum()) for own, random in both)
        errors = [methods.above_others(own, random) for own, random in both]
        worse = [methods.above_others(-own, -random) for own, random in both]
        return cls(
            name, int(finite.sum()), informative, (deletion, insertion), (errors[0], errors[1]), (worse[0], worse[1])
        )

    def not_significant(self, p: float, warn: float) -> tuple[bool, bool]:
        """Return whether deletion and insertion may be chance; `p` is the larger p-value, corrected."""
        correction = p / max(self.errors)
        deletion, insertion = (error * correction > warn for error in self.errors)
        return deletion, insertion

    def is_undecided(self, p: float, warn: float) -> bool:
        """Return whether there are too few images: what may be chance is not significantly worse than random either."""
        return self.n < _ENOUGH and all(
            error > warn for error, chance in zip(self.worse, self.not_significant(p, warn), strict=True) if chance
        )


def faithfulness(found: DeletionCurves, names: Sequence[str], warn: float) -> Iterator[Finding]:
    """Judge for each method whether it marks what the predictions need."""
    tests = [_Test.of(name, found) for name in names]
    judged = [one for one in tests if one.name not in IGNORE_LAST_LAYERS]
    corrected = dict(zip((one.name for one in judged), methods.holm([max(one.errors) for one in judged]), strict=True))
    for one in tests:
        several = len(judged) if one.name in corrected else 1
        if reason := _too_few(one, warn / several):
            yield Finding("trust.faithfulness", Verdict.SKIP, reason[0], subject=one.name, n=one.n, detail=reason[1])
        else:
            yield _against_random(one, found, corrected.get(one.name, max(one.errors)), warn)


def _too_few(one: _Test, error: float) -> tuple[str, str] | None:
    """Return why a method can't be judged and what to do; None if it can.

    Args:
        error: The p-value that has to be reached.
    """
    if not error:
        return _("{method}: no number of images is enough for a p-value of 0", method=method_name(one.name)), ""
    numbers = {"method": method_name(one.name), "needed": methods.fewest(error)}
    if one.n < methods.fewest(error):
        reason = many(
            "{method}: {count} image is too few for the test against random orders; {needed} are needed",
            "{method}: {count} images are too few for the test against random orders; {needed} are needed",
            one.n,
            **numbers,
        )
        return reason, _(_MORE_IMAGES)
    if one.informative < methods.fewest(error):
        reason = many(
            "{method}: the order changes the curves on only {count} image; {needed} are needed",
            "{method}: the order changes the curves on only {count} images; {needed} are needed",
            one.informative,
            **numbers,
        )
        return reason, _(_NO_ORDER)
    return None


def _against_random(one: _Test, found: DeletionCurves, p: float, warn: float) -> Finding:
    verdict = at_most(p, warn=warn)
    if verdict is not Verdict.PASS and one.is_undecided(p, warn):
        verdict = Verdict.SKIP
    return Finding(
        "trust.faithfulness",
        Verdict.INFO if one.name in IGNORE_LAST_LAYERS else verdict,
        _faithfulness_message(one, p, warn),
        subject=one.name,
        value=p,
        limit=warn,
        unit="p",
        n=one.n,
        detail=joined(_areas(one, found), _advice(one.name, verdict)),
    )


def _advice(name: str, verdict: Verdict) -> str:
    if verdict is Verdict.PASS:
        return ""
    if name in IGNORE_LAST_LAYERS:
        return _(_NOT_JUDGED)
    return _(_MORE_IMAGES) if verdict is Verdict.SKIP else _(_RANDOM)


_UNDECIDED = marked(
    "{method}: better than random order on {deleted} of {n} images at deletion and on {inserted} of {n} at insertion; "
    "too few images to rule out chance"
)
_SIGNIFICANT = {
    (False, False): marked(
        "{method}: better than random order at deletion ({deleted} of {n} images) and at insertion ({inserted} of {n})"
    ),
    (True, False): marked(
        "{method}: no better than random order at deletion ({deleted} of {n} images better), only at insertion "
        "({inserted} of {n})"
    ),
    (False, True): marked(
        "{method}: no better than random order at insertion ({inserted} of {n} images better), only at deletion "
        "({deleted} of {n})"
    ),
    (True, True): marked(
        "{method}: no better than random order at deletion ({deleted} of {n} images better) and at insertion "
        "({inserted} of {n})"
    ),
}


def _faithfulness_message(one: _Test, p: float, warn: float) -> str:
    chance = one.not_significant(p, warn)
    undecided = any(chance) and one.is_undecided(p, warn)
    message = _UNDECIDED if undecided else _SIGNIFICANT[chance]
    return _(message, method=method_name(one.name), deleted=one.better[0], inserted=one.better[1], n=one.n)


def _areas(one: _Test, found: DeletionCurves) -> str:
    (deletion, insertion), (random_deletion, random_insertion) = found.areas(one.name), found.random_areas
    return _(
        "Median area under the curve at deletion: {deletion:.3f}, in random order {random_deletion:.3f} (p = "
        "{deletion_error:.3g}); at insertion: {insertion:.3f}, in random order {random_insertion:.3f} (p = "
        "{insertion_error:.3g}).",
        deletion=deletion,
        random_deletion=random_deletion,
        deletion_error=one.errors[0],
        insertion=insertion,
        random_insertion=random_insertion,
        insertion_error=one.errors[1],
    )


def no_gradient(reason: str) -> Finding:
    """Report that the methods by gradient can't be computed."""
    message = _("the methods by gradient can't be computed: {reason}", reason=reason)
    return Finding("trust.randomization", Verdict.SKIP, message)


def occlusion_left_out(computed: int, images: int) -> Finding:
    """Report that occlusion was computed on fewer images than the other methods.

    Args:
        computed: On how many, less than `images`.
        images: How many images the other methods explain.
    """
    if not computed:
        reason = _("{method}: not computed, since trust.occlusion is 0", method=method_name(OCCLUSION))
        return Finding("trust.randomization", Verdict.SKIP, reason, subject=OCCLUSION)
    reason = many(
        "{method}: computed on {count} image only, since it takes many forward passes; -o trust.occlusion={images} "
        "computes it on all",
        "{method}: computed on {count} images only, since it takes many forward passes; -o trust.occlusion={images} "
        "computes it on all",
        computed,
        method=method_name(OCCLUSION),
        images=images,
    )
    return Finding("trust.faithfulness", Verdict.SKIP, reason, subject=OCCLUSION)

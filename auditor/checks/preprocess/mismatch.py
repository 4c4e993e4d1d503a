"""Judge whether the preprocessing differs from the one of training, by accuracy and by the first batch norm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods
from auditor.checks.preprocess.candidates import Candidate, compared, departures, reordered_as_declared, traits
from auditor.data.sampling import spread
from auditor.errors import Skip
from auditor.judging import confidence
from auditor.language import _, joined, many, numeral, p_value
from auditor.results import Finding, Table, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.data.alternatives import Alternative
    from auditor.data.preprocessing import Preprocess
    from auditor.methods import Departure, Reordered
    from auditor.model.first_norm import FirstNorm

_RULE = "preprocess.mismatch"
_ERROR = 0.01
_NEARLY = 0.1  # the p-value up to which a close call is mentioned
_MOST = 0.5  # of the channels of a batch norm
_INPUTS = 64  # images whose inputs of the first batch norm are measured
_NEARER = 0.5


def preprocess_findings(context: Context, *, images: int, few: int, warn: float) -> Iterator[Finding | Table]:
    """Judge whether alternative preprocessing fits better: by the accuracy, and by the first batch norm.

    Args:
        images: Largest number of labelled images on which alternatives are compared.
        few: Number of images under which nothing is compared.
        warn: Gain in accuracy over which the audit warns.
    """
    if context.images is None:
        message = _("needs images to compare alternative preprocessing; add --data")
        yield Finding(_RULE, Verdict.SKIP, message)
        return
    if context.preprocess.applied:
        message = _("the data give tensors that are preprocessed already, so no alternative can be tried")
        yield Finding(_RULE, Verdict.SKIP, message)
        return
    from auditor.data.alternatives import alternatives

    others = alternatives(context.preprocess, traits(context, _chosen(context, range(len(context.data)), _INPUTS)))
    try:
        context.one_class_needed()
        yield from _by_accuracy(context, others, images, few, warn)
    except Skip as reason:
        yield Finding(_RULE, Verdict.SKIP, str(reason))
    yield from _by_inputs(context, others, few)


def _chosen(context: Context, among: Sequence[int], count: int) -> list[int]:
    """Return indices of images, spread over the classes, in a random order, without duplicates of a file."""
    distinct = [i for i in among if i not in context.data.listing.duplicates]
    labels = [context.data.labels.groups[i] for i in distinct]
    chosen = np.array([distinct[place] for place in spread(labels, count, context.seed)], np.int64)
    return [int(i) for i in np.random.default_rng(context.seed).permutation(chosen)]


def _by_accuracy(
    context: Context, others: Sequence[Alternative], images: int, few: int, warn: float
) -> Iterator[Finding | Table]:
    labels = context.data.labels.indices
    chosen = _chosen(context, [i for i, label in enumerate(labels) if label is not None], images)
    found = compared(context, chosen, others) if len(chosen) >= few else []
    n = max((one.n for one in found), default=len(chosen))
    if n < few:
        message = many(
            "{count} labelled image is too few to compare alternative preprocessing ({few} needed)",
            "{count} labelled images are too few to compare alternative preprocessing ({few} needed)",
            n,
            few=few,
        )
        yield Finding(_RULE, Verdict.SKIP, message)
        return
    chance = 1 / context.network.outputs
    yield judged(found, chance, warn, reordered=lambda: reordered_as_declared(context, chosen))
    yield _table(found)


def judged(found: Sequence[Candidate], chance: float, warn: float, *, reordered: Callable[[], Reordered]) -> Finding:
    """Judge the alternatives by their gain in accuracy.

    Args:
        found: All alternatives, one at least.
        chance: Accuracy of a network that guesses.
        warn: Gain in accuracy over which the audit warns.
        reordered: Finds the best order of the classes with the declared preprocessing; called if an alternative is
            better.
    """
    better = [one for one in found if one.p < _ERROR and one.gain > warn]
    if fit := [one for one in better if one.accuracy[0] > chance]:
        best = _best(fit)
        other = reordered()
        return _reordered(best, other) if _explains_more(other, best) else _better(best, len(found), warn)
    if better or _at_chance(found, chance):
        return _guessing(found, chance)
    return _none_better(found, warn)


def _best(fit: Sequence[Candidate]) -> Candidate:
    """Return the candidate with the largest gain, or the one that the files call for, if it may gain as much.

    What the files call for is the simpler explanation: where transparent pixels were put on black, inverted values
    can fit by accident.
    """
    most = max(fit, key=lambda one: one.gain)
    called_for = [one for one in fit if one.alternative.of_files and one.interval[1] >= most.gain]
    return max(called_for, key=lambda one: one.gain, default=most)


def _at_chance(found: Sequence[Candidate], chance: float) -> bool:
    """Return whether the accuracy with the declared preprocessing is no better than chance."""
    longest = max(found, key=lambda one: one.n)
    return methods.wilson(longest.right, longest.n)[0] <= chance


def _guessing(found: Sequence[Candidate], chance: float) -> Finding:
    """Skip a network whose accuracy is no better than chance with any preprocessing.

    The accuracy of a network whose classes are in another order can be below chance. Any preprocessing that confuses
    it then gains accuracy.
    """
    longest = max(found, key=lambda one: one.n)
    return Finding(
        _RULE,
        Verdict.SKIP,
        many(
            "neither the declared preprocessing nor the alternative tried gives an accuracy better than chance "
            "({chance:.1%}): top-1 accuracy {given:.1%} as declared (n = {n})",
            "neither the declared preprocessing nor any of {count} alternatives gives an accuracy better than chance "
            "({chance:.1%}): top-1 accuracy {given:.1%} as declared (n = {n})",
            len(found),
            chance=chance,
            given=longest.right / longest.n,
            n=longest.n,
        ),
        n=longest.n,
        detail=_(
            "Look at predictions.accuracy, predictions.permuted and predictions.nonfinite first. Each alternative "
            "differs from the declared preprocessing in one thing; two differences at once, other input sizes and "
            "other channels were not tried."
        ),
    )


def _explains_more(other: Reordered, best: Candidate) -> bool:
    """Return whether another order of the classes gains more accuracy than the best alternative preprocessing."""
    share = best.right / best.n + best.gain
    return other.p < _ERROR and methods.wilson(round(other.better * other.tested), other.tested)[0] > share


def _reordered(best: Candidate, other: Reordered) -> Finding:
    return Finding(
        _RULE,
        Verdict.SKIP,
        _(
            "another order of the classes gains more accuracy ({better:.1%}) than alternative preprocessing "
            "({name}: {share:.1%}), so that the preprocessing is not judged",
            name=_(best.alternative.name),
            share=best.right / best.n + best.gain,
            better=other.better,
        ),
        n=best.n,
        detail=_("Look at predictions.permuted first."),
    )


def _better(best: Candidate, ways: int, warn: float) -> Finding:
    return Finding(
        _RULE,
        at_most(best.gain, warn=warn),
        _(
            "alternative preprocessing fits better ({name}): top-1 accuracy {better:.1%} instead of {given:.1%} "
            "(n = {n}, McNemar's test, corrected for {count} alternatives: {p})",
            name=_(best.alternative.name),
            better=best.right / best.n + best.gain,
            given=best.right / best.n,
            n=best.n,
            count=ways,
            p=p_value(best.p),
        ),
        value=best.gain,
        limit=warn,
        n=best.n,
        interval=best.interval,
        detail="\n".join(
            part for part in (confidence.close_call(best.interval, warn), _advice(best.alternative)) if part
        ),
    )


def _advice(better: Alternative) -> str:
    advice = _(
        "Check how training preprocessed the images. If it was this way, set in auditor.toml or in a --preprocess file:"
    )
    return "\n".join([advice, "[preprocess]", *as_settings(better.preprocess)])


def as_settings(preprocess: Preprocess) -> Iterator[str]:
    """Yield the lines of `[preprocess]` in TOML."""
    for key, value in preprocess.settings().items():
        if isinstance(value, tuple):
            yield f"{key} = [{', '.join(f'{number:.6g}' for number in value)}]"
        elif isinstance(value, bool):
            yield f"{key} = {str(value).lower()}"
        elif isinstance(value, int):
            yield f"{key} = {value}"
        else:
            yield f'{key} = "{"none" if value is None else value}"'


def _none_better(found: Sequence[Candidate], warn: float) -> Finding:
    most = max(found, key=lambda one: (not one.stopped, one.gain))
    longest = max(found, key=lambda one: one.n)
    close = confidence.close_call(most.interval, warn) if most.p < _NEARLY else ""
    return Finding(
        _RULE,
        Verdict.PASS,
        many(
            "the alternative preprocessing does not fit better: top-1 accuracy {given:.1%} as declared (n = {n})",
            "none of {count} alternatives to the preprocessing fits better: top-1 accuracy {given:.1%} as declared "
            "(n = {n})",
            len(found),
            given=longest.right / longest.n,
            n=longest.n,
        ),
        value=most.gain,
        limit=warn,
        n=most.n,
        interval=None if most.stopped else most.interval,
        detail=joined(_largest_gain(most, len(found)), close),
    )


def _largest_gain(most: Candidate, ways: int) -> str:
    if most.stopped:
        return _("No alternative gained more images than it lost.")
    return _(
        "Largest gain: {name} ({p}, corrected for {count} alternatives).",
        name=_(most.alternative.name),
        p=p_value(most.p),
        count=ways,
    )


def _table(found: Sequence[Candidate]) -> Table:
    return Table(
        _("Alternative preprocessing"),
        _(
            "Each alternative differs from the declared preprocessing in one thing. Top-1 accuracy with either, on a "
            "sample spread over the classes; p is McNemar's exact test, corrected by Holm for all alternatives. An "
            "alternative that was no better was stopped early; its accuracy is an upper bound."
        ),
        (_("alternative"), _("images"), _("accuracy as declared"), _("accuracy"), "p"),
        tuple((_(one.alternative.name), one.n, *_accuracies(one)) for one in found),
    )


def _accuracies(one: Candidate) -> tuple[str, str, str | None]:
    given, better = one.right / one.n, one.right / one.n + one.gain
    if one.stopped:
        return numeral(given, ".1%"), _("at most {share:.1%}", share=better), None
    return numeral(given, ".1%"), numeral(better, ".1%"), p_value(one.p).removeprefix("p = ").removeprefix("p ")


def _by_inputs(context: Context, others: Sequence[Alternative], few: int) -> Iterator[Finding]:
    from auditor.model.first_norm import first_norm

    norm = first_norm(context.network)
    if norm is None:
        return
    if not norm.mean.any() and bool((norm.variance == 1).all()):
        message = _("the running statistics of the first batch norm are those of random initialisation")
        yield Finding(_RULE, Verdict.SKIP, message, subject=norm.name)
        return
    chosen = _chosen(context, range(len(context.data)), _INPUTS)
    found, n = departures(context, norm, chosen, [context.preprocess])
    if n < few or not found:
        message = many(
            "{count} image is too few to compare the inputs of the first batch norm with its running statistics "
            "({few} needed)",
            "{count} images are too few to compare the inputs of the first batch norm with its running statistics "
            "({few} needed)",
            n,
            few=few,
        )
        yield Finding(_RULE, Verdict.SKIP, message, subject=norm.name)
        return
    yield by_statistics(norm.name, found[0], n, advice=lambda: _nearest(context, norm, found[0], others, chosen))


def by_statistics(layer: str, declared: Departure, n: int, *, advice: Callable[[], str]) -> Finding:
    """Judge how many channels of the first batch norm have inputs that differ from its running statistics.

    Args:
        layer: Name of the batch norm.
        declared: How far its inputs are from its running statistics with the declared preprocessing.
        n: Number of images.
        advice: Says what to do; called if the audit warns.
    """
    if not (np.isfinite(declared.shift).all() and np.isfinite(declared.stretch).all()):
        message = _("inputs or running statistics of the first batch norm are NaN or infinite in some channels")
        return Finding(_RULE, Verdict.SKIP, message, subject=layer, n=n)
    apart = declared.apart()
    verdict = at_most(float(apart.mean()), warn=_MOST)
    return Finding(
        _RULE,
        verdict,
        _(
            "the inputs of the first batch norm differ from its running statistics in {count} of {channels} channels",
            count=int(apart.sum()),
            channels=len(apart),
        ),
        subject=layer,
        value=float(apart.mean()),
        limit=_MOST,
        n=n,
        detail=advice() if verdict >= Verdict.WARN else "",
    )


def _nearest(
    context: Context, norm: FirstNorm, declared: Departure, others: Sequence[Alternative], chosen: Sequence[int]
) -> str:
    """Return how far the inputs are off, and the alternative that is clearly nearer to the running statistics."""
    found = departures(context, norm, chosen, [one.preprocess for one in others])[0]
    nearest, best = min(zip(others, found, strict=True), key=lambda pair: np.nan_to_num(pair[1].distance, nan=np.inf))
    off = _(
        "The median channel is {shift:.1f} standard deviations off, and its deviation is {stretch:.2g} times as large.",
        shift=float(np.median(np.abs(declared.shift))),
        stretch=float(np.median(declared.stretch)),
    )
    if not best.distance <= _NEARER * declared.distance:
        compare = _(
            "Compare mean, std, scale and color with training. Or these images are of another kind than those of "
            "training."
        )
        return joined(off, compare)
    nearer = _("This preprocessing comes much nearer to the running statistics: {name}.", name=_(nearest.name))
    return joined(joined(off, nearer), _advice(nearest), between="\n")

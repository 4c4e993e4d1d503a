"""What is said of a network whose images are prepared in another way than in training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods
from auditor.checks.preprocess.candidates import Rival, departures, reordered_as_declared, rivals
from auditor.data.sampling import spread
from auditor.judging import confidence
from auditor.language import _, many, numeral, p_value
from auditor.results import Finding, Table, Verdict, at_most

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.data.alternatives import Alternative
    from auditor.data.preprocessing import Preprocess
    from auditor.methods import Departure
    from auditor.model.first_norm import FirstNorm

_RULE = "preprocess.mismatch"
_ERROR = 0.01
_NEARLY = 0.1  # another way of this p is worth a word
_MOST = 0.5  # of the channels of a batch norm
_INPUTS = 64  # images whose way into the first batch norm is looked at
_NEARER = 0.5


def preprocess_findings(context: Context, *, images: int, few: int, warn: float) -> Iterator[Finding | Table]:
    """Say whether another way to prepare the images fits better: by what is answered rightly, and by batch norm.

    Args:
        images: On how many labelled images the ways are compared at the most.
        few: Images under which nothing is said.
        warn: By how much the accuracy has to be larger.
    """
    if context.images is None:
        reason = _("needs images, to see whether another way to prepare them fits better; give some with --data")
        yield Finding(_RULE, Verdict.SKIP, reason)
        return
    from auditor.data.alternatives import alternatives

    others = alternatives(context.preprocess)
    yield from _by_answers(context, others, images, few, warn)
    yield from _by_inputs(context, others, few)


def _chosen(context: Context, among: Sequence[int], count: int) -> list[int]:
    """Return places in the data, spread over the classes, in an order by chance; no file twice."""
    distinct = [i for i in among if i not in context.data.listing.duplicates]
    labels = [context.data.labels.indices[i] for i in distinct]
    chosen = np.array([distinct[place] for place in spread(labels, count, context.seed)], np.int64)
    return [int(i) for i in np.random.default_rng(context.seed).permutation(chosen)]


def _by_answers(
    context: Context, others: Sequence[Alternative], images: int, few: int, warn: float
) -> Iterator[Finding | Table]:
    labels = context.data.labels.indices
    labelled = [i for i, label in enumerate(labels) if label is not None]
    chosen = _chosen(context, labelled, images)
    found = rivals(context, chosen, others) if len(chosen) >= few else []
    n = max((one.n for one in found), default=len(chosen))
    if n < few:
        told = many(
            "{count} labelled image is too few (under {few}) to compare ways to prepare the images",
            "{count} labelled images are too few (under {few}) to compare ways to prepare the images",
            n,
            few=few,
        )
        yield Finding(_RULE, Verdict.SKIP, told)
        return
    chance = 1 / context.network.outputs
    better = [one for one in found if one.p < _ERROR and one.gain > warn]
    if fit := [one for one in better if one.share[0] > chance]:
        yield _better_or_reordered(context, chosen, max(fit, key=lambda one: one.gain), len(found), warn)
    elif better or _by_chance(found, chance):
        yield _guessing(found, chance)
    else:
        yield _none_better(found, warn)
    yield _table(found)


def _by_chance(found: Sequence[Rival], chance: float) -> bool:
    """Return whether what is right as declared may be so by chance."""
    longest = max(found, key=lambda one: one.n)
    return methods.wilson(longest.right, longest.n)[0] <= chance


def _guessing(found: Sequence[Rival], chance: float) -> Finding:
    """Say that nothing can be told of a network whose answers are no better than chance whatever the way.

    One that has its classes in another order is such a network, and any way that confuses it gains something.
    """
    longest = max(found, key=lambda one: one.n)
    return Finding(
        _RULE,
        Verdict.SKIP,
        _(
            "no way to prepare the images gives answers that are better than chance ({chance:.1%}), so that none can "
            "be said to fit: as declared {given:.1%} of {n} are right",
            chance=chance,
            given=longest.right / longest.n,
            n=longest.n,
        ),
        n=longest.n,
        detail=_("Look at predictions.accuracy, predictions.permuted and predictions.nonfinite first."),
    )


def _better_or_reordered(context: Context, chosen: Sequence[int], best: Rival, ways: int, warn: float) -> Finding:
    """Accuse the way to prepare the images, unless the classes are in another order, which explains more."""
    other = reordered_as_declared(context, chosen)
    share = best.right / best.n + best.gain
    if other.p >= _ERROR or methods.wilson(round(other.better * other.tested), other.tested)[0] <= share:
        return _better(best, ways, warn)
    return Finding(
        _RULE,
        Verdict.SKIP,
        _(
            "images that are prepared otherwise ({name}) give more right answers ({share:.1%}), but the declared way "
            "gives still more once the classes are in another order ({better:.1%}), so that nothing is said of the way",
            name=_(best.alternative.name),
            share=share,
            better=other.better,
        ),
        n=best.n,
        detail=_("Look at predictions.permuted first."),
    )


def _better(best: Rival, ways: int, warn: float) -> Finding:
    return Finding(
        _RULE,
        at_most(best.gain, warn=warn),
        _(
            "images that are prepared otherwise ({name}) fit better: {better:.1%} of {n} are answered rightly instead "
            "of {given:.1%} (McNemar, corrected for {count} ways: {p})",
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
    told = _("Look how training prepared the images. If it was so, write into auditor.toml, or to a --preprocess file:")
    return "\n".join([told, "[preprocess]", *as_settings(better.preprocess)])


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


def _none_better(found: Sequence[Rival], warn: float) -> Finding:
    most = max(found, key=lambda one: (not one.given_up, one.gain))
    longest = max(found, key=lambda one: one.n)
    gain = _("None gained more answers than it lost.")
    if not most.given_up:
        gain = _(
            "The largest gain is that of: {name} ({p}, corrected for {count} ways).",
            name=_(most.alternative.name),
            p=p_value(most.p),
            count=len(found),
        )
    close = confidence.close_call(most.interval, warn) if most.p < _NEARLY else ""
    return Finding(
        _RULE,
        Verdict.PASS,
        _(
            "none of {count} other ways to prepare the images fits better: as declared {given:.1%} of {n} images are "
            "answered rightly",
            count=len(found),
            given=longest.right / longest.n,
            n=longest.n,
        ),
        value=most.gain,
        limit=warn,
        n=most.n,
        interval=None if most.given_up else most.interval,
        detail=" ".join(part for part in (gain, close) if part),
    )


def _table(found: Sequence[Rival]) -> Table:
    return Table(
        _("Other ways to prepare the images"),
        _(
            "Each differs from the declared way in one thing. Share of images that are answered rightly as declared "
            "and in this way, on a sample spread over the classes; p is McNemar's exact test, corrected by Holm for "
            "all ways. One that was no better was given up early, and its share is what it can have reached at most."
        ),
        (_("way"), _("images"), _("as declared"), _("in this way"), "p"),
        tuple((_(one.alternative.name), one.n, *_shares(one)) for one in found),
    )


def _shares(one: Rival) -> tuple[str, str, str | None]:
    given, better = one.right / one.n, one.right / one.n + one.gain
    if one.given_up:
        return numeral(given, ".1%"), _("at most {share:.1%}", share=better), None
    return numeral(given, ".1%"), numeral(better, ".1%"), p_value(one.p).removeprefix("p = ").removeprefix("p ")


def _by_inputs(context: Context, others: Sequence[Alternative], few: int) -> Iterator[Finding]:
    from auditor.model.first_norm import first_norm

    norm = first_norm(context.network)
    if norm is None:
        return
    if not norm.mean.any() and bool((norm.variance == 1).all()):
        reason = _("the statistics of the first batch norm are those of a fresh network, and tell nothing of training")
        yield Finding(_RULE, Verdict.SKIP, reason, subject=norm.name)
        return
    chosen = _chosen(context, range(len(context.data)), _INPUTS)
    found, n = departures(context, norm, chosen, [context.preprocess])
    if n < few or not found:
        told = many(
            "{count} image is too few (under {few}) to compare what flows into the first batch norm with training",
            "{count} images are too few (under {few}) to compare what flows into the first batch norm with training",
            n,
            few=few,
        )
        yield Finding(_RULE, Verdict.SKIP, told, subject=norm.name)
        return
    (declared,) = found
    if not (np.isfinite(declared.shift).all() and np.isfinite(declared.stretch).all()):
        reason = _("what flows into the first batch norm, or did in training, is NaN or infinite in some channels")
        yield Finding(_RULE, Verdict.SKIP, reason, subject=norm.name, n=n)
        return
    yield _judged(context, norm, declared, n, others, chosen)


def _judged(
    context: Context,
    norm: FirstNorm,
    declared: Departure,
    n: int,
    others: Sequence[Alternative],
    chosen: Sequence[int],
) -> Finding:
    apart = declared.apart()
    verdict = at_most(float(apart.mean()), warn=_MOST)
    return Finding(
        _RULE,
        verdict,
        _(
            "in {off} of {channels} channels what flows into the first batch norm is far from what did in training",
            off=int(apart.sum()),
            channels=len(apart),
        ),
        subject=norm.name,
        value=float(apart.mean()),
        limit=_MOST,
        n=n,
        detail=_nearest(context, norm, declared, others, chosen) if verdict >= Verdict.WARN else "",
    )


def _nearest(
    context: Context, norm: FirstNorm, declared: Departure, others: Sequence[Alternative], chosen: Sequence[int]
) -> str:
    """Return which other way comes nearest to the statistics of training, where it does so clearly."""
    found = departures(context, norm, chosen, [one.preprocess for one in others])[0]
    nearest, best = min(zip(others, found, strict=True), key=lambda pair: np.nan_to_num(pair[1].distance, nan=np.inf))
    off = _(
        "The channel in the middle is {shift:.1f} standard deviations off and varies {stretch:.2g} times as much.",
        shift=float(np.median(np.abs(declared.shift))),
        stretch=float(np.median(declared.stretch)),
    )
    if not best.distance <= _NEARER * declared.distance:
        other = _(
            "Compare mean, std, scale and color with training; or the images are of another kind than its images."
        )
        return f"{off} {other}"
    nearer = _("Images that are prepared otherwise come much nearer to training: {name}.", name=_(nearest.name))
    return f"{off} {nearer}\n{_advice(nearest)}"

"""Findings of saliency: vanishing gradients, gradients that are not finite, maps that don't depend on the class."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods
from auditor.judging import confidence
from auditor.language import _, joined, many, some
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.checks.saliency.attributions import Explained
    from auditor.context import Maps
    from auditor.methods import Activations, Location

_TINY = 1e-6  # share of the median over the images below which the largest gradient counts as vanishing


@dataclass(frozen=True, slots=True)
class Measured:
    """What is measured on one image.

    Attributes:
        largest: The largest absolute gradient of the predicted class; NaN if any value is not finite.
        certain: Whether the probability of the predicted class is exactly 1.
        correlation: The lowest rank correlation of the predicted class's map with that of another class, -1 to 1; NaN
            if none can be compared.
    """

    name: str
    largest: float
    certain: bool
    correlation: float


def measured(one: Explained) -> Measured:
    """Reduce the maps of one image to the numbers that the findings need."""
    predicted = one.absolute[0]
    finite = bool(np.isfinite(predicted).all())
    others = [one.absolute[-1], *one.distant]
    correlations = [_correlation(predicted, other) for other in others if np.isfinite(other).all()]
    return Measured(
        one.sample.name,
        float(predicted.max()) if finite else math.nan,
        bool(one.sample.probabilities[one.sample.predicted] == 1),
        min(correlations, default=math.nan) if finite else math.nan,
    )


def _correlation(a: Maps, b: Maps) -> float:
    """Return the rank correlation over the pixels at which either map is non-zero.

    A closed rectifier has no gradient for any class: such pixels would make all maps look alike.
    """
    either = (a != 0) | (b != 0)
    return methods.rank_correlation(a[either], b[either]) if either.any() else math.nan


def not_finite(measured: Sequence[Measured]) -> Iterator[Finding]:
    """Fail if a gradient is NaN or infinite on any image."""
    bad, n = [one.name for one in measured if math.isnan(one.largest)], len(measured)
    if bad:
        yield Finding(
            "saliency.nonfinite",
            Verdict.FAIL,
            _("the gradient is NaN or infinite on {count} of {n} explained images", count=len(bad), n=n),
            subject=bad[0],
            value=len(bad) / n,
            limit=0.0,
            n=n,
            detail=_(
                "See weights.nonfinite and activations.nonfinite for the layer in which it begins. Images: {images}",
                images=some(bad, 5),
            ),
        )


def vanishing(measured: Sequence[Measured], warn: float, *, confident: bool) -> Finding:
    """Judge the share of images whose gradient vanishes or is not finite."""
    largest = np.array([one.largest for one in measured])
    typical = np.median(largest[largest > 0]) if (largest > 0).any() else 0.0
    vanished = ~(largest > _TINY * typical) | [one.certain for one in measured]
    names = [one.name for one, is_vanished in zip(measured, vanished, strict=True) if is_vanished]
    share, n = len(names) / len(measured), len(measured)
    interval = methods.wilson(len(names), n)
    verdict = at_most(confidence.upper(share, interval, confident=confident), warn=warn)
    message, advice = _all_non_zero(n), ""
    if names:
        message = _("the gradient vanishes or is not finite on {count} of {n} explained images", count=len(names), n=n)
        advice = _(
            "Look for saturated or dead channels before the scores, and for a probability of exactly 1, at which "
            "training stops. Images: {images}",
            images=some(names, 5),
        )
    close = confidence.close_call(interval, warn, confident=confident) if names or verdict >= Verdict.WARN else ""
    return Finding(
        "saliency.vanishing",
        verdict,
        message,
        subject=names[0] if share > warn else "",
        value=share,
        limit=warn,
        n=n,
        interval=interval,
        detail=joined(advice, close),
    )


def _all_non_zero(n: int) -> str:
    return many(
        "the gradient is non-zero on {count} of {count} explained images",
        "gradients are non-zero on all {count} explained images",
        n,
    )


def blind(measured: Sequence[Measured], warn: float, *, classes: int) -> Finding:
    """Judge how far the maps of different classes differ.

    Args:
        classes: How many classes the network has.
    """
    if classes == 2:
        reason = _("not judged with two classes: the two scores mirror each other, and so do their maps")
        return Finding("saliency.blind", Verdict.SKIP, reason)
    comparable = [one for one in measured if not math.isnan(one.correlation)]
    if not comparable:
        reason = _("no maps of two classes can be compared: the gradients are constant or not finite")
        return Finding("saliency.blind", Verdict.SKIP, reason)
    value = float(np.median([one.correlation for one in comparable]))
    verdict = at_most(value, warn=warn)
    message, detail = _("the maps differ between classes: median rank correlation {r:.2f}", r=value), ""
    if verdict is Verdict.WARN:
        message = _("the maps hardly differ between classes: median rank correlation {r:.2f}", r=value)
        detail = _(
            "The same pixels support every class. Look at the last layers: are the rows of the classifier alike "
            "(filters, weights)? Does one feature determine every score (activations)?"
        )
    return Finding(
        "saliency.blind",
        verdict,
        message,
        subject=max(comparable, key=lambda one: one.correlation).name if verdict is Verdict.WARN else "",
        value=value,
        limit=warn,
        unit="ρ",
        n=len(comparable),
        detail=detail,
    )


def rectifiers(found: Activations) -> Finding:
    """Report to how many activation functions the rules of deconvnet and guided backprop apply."""
    others = sum(found.others.values())
    verdict = Verdict.SKIP if found.hidden or not found.rectifiers else Verdict.INFO
    if found.hidden:
        message = _("the program hides its rectifiers, so that deconvnet and guided backprop can't reach them")
    elif not found.rectifiers:
        message = _("deconvnet and guided backprop are defined for ReLU, and this network has none")
    elif not others:
        message = _("the rules of deconvnet and guided backprop apply to all activation functions")
    else:
        message = _(
            "the rules of deconvnet and guided backprop apply to the rectifiers only; other activation functions pass "
            "the gradient"
        )
    share = found.rectifiers / max(1, found.rectifiers + others)
    detail = _("Activation functions between image and score: {functions}", functions=found) if str(found) else ""
    if found.sandboxed:
        told = _("With --trust-checkpoint the program runs in the process of the audit, which may reach them.")
        detail = joined(detail, told, between=". ")
    return Finding("saliency.rectifiers", verdict, message, value=share, n=found.rectifiers + others, detail=detail)


def layer(location: Location, *, chosen: bool) -> Finding:
    """Report which layer Grad-CAM uses.

    Args:
        chosen: Whether the audit chose the layer, and not an option.
    """
    message = (
        _("layer of Grad-CAM: {location}, the last maps before the classifier", location=location)
        if chosen
        else _("layer of Grad-CAM: {location}", location=location)
    )
    return Finding("saliency.layer", Verdict.INFO, message, subject=location.layer)


def no_layer(reason: object) -> Finding:
    """Report why there is no Grad-CAM."""
    return Finding("saliency.layer", Verdict.SKIP, _("no Grad-CAM: {reason}", reason=reason))

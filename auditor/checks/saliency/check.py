"""What in the image made the network say so, by signals sent back from a class score or from one unit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np

from auditor import methods
from auditor.check import Check, Count, Share, Steps
from auditor.checks.saliency.attributions import Explained, explained
from auditor.checks.saliency.figures import maps_of, rows, unit_row
from auditor.config.options import Range
from auditor.context import Maps, tensors
from auditor.errors import UsageError
from auditor.judging import confidence
from auditor.language import _, some
from auditor.results import Arrays, Finding, Gallery, Verdict, at_most
from auditor.unit import Unit

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods import Activations, Location

Correlation = Annotated[float, Range(-1, 1)]

_TINY = 1e-6


@Check
def saliency(
    context: Context,
    *,
    units: tuple[str, ...] = (),
    unit_images: Count = 3,
    cam_layer: str = "auto",
    vanishing_warn: Share = 0.1,
    blind_warn: Correlation = 0.95,
    confident: bool = False,
) -> Steps:
    """Which pixels speak for the answer, and would other pixels speak for another one?

    A row holds one class of one image: red raises its score, blue lowers it, summed over the colours; the
    absolute gradient is the largest over the colours; Grad-CAM lies over the image in grey. Every map has its own
    colour bar, which ends at the value that 99.5 % of its pixels stay under (Grad-CAM: at its maximum), so that
    the numbers and not the brightness compare two rows; only in the rows of classes side by side is the scale
    shared. Guided backprop and guided Grad-CAM hardly change when the upper layers of a network are randomised
    (Adebayo et al. 2018): they are sharp on any network, and no finding rests on them.

    Args:
        units: neurons to explain besides the classes, as layer:channel or layer:channel:y:x; without a place
            the most active one of each image.
        unit_images: how many of the explained images each unit is shown on, the most exciting first.
        cam_layer: where Grad-CAM looks; auto takes the last maps before the classifier. Of a layer that a
            rectifier follows directly, what that gives.
        vanishing_warn: share of images with a vanishing gradient over which the audit warns.
        blind_warn: rank correlation of the maps of different classes over which the audit warns.
        confident: ask the share of images with a vanishing gradient to keep its limit with the whole 95 % interval.
    Rules:
        saliency.vanishing: images whose gradient is zero, no number or under a millionth of the median, or whose
            answer has a probability of exactly 1; over 10 % of the images a warning (heuristic).
        saliency.nonfinite: images whose gradient is NaN or infinite; any is a failure (exact).
        saliency.blind: the absolute gradients of different classes lie at the same places; a median rank
            correlation over 0.95, of the two classes that are least alike and over the pixels at which either has
            a gradient, is a warning (heuristic).
        saliency.rectifiers: on how many activation functions the rules of deconvnet and guided backprop acted;
            skipped where a network has no ReLU, for which alone they are defined.
        saliency.layer: where Grad-CAM looks; skipped where no layer gives maps.
    Source:
        Gradient: Simonyan, Vedaldi, Zisserman, ICLR workshop 2014. Deconvnet: Zeiler, Fergus, ECCV 2014. Guided
        backprop: Springenberg et al., ICLR workshop 2015. Grad-CAM: Selvaraju et al., ICCV 2017. Limits: Adebayo
        et al., Sanity Checks for Saliency Maps, NeurIPS 2018.
    """
    neurons = [_known(context, unit) for unit in dict.fromkeys(map(Unit.read, units))]
    location, told = _location(context, cam_layer)
    measured: list[_Measured] = []
    for start in range(0, len(context.samples), context.batch_size):
        for one in explained(context, context.samples[start : start + context.batch_size], location):
            activations = one.activations
            measured.append(_measured(one))
            yield from rows(context, one)
            yield Arrays(one.arrays)
    for unit in neurons:
        yield from _unit_rows(context, unit, unit_images)
    yield from _not_finite(measured)
    yield _vanishing(measured, vanishing_warn, confident=confident)
    yield _blind(context, measured, blind_warn)
    yield _coverage(activations)
    yield told


def _known(context: Context, unit: Unit) -> Unit:
    try:
        methods.locate(context.network, tensors(context, context.samples[:1]), unit)
    except (ValueError, IndexError) as reason:
        raise UsageError(f"saliency.units asks for {unit}: {reason}") from None
    return unit


def _location(context: Context, layer: str) -> tuple[Location | None, Finding]:
    image = tensors(context, context.samples[:1])
    try:
        if layer == "auto":
            found = methods.last_maps(context.network, image)
        else:
            found = methods.after_activation(context.network, image, layer)
    except ValueError as reason:
        if layer != "auto":
            raise UsageError(f"saliency.cam_layer is {layer!r}: {reason}") from None
        return None, Finding("saliency.layer", Verdict.SKIP, _("Grad-CAM was left out: {reason}", reason=reason))
    message = (
        _("Grad-CAM looks at {place}: the last maps before the classifier", place=found)
        if layer == "auto"
        else _("Grad-CAM looks at {place}", place=found)
    )
    return found, Finding("saliency.layer", Verdict.INFO, message, subject=found.layer)


def _unit_rows(context: Context, unit: Unit, count: int) -> Iterator[Gallery | Arrays]:
    """Show a unit on the images that excite it most."""
    images = tensors(context, context.samples).split(1)
    places = [methods.locate(context.network, image, unit) for image in images]
    ranked = sorted(range(len(images)), key=lambda place: -places[place].values.item())
    for place in ranked[:count]:
        sample = context.samples[place]
        found = methods.explain(context.network, images[place], unit)
        yield unit_row(context, sample, found, places[place])
        yield Arrays({f"{sample.name}/{unit}/{name}": values for name, values in maps_of(found).items()})


@dataclass(frozen=True, slots=True)
class _Measured:
    """What is judged of one image.

    Attributes:
        strongest: The largest absolute gradient; NaN where any is no number.
        certain: The answer has a probability of exactly 1.
        alike: The rank correlation of the answer's map with the one of another class that is least like it.
    """

    name: str
    strongest: float
    certain: bool
    alike: float


def _measured(one: Explained) -> _Measured:
    answer = one.absolute[0]
    finite = bool(np.isfinite(answer).all())
    others = [one.absolute[-1], *one.distant]
    correlations = [_alike(answer, other) for other in others if np.isfinite(other).all()]
    return _Measured(
        one.sample.name,
        float(answer.max()) if finite else math.nan,
        bool(one.sample.probabilities[one.sample.predicted] == 1),
        min(correlations, default=math.nan) if finite else math.nan,
    )


def _alike(a: Maps, b: Maps) -> float:
    """Correlate where either is not zero: a rectifier that is shut is shut for every class."""
    open_ = (a != 0) | (b != 0)
    return methods.rank_correlation(a[open_], b[open_]) if open_.any() else math.nan


def _not_finite(measured: Sequence[_Measured]) -> Iterator[Finding]:
    bad = [one.name for one in measured if math.isnan(one.strongest)]
    if bad:
        yield Finding(
            "saliency.nonfinite",
            Verdict.FAIL,
            _("the gradient is NaN or infinite on {bad} of {n} explained images", bad=len(bad), n=len(measured)),
            subject=bad[0],
            value=len(bad) / len(measured),
            limit=0.0,
            n=len(measured),
            detail=_(
                "Look at weights.nonfinite and activations.nonfinite for where it begins: {images}",
                images=some(bad, 5),
            ),
        )


def _vanishing(measured: Sequence[_Measured], warn: float, *, confident: bool) -> Finding:
    strongest = np.array([one.strongest for one in measured])
    typical = np.median(strongest[strongest > 0]) if (strongest > 0).any() else 0.0
    gone = ~(strongest > _TINY * typical) | [one.certain for one in measured]
    names = [one.name for one, lost in zip(measured, gone, strict=True) if lost]
    share, n = len(names) / len(measured), len(measured)
    interval = methods.wilson(len(names), n)
    verdict = at_most(confidence.upper(share, interval, confident=confident), warn=warn)
    message, detail = _("the score depends on the image on {n} of {n} explained images", n=n), ""
    if names:
        message = _("the gradient vanishes or is no number on {bad} of {n} explained images", bad=len(names), n=n)
        detail = _(
            "Look for saturated or dead units before the scores, and for a probability of exactly 1, at which "
            "training stops: {images}",
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
        detail=" ".join(part for part in (detail, close) if part),
    )


def _blind(context: Context, measured: Sequence[_Measured], warn: float) -> Finding:
    if context.network.outputs == 2:
        reason = _("with two classes one score is told by the other, so that their maps lie at the same places")
        return Finding("saliency.blind", Verdict.SKIP, reason)
    told = [one for one in measured if not math.isnan(one.alike)]
    if not told:
        reason = _("no map of two classes can be compared: the gradients are constant or no numbers")
        return Finding("saliency.blind", Verdict.SKIP, reason)
    value = float(np.median([one.alike for one in told]))
    verdict = at_most(value, warn=warn)
    message, detail = _("the maps change from one class to another: their rank correlation is {r:.2f}", r=value), ""
    if verdict is Verdict.WARN:
        message = _("the maps hardly change from one class to another: their rank correlation is {r:.2f}", r=value)
        detail = _(
            "The network looks at the same pixels for whatever it is asked. Look at the last layers: are the rows "
            "of the classifier alike (filters, weights), does one feature carry every score (activations)?"
        )
    return Finding(
        "saliency.blind",
        verdict,
        message,
        subject=max(told, key=lambda one: one.alike).name if verdict is Verdict.WARN else "",
        value=value,
        limit=warn,
        unit="ρ",
        n=len(told),
        detail=detail,
    )


def _coverage(met: Activations) -> Finding:
    others = sum(met.others.values())
    kind = Verdict.SKIP if met.hidden or not met.rectifiers else Verdict.INFO
    if met.hidden:
        message = _("TorchScript hides rectifiers, so that deconvnet and guided backprop can't reach them")
    elif not met.rectifiers:
        message = _("deconvnet and guided backprop are defined for ReLU, and this network has none")
    elif not others:
        message = _("the rules of deconvnet and guided backprop acted on all activation functions that were found")
    else:
        message = _(
            "the rules of deconvnet and guided backprop acted on the rectifiers alone; the rest pass the gradient"
        )
    share = met.rectifiers / max(1, met.rectifiers + others)
    detail = _("Activation functions between image and score: {functions}", functions=met) if str(met) else ""
    return Finding("saliency.rectifiers", kind, message, value=share, n=met.rectifiers + others, detail=detail)

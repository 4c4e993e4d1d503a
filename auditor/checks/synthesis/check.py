"""Class models: images that maximise the score of a class, and the smallest trigger of each class."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from auditor import methods
from auditor.check import Check, Count, Share, Steps
from auditor.checks.synthesis import findings, rules
from auditor.checks.synthesis.class_models import ClassModel, Synthesizer
from auditor.checks.synthesis.figures import row, table, unit_row
from auditor.checks.synthesis.trigger_findings import trigger_evidence
from auditor.checks.synthesis.triggers import TriggerSearch
from auditor.collectors import Predictions, TopActivations
from auditor.config.options import Range
from auditor.errors import Skip, UsageError, did_you_mean
from auditor.judging.grounds import ANSWERS, WEIGHTS
from auditor.language import _, some
from auditor.results import Arrays
from auditor.unit import Unit

if TYPE_CHECKING:
    from auditor.collectors import Collector
    from auditor.context import Context

Classes = Literal["explained", "all"] | tuple[str, ...]
Amount = Annotated[float, Range(0)]

_PATCHES = 8  # kept of each channel


@Check.with_rules(*rules.RULES, needs=(WEIGHTS, ANSWERS), collects=True)
def synthesis(
    context: Context,
    *,
    classes: Classes = "explained",
    most: Count = 8,
    units: tuple[str, ...] = (),
    steps: Count = 40,
    step_size: Amount = 10.0,
    l2: Amount = 0.001,
    natural_steps: Count = 64,
    copies: Count = 1,
    diversity: Amount = 1.0,
    patches: Count = 2,
    unreached_warn: Share = 0.5,
    trigger: bool | None = None,
    trigger_images: Count = 200,
    trigger_steps: Count = 100,
    trigger_budget: Amount | None = None,
) -> Steps:
    """What input maximises each class score?

    Both images start as uniform grey and are changed, pixel by pixel, to raise the score of one class. The plain one
    may become any image: it looks like noise on sound networks, too, and is never judged (Nguyen et al.
    2015). The natural one has the frequencies and colours of photographs, and has to keep its score while it is moved,
    rotated and blurred; it repeats what the network looks for: an eye, a wheel, a watermark. The numbers are the
    network's score for the finished image and the probability of its class.

    Args:
        classes: names or numbers of classes; or "explained" for the classes with the highest and the lowest accuracy
            and those of the explained images; or "all".
        most: the largest number of classes for "explained".
        units: units to visualise in addition, as layer:channel (the mean of the map) or layer:channel:y:x.
        steps: steps of plain ascent (Simonyan).
        step_size: length of a step in units of the gradient, for images from -1 (black) to 1 (white).
        l2: weight of the squared norm of such an image (the paper's lambda).
        natural_steps: steps of natural ascent.
        copies: number of natural images for each class, each from its own noise. With several, their mean is shown.
        diversity: weight of the similarity between several images of a class.
        patches: number of patches of the data that are shown next to them.
        unreached_warn: probability of its own class below which an image warns.
        trigger: search for the smallest pattern that changes images of other classes to each class; none means on
            networks with 8 to 50 classes, if the budget allows it.
        trigger_images: number of images for this, half to find the patterns and half to test them.
        trigger_steps: steps of gradient descent on masks and patterns.
        trigger_budget: trillion operations that the search may take on a CPU, where one takes up to a minute; a
            hundred times as many on other devices. With trigger = true only as many classes are searched as it
            allows, drawn at random; none means 1 by default, and no limit with trigger = true.
    Source:
        Simonyan, Vedaldi, Zisserman, ICLR workshop 2014. Natural: Olah, Mordvintsev, Schubert, Feature Visualization,
        Distill 2017. Similarity: Gram matrices, ibid. Triggers: Wang et al., Neural Cleanse, IEEE S&P 2019, judged by
        simulated ordinary masks in place of its anomaly index.
    """
    named = _named(context, classes)
    neurons = [_known(context, unit) for unit in dict.fromkeys(map(Unit.read, units))]
    predictions, best = yield from _collected(context)
    roles = _explained(context, predictions, most) if named is None else dict.fromkeys(named, "")
    synthesizer = _synthesizer(
        context,
        replace(methods.SIMONYAN, steps=steps, step_size=step_size, l2=l2),
        replace(methods.NATURAL, steps=natural_steps),
        copies=copies,
        diversity=diversity,
        limit=unreached_warn,
    )
    models: list[ClassModel] = []
    for model in synthesizer.class_models(list(roles)):
        models.append(model)
        yield row(context, model, best, role=roles[model.target], patches=patches)
        yield Arrays(_arrays(model))
    for unit in neurons:
        yield unit_row(context, unit, synthesizer.visualization(unit))
    judged = [model for model in models if np.isfinite(model.best.probabilities).all()]
    yield from findings.not_finite(models, judged, context.classes)
    if judged:
        predicted = frozenset(np.flatnonzero(predictions.predicted).tolist()) if predictions else frozenset()
        yield from findings.unreached(judged, context.classes, unreached_warn, predicted)
        yield findings.flat(judged, context.classes)
    yield table(context, models)
    yield from trigger_evidence(context, TriggerSearch(trigger, trigger_images, trigger_steps, trigger_budget))


def _collected(
    context: Context,
) -> Generator[tuple[Collector, ...], Any, tuple[Predictions | None, TopActivations | None]]:
    """Collect the predictions and the best patches of the last layer with maps; None without images or a layer."""
    if not context.images:
        return None, None
    if context.task.multilabel:
        return None, (yield from _best_patches(context))
    last = context.network.layers.maps[-1:]
    if not last:
        (predictions,) = yield (Predictions(),)
        return predictions, None
    wanted = Predictions(), TopActivations(last, _PATCHES, leave_out=context.data.listing.duplicates)
    predictions, best = yield wanted
    return predictions, best


def _best_patches(context: Context) -> Generator[tuple[Collector, ...], Any, TopActivations | None]:
    last = context.network.layers.maps[-1:]
    if not last:
        return None
    best: TopActivations
    (best,) = yield (TopActivations(last, _PATCHES, leave_out=context.data.listing.duplicates),)
    return best


def _synthesizer(
    context: Context,
    plain: methods.Preset,
    natural: methods.Preset,
    *,
    copies: int,
    diversity: float,
    limit: float,
) -> Synthesizer:
    from auditor.model.folding import folded

    last = context.network.layers.maps[-1:]
    penalty = methods.Diversity(diversity, last[0].tap) if last and copies > 1 and diversity else None
    return Synthesizer(context, folded(context.network), plain, natural, copies, penalty, limit)


def _named(context: Context, classes: Classes) -> list[int] | None:
    """Return the classes that an option names; None if they follow from the images.

    Raises:
        Skip: There are no images to choose classes by.
        UsageError: The network has no such class.
    """
    count = context.network.outputs
    if classes == "all":
        return list(range(count))
    if classes != "explained":
        return list(dict.fromkeys(_index(context, name) for name in classes))
    if context.images is None:
        raise Skip(_("no images to choose classes by; name classes with -o synthesis.classes=..., or use all"))
    return None


def _known(context: Context, unit: Unit) -> Unit:
    """Return the unit, after a look at the network.

    Raises:
        UsageError: The network has no such unit.
    """
    import torch

    try:
        methods.locate(context.network, torch.zeros(1, *context.network.input_shape), unit)
    except (ValueError, IndexError) as reason:
        raise UsageError(f"synthesis.units asks for {unit}: {reason}") from None
    return unit


def _index(context: Context, name: str) -> int:
    """Return a class by number or by name.

    Raises:
        UsageError: There is no such class, or more than one.
    """
    if name.isdecimal():
        if int(name) < context.network.outputs:
            return int(name)
        last = context.network.outputs - 1
        raise UsageError(f"synthesis.classes asks for class {name}, but the network has classes 0 to {last}")
    places = [place for place, known in enumerate(context.classes) if known == name]
    if len(places) > 1:
        raise UsageError(
            f"synthesis.classes asks for {name!r}, but {len(places)} classes have this name: {some(places)}"
        )
    if not places:
        raise UsageError(f"synthesis.classes asks for {name!r}, which is no class{did_you_mean(name, context.classes)}")
    return places[0]


def _explained(context: Context, predictions: Predictions | None, most: int) -> dict[int, str]:
    """Return the classes with the highest and lowest accuracy and those of the explained images, and why each."""
    roles: dict[int, str] = {}
    if predictions and predictions.labelled:
        counts = predictions.confusion.by_true
        known = np.flatnonzero(counts)
        right = predictions.confusion.correct
        shares = right[known] / counts[known]
        best, worst = int(known[shares.argmax()]), int(known[shares.argmin()])
        roles[best] = _("highest accuracy: {right} of {n} images", right=right[best], n=counts[best])
        lowest = _("lowest accuracy: {right} of {n} images", right=right[worst], n=counts[worst])
        roles.setdefault(worst, lowest)
    for sample in context.samples:
        roles.setdefault(sample.predicted if sample.label is None else sample.label, _("explained"))
    return dict(list(roles.items())[:most])


def _arrays(model: ClassModel) -> dict[str, Any]:
    every = {"simonyan": model.plain, **{f"natural-{n}": one for n, one in enumerate(model.natural, start=1)}}
    return {
        f"{model.target}/{method}/{kind}": values
        for method, one in every.items()
        for kind, values in (("image", one.image.cpu().numpy()), ("course", one.curve))
    }

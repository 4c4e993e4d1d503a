"""What the network takes for each class, made from nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from auditor import methods
from auditor.check import Check, Count, Share, Steps
from auditor.checks.synthesis.class_models import ClassModel, Maker
from auditor.checks.synthesis.figures import row, told, unit_row
from auditor.checks.synthesis.trigger_findings import trigger_evidence
from auditor.checks.synthesis.triggers import TriggerSearch
from auditor.collectors import Predictions, TopActivations
from auditor.config.options import Range
from auditor.errors import Skip, UsageError, did_you_mean
from auditor.language import _, many, numeral, some
from auditor.results import Arrays, Finding, Table, Verdict
from auditor.unit import Unit

if TYPE_CHECKING:
    from auditor.collectors import Collector
    from auditor.context import Context

Classes = Literal["explained", "all"] | tuple[str, ...]
Amount = Annotated[float, Range(0)]

_FEW = 8  # patches kept of each channel
_NAMED = 10  # classes that have a finding of their own


@Check
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
    """What does the network take for each class, when nothing but its own score draws the picture?

    Both images begin as an even grey and are changed, pixel by pixel, so that the score of one class rises. The first
    may be any image: it looks like noise, on sound networks too, and that is never held against one (Nguyen et al.
    2015). The second has the frequencies and colours of photographs and has to keep its score while it is moved,
    turned and blurred: what it shows over and over, an eye, a wheel, a watermark, is what the network looks for. The
    numbers are the network's score of the finished image and the probability of its class.

    Args:
        classes: names or numbers of classes; or "explained" for the one with the best and the one with the worst
            accuracy and those of the explained images; or "all".
        most: how many classes are made of those that "explained" stands for.
        units: units to make an image for besides, as layer:channel (for the whole map) or layer:channel:y:x.
        steps: steps of plain ascent (Simonyan).
        step_size: length of a step in units of the gradient, of images that go from -1 (black) to 1.
        l2: what the squared norm of such an image costs (the paper's lambda).
        natural_steps: steps of the second way.
        copies: how many images are made of each class in the second way, each from noise of its own; of several their
            mean is shown.
        diversity: what it costs several images of a class to be alike.
        patches: how many patches of the data are shown beside them.
        unreached_warn: probability of its own class under which an image warns.
        trigger: whether the smallest pattern is looked for that sends other classes' images to each class; none means
            on networks with 8 to 50 classes, where the budget allows it.
        trigger_images: how many images that is done with, half to look for the patterns and half to try them.
        trigger_steps: steps of the descent of masks and patterns.
        trigger_budget: million million operations that it may take on a CPU, where one takes up to a minute; a hundred
            times as many elsewhere. If it was asked for, only so many classes are looked at, drawn by chance, as that
            allows; none means 1 unasked, and no limit if asked.
    Rules:
        synthesis.unreached: classes for which no image was found, in either way and with three step sizes, that is
            predicted as the class with a probability of 0.5 or more; a warning (heuristic), or information if some of
            the data's images are taken for the class.
        synthesis.flat: classes whose score no step could change, from an even grey and from noise; a warning.
        synthesis.trigger: a class whose smallest such pattern sends at least 90 % of other classes' images there (75 %
            by the lower end of its interval) and is smaller than the smallest of as many ordinary ones is in 5 % of
            networks; a warning (heuristic): perhaps a backdoor.
    Source:
        Simonyan, Vedaldi, Zisserman, ICLR workshop 2014. Natural: Olah, Mordvintsev, Schubert, Feature Visualization,
        Distill 2017. Likeness: Gram matrices, ibid. Triggers: Wang et al., Neural Cleanse, IEEE S&P 2019, judged by
        simulated ordinary masks in place of its anomaly index.
    """
    from auditor.model.folding import folded

    named = _named(context, classes)
    neurons = [_known(context, unit) for unit in dict.fromkeys(map(Unit.read, units))]
    last = context.network.layers.maps[-1:]
    wanted: list[Collector] = [Predictions()] if context.images else []
    if context.images and last:
        wanted.append(TopActivations(last, _FEW, leave_out=context.data.listing.duplicates))
    seen, best = (*((yield tuple(wanted)) if wanted else ()), None, None)[:2]
    roles = _explained(context, seen, most) if named is None else dict.fromkeys(named, "")
    maker = Maker(
        context,
        folded(context.network),
        replace(methods.SIMONYAN, steps=steps, step_size=step_size, l2=l2),
        replace(methods.NATURAL, steps=natural_steps),
        copies,
        methods.Diversity(diversity, last[0].tap) if last and copies > 1 and diversity else None,
        unreached_warn,
    )
    models: list[ClassModel] = []
    for model in maker.make(list(roles)):
        models.append(model)
        yield row(context, model, best, role=roles[model.target], patches=patches)
        yield Arrays(_arrays(context, model))
    for unit in neurons:
        yield unit_row(context, unit, maker.make_unit(unit))
    judged = [model for model in models if np.isfinite(model.best.probabilities).all()]
    if lost := [context.classes[model.target] for model in models if model not in judged]:
        reason = many(
            "the scores of the images made for {count} class are no numbers: see predictions.nonfinite",
            "the scores of the images made for {count} classes are no numbers: see predictions.nonfinite",
            len(lost),
        )
        yield Finding("synthesis.unreached", Verdict.SKIP, reason, n=len(models), detail=some(lost))
    if judged:
        yield from _unreached(context, judged, unreached_warn, seen)
        yield _flat(context, judged)
    yield _table(context, models)
    yield from trigger_evidence(context, TriggerSearch(trigger, trigger_images, trigger_steps, trigger_budget))


def _named(context: Context, classes: Classes) -> list[int] | None:
    """Return the classes that are asked for; None where they follow from the images."""
    count = context.network.outputs
    if classes == "all":
        return list(range(count))
    if classes != "explained":
        return list(dict.fromkeys(_index(context, name) for name in classes))
    if context.images is None:
        raise Skip(_("needs images to choose classes by; name some with -o synthesis.classes=..., or all"))
    return None


def _known(context: Context, unit: Unit) -> Unit:
    import torch

    try:
        methods.locate(context.network, torch.zeros(1, *context.network.input_shape), unit)
    except (ValueError, IndexError) as reason:
        raise UsageError(f"synthesis.units asks for {unit}: {reason}") from None
    return unit


def _index(context: Context, name: str) -> int:
    if name.isdecimal():
        if int(name) < context.network.outputs:
            return int(name)
        last = context.network.outputs - 1
        raise UsageError(f"synthesis.classes asks for class {name}, but the network's go from 0 to {last}")
    places = [place for place, known in enumerate(context.classes) if known == name]
    if len(places) > 1:
        raise UsageError(f"synthesis.classes asks for {name!r}, of which there are {len(places)}: {some(places)}")
    if not places:
        raise UsageError(f"synthesis.classes asks for {name!r}, which is no class{did_you_mean(name, context.classes)}")
    return places[0]


def _explained(context: Context, seen: Predictions | None, most: int) -> dict[int, str]:
    """Return the classes with the best and the worst accuracy and those of the explained images, and why each."""
    roles: dict[int, str] = {}
    if seen and seen.labelled:
        counts = seen.confusion.sum(1)
        known = np.flatnonzero(counts)
        shares = seen.confusion.diagonal()[known] / counts[known]
        best, worst = int(known[shares.argmax()]), int(known[shares.argmin()])
        right, n = seen.confusion.diagonal(), counts
        roles[best] = _("the best accuracy ({right} of {n} images right)", right=right[best], n=n[best])
        told = _("the worst accuracy ({right} of {n} images right)", right=right[worst], n=n[worst])
        roles.setdefault(worst, told)
    for sample in context.samples:
        roles.setdefault(sample.predicted if sample.label is None else sample.label, _("explained"))
    return dict(list(roles.items())[:most])


def _unreached(
    context: Context, models: Sequence[ClassModel], warn: float, seen: Predictions | None
) -> Iterator[Finding]:
    rule = "synthesis.unreached"
    lost = [one for one in models if not one.reached(warn)]
    answered = frozenset(np.flatnonzero(seen.predicted).tolist()) if seen else frozenset()
    for one in lost[:_NAMED]:
        name, best = context.classes[one.target], one.best
        yield Finding(
            rule,
            Verdict.INFO if one.target in answered else Verdict.WARN,
            _(
                "no image could be made that the network takes for {name}: the best one is {answer} to it at "
                "{share:.1%}",
                name=name,
                answer=context.classes[best.predicted],
                share=best.probabilities[best.predicted],
            ),
            subject=name,
            value=best.probability(one.target),
            limit=warn,
            n=len(models),
            detail=_("Some of the data's images are taken for it, so that more steps may do.")
            if one.target in answered
            else _(
                "Do its weights in the last layer reach the others' (checkpoint, weights), is it ever predicted "
                "(predictions.collapsed)? If its pictures look right, more steps may do."
            ),
        )
    if len(lost) > _NAMED:
        names = some(context.classes[one.target] for one in lost[_NAMED:])
        message = many("nor for {count} other class", "nor for {count} other classes", len(lost) - _NAMED)
        verdict = Verdict.INFO if answered.issuperset(one.target for one in lost[_NAMED:]) else Verdict.WARN
        yield Finding(rule, verdict, message, n=len(models), detail=names)
    if not lost:
        least = min(models, key=lambda one: one.best.probability(one.target))
        share = least.best.probability(least.target)
        message = many(
            "the network takes the images made for {count} class for it, at {share:.1%} or more",
            "the network takes the images made for {count} classes for these, at {share:.1%} or more",
            len(models),
            share=share,
        )
        yield Finding(rule, Verdict.PASS, message, value=share, limit=warn, n=len(models))


def _flat(context: Context, models: Sequence[ClassModel]) -> Finding:
    rule = "synthesis.flat"
    flat = [context.classes[one.target] for one in models if not one.moved]
    if not flat:
        message = many(
            "the score of {count} class changes with the image",
            "the scores of {count} classes change with the image",
            len(models),
        )
        return Finding(rule, Verdict.PASS, message, value=0, limit=0, n=len(models))
    return Finding(
        rule,
        Verdict.WARN,
        many(
            "the score of {count} of {n} classes changes with no image, whichever way it is changed",
            "the scores of {count} of {n} classes change with no image, whichever way it is changed",
            len(flat),
            n=len(models),
        ),
        subject=flat[0],
        value=len(flat),
        limit=0,
        n=len(models),
        detail=_(
            "Look for dead units before the scores (activations.dead) and for weights of zero in the last layer: "
            "{classes}",
            classes=some(flat),
        ),
    )


def _table(context: Context, models: Sequence[ClassModel]) -> Table:
    rows = []
    for model in models:
        for one in (model.plain, *model.natural):
            norm, variation = one.image.norm().item(), methods.total_variation(one.image[None]).item()
            share, answer = numeral(one.probability(model.target), ".4f"), context.classes[one.predicted]
            numbers = (one.score, share, answer, norm, variation, numeral(one.outside, ".0%"))
            rows.append((context.classes[model.target], told(one.preset), *numbers))
    return Table(
        _("Class models"),
        _(
            "How each image was made, and what the network says of it: its score, the probability of its class, the "
            "most probable class. Norm and total variation are those of what the network was given; beyond is the "
            "share of values darker than black or brighter than white, which the pictures cut off."
        ),
        (_("class"), _("way"), _("score"), "p", _("answer"), _("norm"), _("variation"), _("beyond")),
        tuple(rows),
    )


def _arrays(context: Context, model: ClassModel) -> dict[str, Any]:
    every = {"simonyan": model.plain, **{f"natural-{n}": one for n, one in enumerate(model.natural, start=1)}}
    return {
        f"{model.target}/{way}/{kind}": values
        for way, one in every.items()
        for kind, values in (("image", one.image.cpu().numpy()), ("course", one.course))
    }

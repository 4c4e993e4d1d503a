"""Galleries and the table of class models: images, their scores by step, and patches of the data that are similar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods, pictures
from auditor.collectors import TopActivations
from auditor.collectors.patches import Patch, patches_of
from auditor.language import _, chained, headed, joined, numeral
from auditor.results import Gallery, Item, Table

if TYPE_CHECKING:
    from auditor.checks.synthesis.class_models import ClassModel, SynthesizedImage
    from auditor.context import Context
    from auditor.methods import Preset
    from auditor.unit import Unit

_SIDE = 224


def row(context: Context, model: ClassModel, best: TopActivations | None, *, role: str, patches: int) -> Gallery:
    """Show the class model of one class.

    Args:
        best: The best patches of the last layer with maps, if they were collected.
        role: Why the class was chosen, or "".
        patches: How many patches are shown.
    """
    name = context.classes[model.target]
    near = _nearest(context, model, best, patches) if best else []
    items = (*_images(context, model), _curves(model, name), *(_patch(context, *one, name) for one in near))
    methods_used = chained(describe_preset(model.plain.preset), describe_preset(model.natural[0].preset))
    sentences = [joined(methods_used, ".", between=""), _prediction(context, model.best)]
    if best and near:
        layer = best.layers[0].name
        sentences.append(
            _("Last: patches of the data that activate the same channels of {layer} as the natural image.", layer=layer)
        )
    title = headed(name, role) if role else name
    return Gallery(title, joined(*sentences), items, about={"class": name})


def _prediction(context: Context, image: SynthesizedImage) -> str:
    name, share = context.classes[image.predicted], image.probabilities[image.predicted]
    if image.several:
        return _("Most probable label: {name}, with a probability of {share:.1%}.", name=name, share=share)
    return _("Predicted class: {name}, with a probability of {share:.1%}.", name=name, share=share)


def unit_row(context: Context, unit: Unit, image: SynthesizedImage) -> Gallery:
    """Show the feature visualization of a unit, or of the mean of a channel's map."""
    value = (
        _("the mean of its map")
        if unit.y is None
        else _("its value at row {row} and column {column}", row=unit.y, column=unit.x)
    )
    named = {"layer": unit.layer, "channel": unit.channel}
    alt = _(
        "Feature visualization of channel {channel} of {layer}: {value} is {score:.3g}, before any rectifier.",
        value=value,
        score=image.score,
        **named,
    )
    drawn = pictures.curves({_("natural"): image.curve}, xlabel=_("step"), ylabel=_("value"))
    curve = _(
        "Value of channel {channel} of {layer} by step: from {first:.3g} to {last:.3g}.",
        first=float(image.curve[0]),
        last=image.score,
        **named,
    )
    maximised = _("Maximised: {value}, before any rectifier.", value=value)
    return Gallery(
        _("{layer}, channel {channel}: feature visualization", **named),
        joined(joined(describe_preset(image.preset), ".", between=""), maximised, _prediction(context, image)),
        (
            Item(pictures.photo(image.pixels, _SIDE), image.note or _("natural"), image.score, alt=alt),
            Item(drawn, _("value by step"), alt=curve),
        ),
        about={"layer": unit.layer, "channel": str(unit.channel)},
    )


def describe_preset(preset: Preset) -> str:
    """Return a method of ascent and its settings in a few words."""
    if preset.spectrum:
        return _(
            "natural: {steps} steps of Adam at {size:g}, total variation at {variation:g}",
            steps=preset.steps,
            size=preset.step_size,
            variation=preset.variation,
        )
    return _("Simonyan: {steps} steps of {size:g}, λ {l2:g}", steps=preset.steps, size=preset.step_size, l2=preset.l2)


def _images(context: Context, model: ClassModel) -> Iterator[Item]:
    for method, one in _by_method(model).items():
        yield _item(context, model, one, method)
    if len(model.natural) > 1:
        mean = np.mean([one.pixels.astype(np.float64) for one in model.natural], axis=0).round().astype(np.uint8)
        name = context.classes[model.target]
        about = _("Mean of {n} class models of {name}.", n=len(model.natural), name=name)
        yield Item(pictures.photo(mean, _SIDE), _("mean of these"), alt=about)


def _by_method(model: ClassModel) -> dict[str, SynthesizedImage]:
    """Return the images of a class by the names of their methods."""
    several = len(model.natural) > 1
    names = [_("natural {number}", number=n) if several else _("natural") for n in range(1, len(model.natural) + 1)]
    return {"Simonyan": model.plain, **dict(zip(names, model.natural, strict=True))}


def _item(context: Context, model: ClassModel, one: SynthesizedImage, method: str) -> Item:
    predicted, target = context.classes[one.predicted], context.classes[model.target]
    share = one.probability(model.target)
    label = (
        _("{method}: p {share:.3f}", method=method, share=share)
        if one.several or one.predicted == model.target
        else _("{method}: p {share:.3f}, predicted as {predicted}", method=method, share=share, predicted=predicted)
    )
    if one.note:
        label = _("{label} ({note})", label=label, note=one.note)
    alt = _(
        "Class model of {name} ({method}): score {score:.3g}, probability {share:.3f}; norm {norm:.3g}, total "
        "variation {variation:.3g}, {outside:.0%} of its values beyond black and white.",
        name=target,
        method=describe_preset(one.preset),
        score=one.score,
        share=share,
        norm=one.image.norm().item(),
        variation=methods.total_variation(one.image[None]).item(),
        outside=one.outside,
    )
    return Item(pictures.photo(one.pixels, _SIDE), label, one.score, alt=alt)


def _curves(model: ClassModel, name: str) -> Item:
    images = _by_method(model)
    curves = {method: one.curve for method, one in images.items()}
    drawn = pictures.curves(curves, xlabel=_("step"), ylabel=_("score"))
    named = (
        _("{method} from {first:.3g} to {last:.3g}", method=method, first=float(one.curve[0]), last=one.score)
        for method, one in images.items()
    )
    ends = joined(*named, between=", ")
    return Item(drawn, _("score by step"), alt=_("Score of {name} by step: {methods}.", name=name, methods=ends))


def _nearest(context: Context, model: ClassModel, best: TopActivations, count: int) -> list[tuple[Patch, float]]:
    """Return the patches that activate the channels behind a class model's score most, and by how much, 0 to 1.

    A patch counts by a channel's contribution to the score, times its activation as a share of the channel's highest
    activation in the data. Of each image the patch of its strongest channel is shown.
    """
    layer, image = best.layers[0], model.natural[0].image[None]
    shares = methods.channel_contributions(context.network, image, model.target, layer.tap)[0].cpu().numpy().clip(0)
    found = best.best(layer)
    peaks = np.where(found.images >= 0, found.values, 0).clip(0)
    weights = shares[:, None] * peaks / np.maximum(peaks[:, :1], np.finfo(np.float32).tiny)
    if not weights.any():
        return []
    sums = np.bincount(found.images[weights > 0], weights[weights > 0])
    field, size = context.network.receptive_field(layer.tap), context.network.input_shape[1:]
    chosen = []
    for index in [place for place in np.argsort(-sums, kind="stable")[:count].tolist() if sums[place] > 0]:
        channel = int(np.where(found.images == index, weights, 0).max(1).argmax())
        places = [patch for patch in patches_of(found, channel, field, size) if patch.image == index]
        chosen += [(patch, float(sums[index] / shares.sum())) for patch in places[:1]]
    return chosen


def _patch(context: Context, patch: Patch, likeness: float, name: str) -> Item:
    file, label = context.data.listing.names[patch.image], context.data.labels.indices[patch.image]
    image = context.data.decoded(patch.image)
    part = pictures.part(image, context.preprocess.box_in_original(image.size, patch.box), _SIDE)
    truth = context.classes[label] if label is not None else _("no label")
    alt = _(
        "Patch of {file}: it activates {share:.0%} of the contributions to the score of the class model of {name}.",
        file=file,
        name=name,
        share=likeness,
    )
    return Item(pictures.stacked([part], _SIDE), truth, likeness, file, alt)


def table(context: Context, models: Sequence[ClassModel]) -> Table:
    """Return a row for each image that was made."""
    rows = []
    for model in models:
        for one in (model.plain, *model.natural):
            norm, variation = one.image.norm().item(), methods.total_variation(one.image[None]).item()
            share, predicted = numeral(one.probability(model.target), ".4f"), context.classes[one.predicted]
            numbers = (one.score, share, predicted, norm, variation, numeral(one.outside, ".0%"))
            rows.append((context.classes[model.target], describe_preset(one.preset), *numbers))
    predicted = _("most probable") if context.task.multilabel else _("predicted")
    return Table(
        _("Class models"),
        _(
            "How each image was made, and the network's output for it: the score of the class, its probability p, and "
            "the class with the highest score. Norm and total variation are those of the network's input. Clipped: the "
            "share of values darker than black or brighter than white, which the pictures can't show."
        ),
        (_("class"), _("method"), _("score"), "p", predicted, _("norm"), _("variation"), _("clipped")),
        tuple(rows),
    )

"""One row of pictures for a class: the images that were made for it, how they came about, and what is like them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods, pictures
from auditor.collectors import TopActivations
from auditor.collectors.patches import Patch, patches_of
from auditor.data.image import decode
from auditor.language import _, chained, headed
from auditor.results import Gallery, Item

if TYPE_CHECKING:
    from auditor.checks.synthesis.class_models import ClassModel, Made
    from auditor.context import Context
    from auditor.methods import Preset
    from auditor.unit import Unit

_SIDE = 224


def row(context: Context, model: ClassModel, best: TopActivations | None, *, role: str, patches: int) -> Gallery:
    """Show what was made for a class.

    Args:
        best: The best patches of a layer, where they were looked for.
        role: Why the class is shown.
        patches: How many patches are shown.
    """
    name, surest = context.classes[model.target], model.best
    near = _nearest(context, model, best, patches) if best else []
    items = (*_images(context, model), _course(model, name), *(_patch(context, *one, name) for one in near))
    said = [f"{chained(told(model.plain.preset), told(model.natural[0].preset))}.", _answer(context, surest)]
    if best and near:
        layer = best.layers[0].name
        said.append(_("Last: where the data excite the same channels of {layer} as the natural image.", layer=layer))
    title = headed(name, role) if role else name
    return Gallery(title, " ".join(said), items, about={"class": name})


def _answer(context: Context, made: Made) -> str:
    name, share = context.classes[made.predicted], made.probabilities[made.predicted]
    return _("The network's own answer is {name} at {share:.1%}.", name=name, share=share)


def unit_row(context: Context, unit: Unit, made: Made) -> Gallery:
    """Show what was made for a unit, or for the whole map of a channel."""
    what = (
        _("the mean of its map")
        if unit.y is None
        else _("its value at row {row} and column {column}", row=unit.y, column=unit.x)
    )
    named = {"layer": unit.layer, "channel": unit.channel}
    alt = _(
        "Image made for channel {channel} of {layer}: {what} is {value:.3g}, before any rectifier.",
        what=what,
        value=made.score,
        **named,
    )
    drawn = pictures.curves({_("natural"): made.course}, xlabel=_("step"), ylabel=_("value"))
    course = _(
        "Course of channel {channel} of {layer}: from {first:.3g} to {last:.3g}.",
        first=float(made.course[0]),
        last=made.score,
        **named,
    )
    rises = _("What rises is {what}, before any rectifier.", what=what)
    return Gallery(
        _("{layer}, channel {channel}: made from nothing", **named),
        f"{told(made.preset)}. {rises} {_answer(context, made)}",
        (
            Item(pictures.photo(made.pixels, _SIDE), made.note or _("natural"), made.score, alt=alt),
            Item(drawn, _("value by step"), alt=course),
        ),
        about={"layer": unit.layer, "channel": str(unit.channel)},
    )


def told(preset: Preset) -> str:
    """Return a way of ascent in a few words."""
    if preset.spectrum:
        return _(
            "natural: {steps} steps of Adam at {size:g}, total variation at {variation:g}",
            steps=preset.steps,
            size=preset.step_size,
            variation=preset.variation,
        )
    return _("Simonyan: {steps} steps of {size:g}, λ {l2:g}", steps=preset.steps, size=preset.step_size, l2=preset.l2)


def _images(context: Context, model: ClassModel) -> Iterator[Item]:
    for way, one in _ways(model).items():
        yield _item(context, model, one, way)
    if len(model.natural) > 1:
        mean = np.mean([one.pixels.astype(np.float64) for one in model.natural], axis=0).round().astype(np.uint8)
        name = context.classes[model.target]
        about = _("Mean of {n} images made for {name}.", n=len(model.natural), name=name)
        yield Item(pictures.photo(mean, _SIDE), _("mean of these"), alt=about)


def _ways(model: ClassModel) -> dict[str, Made]:
    """Return the images of a class by the names of the ways in which they were made."""
    several = len(model.natural) > 1
    names = [_("natural {number}", number=n) if several else _("natural") for n in range(1, len(model.natural) + 1)]
    return {"Simonyan": model.plain, **dict(zip(names, model.natural, strict=True))}


def _item(context: Context, model: ClassModel, one: Made, way: str) -> Item:
    answer, target = context.classes[one.predicted], context.classes[model.target]
    share = one.probability(model.target)
    label = (
        _("{way}: p {share:.3f}", way=way, share=share)
        if one.predicted == model.target
        else _("{way}: p {share:.3f}, taken for {answer}", way=way, share=share, answer=answer)
    )
    label += f" ({one.note})" if one.note else ""
    alt = _(
        "Image made for {name} ({way}): score {score:.3g}, probability {share:.3f}; norm {norm:.3g}, total variation "
        "{variation:.3g}, {outside:.0%} of its values beyond black and white.",
        name=target,
        way=told(one.preset),
        score=one.score,
        share=share,
        norm=one.image.norm().item(),
        variation=methods.total_variation(one.image[None]).item(),
        outside=one.outside,
    )
    return Item(pictures.photo(one.pixels, _SIDE), label, one.score, alt=alt)


def _course(model: ClassModel, name: str) -> Item:
    ways = _ways(model)
    drawn = pictures.curves({way: one.course for way, one in ways.items()}, xlabel=_("step"), ylabel=_("score"))
    ends = ", ".join(
        _("{way} from {first:.3g} to {last:.3g}", way=way, first=float(one.course[0]), last=one.score)
        for way, one in ways.items()
    )
    return Item(drawn, _("score by step"), alt=_("Course of the score of {name}: {ways}.", name=name, ways=ends))


def _nearest(context: Context, model: ClassModel, best: TopActivations, count: int) -> list[tuple[Patch, float]]:
    """Return the patches that excite the channels most which make the score of a class model, and how far they do.

    A patch counts by what a channel adds to the score, times its share of the most that the data excite the channel;
    an image is shown where it excites the channel that speaks loudest for it.
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
    image = decode(context.data.listing.files[patch.image])
    part = pictures.part(image, context.preprocess.box_in_original(image.size, patch.box), _SIDE)
    truth = context.classes[label] if label is not None else _("no class")
    alt = _(
        "Patch of {file}: of what makes the score of the image made for {name} it excites {share:.0%}.",
        file=file,
        name=name,
        share=likeness,
    )
    return Item(pictures.stacked([part], _SIDE), truth, likeness, file, alt)

"""One row of pictures for a class: the images that were made for it, how they came about, and what is like them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods, pictures
from auditor.collectors import TopActivations
from auditor.data.image import decode
from auditor.patch_rows import Patch, patches_of
from auditor.results import Gallery, Item

if TYPE_CHECKING:
    from auditor.class_models import ClassModel, Made
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
    answer = f"{context.classes[surest.predicted]} at {surest.probabilities[surest.predicted]:.1%}"
    said = [f"{told(model.plain.preset)}; {told(model.natural[0].preset)}.", f"The network's own answer is {answer}."]
    if best and near:
        said.append(f"Last: where the data excite the same channels of {best.layers[0].name} as the natural image.")
    return Gallery(f"{name}: {role}" if role else name, " ".join(said), items, about={"class": name})


def unit_row(context: Context, unit: Unit, made: Made) -> Gallery:
    """Show what was made for a unit, or for the whole map of a channel."""
    what = "the mean of its map" if unit.y is None else f"its value at row {unit.y} and column {unit.x}"
    title = f"{unit.layer}, channel {unit.channel}: made from nothing"
    answer = f"{context.classes[made.predicted]} at {made.probabilities[made.predicted]:.1%}"
    alt = f"Image made for channel {unit.channel} of {unit.layer}: {what} is {made.score:.3g}, before any rectifier."
    drawn = pictures.courses({"natural": made.course}, xlabel="step", ylabel="value")
    course = f"Course of channel {unit.channel} of {unit.layer}: from {made.course[0]:.3g} to {made.score:.3g}."
    return Gallery(
        title,
        f"{told(made.preset)}. What rises is {what}, before any rectifier. The network's own answer is {answer}.",
        (
            Item(pictures.photo(made.pixels, _SIDE), made.note or "natural", made.score, alt=alt),
            Item(drawn, "value by step", alt=course),
        ),
        about={"layer": unit.layer, "channel": str(unit.channel)},
    )


def told(preset: Preset) -> str:
    """Return a way of ascent in a few words."""
    if preset.spectrum:
        return f"natural: {preset.steps} steps of Adam at {preset.step_size:g}, total variation at {preset.variation:g}"
    return f"Simonyan: {preset.steps} steps of {preset.step_size:g}, λ {preset.l2:g}"


def _images(context: Context, model: ClassModel) -> Iterator[Item]:
    yield _item(context, model, model.plain, "Simonyan")
    for number, one in enumerate(model.natural, start=1):
        yield _item(context, model, one, f"natural {number}" if len(model.natural) > 1 else "natural")
    if len(model.natural) > 1:
        mean = np.mean([one.pixels.astype(np.float64) for one in model.natural], axis=0).round().astype(np.uint8)
        about = f"Mean of {len(model.natural)} images made for {context.classes[model.target]}."
        yield Item(pictures.photo(mean, _SIDE), "mean of these", alt=about)


def _item(context: Context, model: ClassModel, one: Made, way: str) -> Item:
    answer, target = context.classes[one.predicted], context.classes[model.target]
    share = one.probability(model.target)
    label = f"{way}: p {share:.3f}" + ("" if one.predicted == model.target else f", taken for {answer}")
    label += f" ({one.note})" if one.note else ""
    variation = methods.total_variation(one.image[None]).item()
    alt = (
        f"Image made for {target} ({told(one.preset)}): score {one.score:.3g}, probability {share:.3f}; norm "
        f"{one.image.norm().item():.3g}, total variation {variation:.3g}, {one.outside:.0%} of its values beyond "
        "black and white."
    )
    return Item(pictures.photo(one.pixels, _SIDE), label, one.score, alt=alt)


def _course(model: ClassModel, name: str) -> Item:
    natural = {f"natural {n}": one for n, one in enumerate(model.natural, start=1)}
    ways = {"Simonyan": model.plain, **(natural if len(natural) > 1 else {"natural": model.natural[0]})}
    drawn = pictures.courses({way: one.course for way, one in ways.items()}, xlabel="step", ylabel="score")
    ends = ", ".join(f"{way} from {one.course[0]:.3g} to {one.score:.3g}" for way, one in ways.items())
    return Item(drawn, "score by step", alt=f"Course of the score of {name}: {ends}.")


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
    truth = context.classes[label] if label is not None else "no class"
    alt = f"Patch of {file}: of what makes the score of the image made for {name} it excites {likeness:.0%}."
    return Item(pictures.stacked([part], _SIDE), truth, likeness, file, alt)

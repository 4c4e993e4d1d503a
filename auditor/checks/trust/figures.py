"""Figures and the table that show whether explanations depend on the network, and mark what it needs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import pictures
from auditor.checks.trust.faithfulness import Uncovered
from auditor.checks.trust.randomization import Maps, Redrawn, agreements
from auditor.language import _
from auditor.methods.attribution.names import GRAD_CAM, OCCLUSION, method_name
from auditor.pictures.samples import photo
from auditor.results import Figure, Gallery, Item, Table

if TYPE_CHECKING:
    from auditor.context import Context, Sample


def courses(found: Redrawn) -> Iterator[Figure]:
    """Draw how alike the maps stay while layers are re-drawn."""
    about = _("layers re-drawn, from the last on ({total} in all)", total=found.total)
    kinds = (
        (_("Rank correlation with the map as trained"), _("rank correlation"), found.correlation),
        (_("Structural similarity to the map as trained"), _("structural similarity"), found.structure),
    )
    for title, unit, values in kinds:
        series = {method_name(name): (found.counts, _medians(course)) for name, course in values.items()}
        ends = {name: course[-1] for name, (counts, course) in series.items()}
        yield Figure(
            title,
            _(
                "Each line is the median over the images. A line that stays up belongs to a method whose pictures "
                "don't show what these layers have learnt. What is judged is the rank correlation at the end; of what "
                "is known for heeding no last layers, the one at {count} layers is told.",
                count=found.counts[found.half],
            ),
            pictures.lines(series, xlabel=about, ylabel=unit),
            alt=_("{title}. With all layers re-drawn: {values}.", title=title, values=_listed(ends)),
        )


def curves(found: Uncovered) -> Iterator[Figure]:
    """Draw what becomes of the answer at deletion and at insertion."""
    chance = _("random order")
    kinds = (
        (_("Deletion"), _("share of the image taken away"), found.deletion, found.by_chance[0]),
        (_("Insertion"), _("share of the image brought back"), found.insertion, found.by_chance[1]),
    )
    for title, about, curves, by_chance in kinds:
        every = {**{method_name(name): curve for name, curve in curves.items()}, chance: by_chance.mean(0)}
        means = {name: curve[np.isfinite(curve).all(1)] for name, curve in every.items()}
        drawn = {name: curve.mean(0) for name, curve in means.items() if len(curve)}
        points = {name: (np.linspace(0, 1, len(curve)), curve) for name, curve in drawn.items()}
        yield Figure(
            title,
            _(
                "The probability of the answer, mean over the images, while what each method marks first goes first. "
                "At deletion the lowest curve is the best, at insertion the highest."
            ),
            pictures.lines(points, xlabel=about, ylabel=_("probability of the answer")),
            alt=_(
                "{title}. Mean height of the curves: {values}.",
                title=title,
                values=_listed({name: float(curve.mean()) for name, curve in drawn.items()}),
            ),
        )


def agreement(trained: Mapping[str, Maps]) -> Figure:
    """Draw how alike the methods' maps are."""
    values, names = agreements(trained), [method_name(name) for name in trained]
    pairs = {f"{names[i]} / {names[j]}": float(values[i, j]) for i in range(len(names)) for j in range(i)}
    return Figure(
        _("Agreement between methods"),
        _(
            "Rank correlation of the maps of the same answer, mean over the images: 1 where two methods order all "
            "places alike. That methods agree does not make them right, but where they don't, at most one of them is."
        ),
        pictures.matrix(values, names, xlabel="", ylabel=""),
        alt=_("Rank correlations of methods: {values}.", values=_listed(pairs)),
    )


def table(found: Uncovered, names: Sequence[str], forgotten: Redrawn | None) -> Table:
    """Return the numbers of each method, and of random orders."""
    chance = (_("random order"), None, None, None, *found.areas_by_chance)
    areas = {name: found.areas(name) for name in found.deletion}
    rows = [(method_name(name), *_forgotten(forgotten, name), *areas.get(name, (None, None))) for name in names]
    return Table(
        _("Methods"),
        _(
            "Medians over the images. ρ is the rank correlation with the map as trained once the last layer, the last "
            "half of the layers and all of them were re-drawn; deletion and insertion are areas under the curves."
        ),
        (_("method"), _("ρ, last layer"), _("ρ, half"), _("ρ, all"), _("deletion"), _("insertion")),
        (*rows, chance),
    )


def _forgotten(found: Redrawn | None, name: str) -> tuple[float | None, ...]:
    if found is None:
        return None, None, None
    course = _medians(found.correlation[name])
    return course[0], course[found.half], course[-1]


def _medians(values: NDArray[np.float64]) -> list[float]:
    """Return the median of each row over what is a number in it."""
    return [float(np.median(row[np.isfinite(row)])) if np.isfinite(row).any() else math.nan for row in values]


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(_("{name} {value:.2f}", name=name, value=value) for name, value in values.items())


def row(context: Context, sample: Sample, place: int, trained: Mapping[str, Maps], found: Redrawn) -> Gallery:
    """Show every method's map of an image beside its twins; each row begins with the photograph.

    Args:
        place: Of the image among those whose twins were kept.
    """
    answer = context.classes[sample.predicted]
    return Gallery(
        _("{file}: as trained and re-drawn", file=sample.name),
        _(
            "What each method shows for {answer}: by the network as trained, and by networks of which the last layer, "
            "half of the layers and all of them were drawn again, as before training. Each picture has its own scale.",
            answer=answer,
        ),
        tuple(item for name in trained for item in _of_method(context, sample, place, name, trained[name], found)),
        about={"image": sample.name, "class": answer},
    )


def _of_method(
    context: Context, sample: Sample, place: int, name: str, trained: Maps, found: Redrawn
) -> Iterator[Item]:
    yield photo(context, sample)
    yield _picture(sample, trained[place], name, method_name(name))
    for stop in sorted({0, found.half, len(found.counts) - 1}):
        count = found.counts[stop]
        label = _(
            "{method}, {count} of {total} layers re-drawn", method=method_name(name), count=count, total=found.total
        )
        yield _picture(sample, found.twins[name][stop, place], name, label)


def _picture(sample: Sample, values: Maps, method: str, label: str) -> Item:
    if method in (GRAD_CAM, OCCLUSION):
        return pictures.overlay_item(sample.pixels, np.maximum(values, 0), label, sample.name)
    return pictures.heat_item(values, label, sample.name)

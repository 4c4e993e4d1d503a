"""Figures and the table of trust: randomization curves, deletion and insertion curves, and agreement of methods."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import pictures
from auditor.checks.trust.faithfulness import DeletionCurves
from auditor.checks.trust.randomization import Maps, Randomization, agreements
from auditor.language import _, joined
from auditor.methods.attribution.names import GRAD_CAM, OCCLUSION, method_name
from auditor.pictures.samples import photo
from auditor.results import Figure, Gallery, Item, Table

if TYPE_CHECKING:
    from auditor.context import Context, Sample


def randomization_figures(found: Randomization) -> Iterator[Figure]:
    """Draw how similar the maps stay while layers are randomised."""
    xlabel = _("randomised layers, from the last on ({total} in all)", total=found.total)
    kinds = (
        (_("Rank correlation with the trained network's map"), _("rank correlation"), found.correlation),
        (_("Structural similarity to the trained network's map"), _("structural similarity"), found.structure),
    )
    for title, unit, by_method in kinds:
        medians = {method_name(name): _medians(values) for name, values in by_method.items()}
        yield Figure(
            title,
            _(
                "Each line is the median over the images. A line that stays high belongs to a method whose maps do "
                "not show what these layers have learnt. The rank correlation with all layers randomised is judged. "
                "Methods known to ignore the last layers are reported at {count} layers, not judged.",
                count=found.counts[found.half],
            ),
            pictures.lines({name: (found.counts, line) for name, line in medians.items()}, xlabel=xlabel, ylabel=unit),
            alt=_(
                "{title}. With all layers randomised: {values}.",
                title=title,
                values=_listed({name: line[-1] for name, line in medians.items()}),
            ),
        )


def deletion_figures(found: DeletionCurves) -> Iterator[Figure]:
    """Draw the mean curves of deletion and of insertion."""
    kinds = (
        (_("Deletion"), _("share of the image deleted"), found.deletion, found.random[0]),
        (_("Insertion"), _("share of the image inserted"), found.insertion, found.random[1]),
    )
    for title, xlabel, curves, random in kinds:
        every = {**{method_name(name): curve for name, curve in curves.items()}, _("random order"): random.mean(0)}
        finite = {name: curve[np.isfinite(curve).all(1)] for name, curve in every.items()}
        means = {name: curve.mean(0) for name, curve in finite.items() if len(curve)}
        points = {name: (np.linspace(0, 1, len(curve)), curve) for name, curve in means.items()}
        yield Figure(
            title,
            _(
                "Probability of the predicted class, mean over the images. The patches that a method ranks highest are "
                "replaced first. Lower is better at deletion, higher is better at insertion."
            ),
            pictures.lines(points, xlabel=xlabel, ylabel=_("probability of the predicted class")),
            alt=_(
                "{title}. Mean height of the curves: {values}.",
                title=title,
                values=_listed({name: float(curve.mean()) for name, curve in means.items()}),
            ),
        )


def agreement(trained: Mapping[str, Maps]) -> Figure:
    """Draw the rank correlations between the maps of different methods."""
    values, names = agreements(trained), [method_name(name) for name in trained]
    pairs = {
        joined(names[i], names[j], between=" / "): float(values[i, j]) for i in range(len(names)) for j in range(i)
    }
    return Figure(
        _("Agreement between methods"),
        _(
            "Rank correlation of two methods' maps of the predicted class, mean over the images. 1: both rank all "
            "pixels in the same order. Agreement does not make two methods right; if they disagree, at most one of "
            "them is right."
        ),
        pictures.matrix(values, names, xlabel="", ylabel=""),
        alt=_("Rank correlations of methods: {values}.", values=_listed(pairs)),
    )


def table(found: DeletionCurves, names: Sequence[str], randomization: Randomization | None) -> Table:
    """Return the numbers of each method, and of random orders."""
    random = (_("random order"), None, None, None, *found.random_areas)
    areas = {name: found.areas(name) for name in found.deletion}
    rows = [(method_name(name), *_at_steps(randomization, name), *areas.get(name, (None, None))) for name in names]
    return Table(
        _("Methods"),
        _(
            "Medians over the images. ρ is the rank correlation with the trained network's map after the last layer, "
            "the last half of the layers and all layers were randomised. Deletion and insertion are areas under the "
            "curves."
        ),
        (_("method"), _("ρ, last layer"), _("ρ, half"), _("ρ, all"), _("deletion"), _("insertion")),
        (*rows, random),
    )


def _at_steps(found: Randomization | None, name: str) -> tuple[float | None, ...]:
    """Return the median correlations with the last layer, half and all layers randomised."""
    if found is None:
        return None, None, None
    medians = _medians(found.correlation[name])
    return medians[0], medians[found.half], medians[-1]


def _medians(values: NDArray[np.float64]) -> list[float]:
    """Return the median of the finite values of each row."""
    return [float(np.median(row[np.isfinite(row)])) if np.isfinite(row).any() else math.nan for row in values]


def _listed(values: Mapping[str, float]) -> str:
    named = (_("{name} {value:.2f}", name=name, value=value) for name, value in values.items())
    return joined(*named, between=", ")


def row(context: Context, sample: Sample, number: int, trained: Mapping[str, Maps], found: Randomization) -> Gallery:
    """Show every method's map of an image, trained and randomised; each row begins with the photograph.

    Args:
        number: Of the image among those whose maps were kept.
    """
    predicted = context.classes[sample.predicted]
    return Gallery(
        _("{file}: trained and randomised", file=sample.name),
        _(
            "The map of {predicted} by each method: from the trained network, and with the last layer, half of the "
            "layers and all layers randomised. Each picture has its own scale.",
            predicted=predicted,
        ),
        tuple(item for name in trained for item in _of_method(context, sample, number, name, trained[name], found)),
        about={"image": sample.name, "class": predicted},
    )


def _of_method(
    context: Context, sample: Sample, number: int, name: str, trained: Maps, found: Randomization
) -> Iterator[Item]:
    yield photo(context, sample)
    yield _picture(sample, trained[number], name, method_name(name))
    for step in sorted({0, found.half, len(found.counts) - 1}):
        label = _(
            "{method}, {count} of {total} layers randomised",
            method=method_name(name),
            count=found.counts[step],
            total=found.total,
        )
        yield _picture(sample, found.maps[name][step, number], name, label)


def _picture(sample: Sample, values: Maps, method: str, label: str) -> Item:
    if method in (GRAD_CAM, OCCLUSION):
        return pictures.overlay_item(sample.pixels, np.maximum(values, 0), label, sample.name)
    return pictures.heat_item(values, label, sample.name)

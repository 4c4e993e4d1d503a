"""Find filters that are near zero, duplicated or never trained, and show them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.check import Check, Count, Layers, Share, Steps
from auditor.checks.filters import findings, rules
from auditor.checks.filters.figures import Order, norms, picture
from auditor.checks.filters.linear_duplicates import unit_findings
from auditor.checks.filters.noise import distances, linear_findings, noise_findings
from auditor.collectors import LabelScores, Predictions
from auditor.config.options import Range
from auditor.judging.grounds import WEIGHTS
from auditor.language import _, many, some
from auditor.model.convolutions import convolutions, in_other_dimensions, select
from auditor.results import Arrays, Figure, Finding, Table, Verdict
from auditor.statistics import precision_recall

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods.layers.kernels import Pair

_LABELS, _FEW = 20, 10  # labels, those of the most images, and images with and without one

Deviations = Annotated[float, Range(0)]


@Check.with_rules(*rules.RULES, needs=(WEIGHTS,))
def filters(
    context: Context,
    *,
    dead_share: Share = 0.01,
    dead_length: Share = 0.01,
    dead_warn: Share = 0.05,
    duplicate_cosine: Share = 0.95,
    duplicate_warn: Share = 0.05,
    noise_deviations: Deviations = 4.0,
    images: Count = 4,
    layers: Layers = "spread",
    order: Order = "norm",
    shown: Count = 64,
) -> Steps:
    """Which filters are dead, duplicated or untrained?

    The filters of a layer over the image are shown in colour, with zero as grey. Filters over a single input are shown
    one by one, all others input by input, from blue (negative) to red (positive). All filters of a layer share one
    scale, and their numbers are those that the findings name. A trained first layer shows edges, spots and colour
    contrasts; noise shows a layer that was hardly trained, and an empty tile shows a dead filter.

    Args:
        dead_share: a filter is near zero if its largest weight is under this share of the layer's largest.
        dead_length: a filter is also near zero if its norm is under this share of the layer's median norm.
        dead_warn: share of a layer's filters that are near zero over which the audit warns.
        duplicate_cosine: absolute cosine from which two filters are duplicates.
        duplicate_warn: share of a layer's filters that have a duplicate over which the audit warns.
        noise_deviations: standard deviations from random initialisation up to which a layer counts as untrained.
        images: number of explained images on which duplicates are confirmed.
        layers: names of the convolutions to show, or "spread" for a few from the first to the last, or "all"; all
            convolutions are judged.
        order: how filters are sorted: by "norm" (the largest first), by "similarity" or by "index".
        shown: largest number of filters shown of a layer.
    Source:
        Zeiler, Fergus: Visualizing and Understanding Convolutional Networks, ECCV 2014. Variance entropy: Gavrikov,
        Keuper: CNN Filter DB, CVPR 2022.
    """
    seen = None
    if context.images:
        seen = yield LabelScores() if context.task.multilabel else Predictions()
    module = context.network.module
    if flat := in_other_dimensions(module):
        yield Finding("filters.dead", Verdict.SKIP, _left_out(len(flat)), detail=some(flat))
    found = convolutions(module, context.network.layers)
    if not found:
        yield Finding("filters.dead", Verdict.SKIP, _("the network has no two-dimensional convolution"))
        yield from unit_findings(context, cosine=duplicate_cosine, warn=duplicate_warn, images=images)
        yield from linear_findings(module)
        return
    names = {layer.name for layer in select(found, layers)}
    every = [findings.measured(layer, dead_share, dead_length, duplicate_cosine) for layer in found]
    pairs, confirmed = findings.confirmed_pairs(context, every, duplicate_cosine, images)
    yield from findings.dead(every, dead_warn)
    yield from findings.duplicates(every, pairs, confirmed, duplicate_warn)
    yield from unit_findings(context, cosine=duplicate_cosine, warn=duplicate_warn, images=images)
    yield from noise_findings(
        [layer.randomness for layer in every], noise_deviations, trained=_is_trained(context, seen)
    )
    yield from linear_findings(module)
    yield from _shown(context, [layer for layer in every if layer.name in names], pairs, order, shown)
    yield from norms([layer for layer in found if layer.name in names], dead_length)
    yield _table(every)
    yield from distances([layer.randomness for layer in every], noise_deviations)


def _is_trained(context: Context, seen: Predictions | LabelScores | None) -> bool:
    """Return whether the whole 95 % interval of the accuracy, or of a label's average precision, is nearer to 1."""
    if isinstance(seen, LabelScores):
        return any(_is_known(seen.halves(label).sum(0)) for label in np.argsort(-seen.present)[:_LABELS])
    if seen is None or not seen.labelled:
        return False
    return methods.wilson(seen.right, seen.labelled)[0] > (1 + 1 / len(context.classes)) / 2


def _is_known(bins: NDArray[np.int64]) -> bool:
    absent, present = bins.sum(1).tolist()
    if min(absent, present) < _FEW:
        return False
    return bool(precision_recall.interval(bins)[0] > (1 + present / (present + absent)) / 2)


def _left_out(count: int) -> str:
    return many(
        "{count} convolution in one or three dimensions is not judged",
        "{count} convolutions in one or three dimensions are not judged",
        count,
    )


def _shown(
    context: Context, layers: Sequence[findings.Kernels], pairs: Mapping[str, list[Pair]], order: Order, most: int
) -> Iterator[Figure | Arrays]:
    bgr = context.preprocess.color == "bgr"
    for layer in layers:
        duplicated = findings.members(pairs[layer.name])
        yield picture(layer.layer, order=order, shown=most, dead=layer.dead.tolist(), duplicated=duplicated, bgr=bgr)
        yield Arrays({f"{layer.name}/kernels": layer.layer.kernels})


def _table(layers: Sequence[findings.Kernels]) -> Table:
    rows = []
    for layer in layers:
        shape = " x ".join(str(s) for s in layer.values.shape[1:])
        pairs = _("not judged") if layer.pairs is None else len(layer.pairs)
        median = float(np.median(methods.norms(layer.values)))
        rows.append((layer.name, len(layer.values), shape, median, len(layer.dead), pairs))
    return Table(
        _("Filters by layer"),
        _("Median norm of a layer's filters, the number of filters near zero, and the number of pairs of duplicates."),
        (_("layer"), _("filters"), _("size"), _("median norm"), _("near zero"), _("duplicates")),
        tuple(rows),
    )

"""Compare how strongly maps respond at their border and inside."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.language import _, joined, marked, numeral, some
from auditor.methods.layers.borders import SMALLEST
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from auditor.context import Context
    from auditor.methods import Border
    from auditor.model.layers import Layer

_RULE = "activations.border"

LeftOver = Mapping[str, tuple[int, int]]
"""Rows and columns at the end of its input that a layer's stride leaves out, by layer."""


def border_findings(context: Context, layers: Sequence[Layer]) -> Iterator[Finding | Table]:
    """Measure how strongly maps respond at their border on the explained images, and what strides leave out."""
    from auditor.model.leftovers import leftovers

    large = [layer for layer in layers if layer.spatial and min(layer.output[1:]) >= SMALLEST]
    strengths = _strengths(context, large) if large else {}
    yield from compared(strengths, leftovers(context.network) if large else {})


def compared(strengths: Mapping[str, NDArray[np.float32]], left: LeftOver) -> Iterator[Finding | Table]:
    """Report the layer whose border differs most from its inside, and a table of all layers.

    Args:
        strengths: By layer, the mean of the absolute outputs over the channels, `[n, h, w]`; only of maps with
            `SMALLEST` rows and columns or more.
        left: Rows and columns that strides leave out.
    """
    if not strengths:
        yield Finding(_RULE, Verdict.SKIP, _("no map has at least {rows} rows and columns", rows=SMALLEST))
        return
    found = {name: ratio for name, maps in strengths.items() if (ratio := methods.border(maps))}
    if not found:
        message = _("fewer than 2 explained images respond both at the border and inside")
        yield Finding(_RULE, Verdict.SKIP, message)
        return
    yield _finding(found, left)
    yield _table(found)


def _strengths(context: Context, layers: Sequence[Layer]) -> dict[str, NDArray[np.float32]]:
    """Return by layer the mean absolute output over its channels, behind its rectifier, `[n, h, w]`."""
    import torch

    maps: dict[str, list[NDArray[np.float32]]] = {layer.name: [] for layer in layers}
    for start in range(0, len(context.samples), context.batch_size):
        batch = torch.stack([sample.tensor for sample in context.samples[start : start + context.batch_size]])
        seen = context.network.observe(batch, [layer.tap for layer in layers])
        for layer in layers:
            strength = np.abs(layer.rectify(seen[layer.tap].float().cpu().numpy())).mean(1)
            maps[layer.name].append(strength[np.isfinite(strength).all((1, 2))])
    return {name: np.concatenate(own) for name, own in maps.items()}


def _finding(found: Mapping[str, Border], left: LeftOver) -> Finding:
    name, most = max(found.items(), key=lambda pair: abs(math.log(pair[1].ratio)))
    padding = _("Padding at the border is not part of any image.")
    out = [f"{layer} ({rows}, {cols})" for layer, (rows, cols) in left.items()]
    strides = _("Rows and columns that a stride leaves out at the end: {layers}.", layers=some(out, 6)) if out else ""
    return Finding(
        _RULE,
        Verdict.INFO,
        _("maps respond {ratio:.2f} times as strongly at the border as inside", ratio=most.ratio),
        subject=name,
        value=most.ratio,
        unit=marked("times"),
        n=most.images,
        interval=most.interval,
        detail=joined(padding, strides),
    )


def _table(found: Mapping[str, Border]) -> Table:
    return Table(
        _("Border and inside"),
        _(
            "Strength of the outermost ring of each layer's maps as a multiple of their inside, on the explained "
            "images: mean and 95 % interval. A ratio far from 1 shows the effect of padding, or of what lies at the "
            "border of the images."
        ),
        (_("layer"), _("images"), _("border / inside"), _("95 %")),
        tuple(
            (
                name,
                one.images,
                numeral(one.ratio, ".2f"),
                _("{low:.2f} to {high:.2f}", low=one.interval[0], high=one.interval[1]),
            )
            for name, one in found.items()
        ),
    )

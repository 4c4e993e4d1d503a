"""Pictures of the filters of a layer: in colour, one by one, or input by input, all in one scale."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from auditor import methods, pictures
from auditor.results import Figure, Scale

if TYPE_CHECKING:
    from auditor.model.convolutions import Convolution

Order = Literal["norm", "similarity", "index"]
Values = NDArray[np.float32]

_GREYS = tuple(f"#{level:02x}{level:02x}{level:02x}" for level in (*range(0, 256, 4), 255))
_DEAD, _TWIN = "#c0392b", "#0072b2"
_INPUTS = {False: 16, True: 32}  # rows of a grid: of kernels, or of single weights
_ACROSS = {False: 32, True: 64}  # columns
_WITHIN = 0.99  # of the weights that are shown lie within the colours
_PLOTS = 6
_ORDERS = {
    "norm": "the longest first",
    "similarity": "each beside the one most like it",
    "index": "by number",
}


def picture(
    layer: Convolution,
    *,
    order: Order,
    shown: int,
    dead: Collection[int],
    twins: Collection[int],
    bgr: bool,
) -> Figure:
    """Show filters of a layer under their numbers: those that a finding names, and the longest of the others.

    Args:
        shown: The most filters of one picture.
        dead, twins: Filters near zero, and filters with a duplicate.
        bgr: The network takes its colours as blue, green, red.
    """
    kernels = np.nan_to_num(layer.kernels, nan=0.0, posinf=0.0, neginf=0.0)
    _, inputs, height, width = kernels.shape
    single = height * width == 1
    rgb = inputs == 3 and layer.groups == 1 and not single
    grid = inputs > 1 and not rgb
    numbers = chosen(kernels, order, min(shown, _ACROSS[single]) if grid else shown, [*dead, *twins])
    values = kernels[numbers]
    limit = float(np.quantile(np.abs(values), _WITHIN)) or float(np.abs(values).max())
    marks = dict.fromkeys(twins, _TWIN) | dict.fromkeys(dead, _DEAD)
    marks = {number: marks[number] for number in numbers if number in marks}
    if grid:
        rows = _longest_inputs(values, _INPUTS[single])
        drawn = pictures.channel_grid(values[:, rows], limit, numbers=numbers, inputs=rows, marks=marks)
        told = f"One column a filter, one row an input{_told_inputs(layer, rows)}"
    else:
        colours = values[:, ::-1] if bgr else values
        tiles = pictures.coloured(colours, limit) if rgb else pictures.weighted(values[:, 0], limit)
        drawn = pictures.numbered(tiles, numbers, marks)
        over = "in the colours that it looks for, grey where it is zero" if rgb else "over its one input"
        told = f"Each filter {over}, its number below"
    return Figure(
        f"{layer.name}: {_size(layer)}",
        f"{told}; {_told_numbers(layer, numbers, order)}. {_told_marks(marks)}One scale for all; "
        "the 1 % of weights beyond it take its last colour.",
        drawn,
        alt=f"{len(numbers)} filters of layer {layer.name}, weights from {-limit:.3g} to {limit:.3g}.",
        scale=_scale(limit, grey=rgb),
        about={"layer": layer.name},
    )


def lengths(layers: Sequence[Convolution], share: float) -> Iterator[Figure]:
    """Plot the lengths of each layer's filters as bars.

    Args:
        share: Of a layer's median length, under which a filter is near zero.
    """
    for start in range(0, len(layers), _PLOTS):
        norms = {layer.name: methods.norms(np.nan_to_num(layer.kernels)) for layer in layers[start : start + _PLOTS]}
        middle = {name: float(np.median(values)) for name, values in norms.items()}
        yield Figure(
            "Lengths of the filters",
            "Each bar is one filter, the longest first. Fresh draws are of much the same length; where the bars fall "
            f"steeply some filters do little. Red is what lies under {100 * share:g} % of the layer's median length.",
            pictures.ranked(
                norms,
                xlabel="filter, the longest first",
                ylabel="length (Euclidean norm)",
                limits={name: share * value for name, value in middle.items()},
            ),
            alt="; ".join(
                f"{name}: {len(values)} filters, length {values.min():.3g} to {values.max():.3g}"
                for name, values in norms.items()
            ),
        )


def chosen(kernels: Values, order: Order, count: int, named: Sequence[int]) -> list[int]:
    """Return the numbers of at most `count` kernels, in an order: half of them may be `named`, the rest the longest."""
    norms = methods.norms(kernels)
    first = sorted(set(named))[: max(count // 2, count - len(kernels) + len(set(named)))]
    others = [i for i in np.argsort(-norms, kind="stable").tolist() if i not in first]
    taken = np.array(sorted([*first, *others[: count - len(first)]]), dtype=np.int64)
    if order == "norm":
        taken = taken[np.argsort(-norms[taken], kind="stable")]
    elif order == "similarity":
        taken = taken[methods.by_similarity(kernels[taken])]
    return [int(number) for number in taken]


def _longest_inputs(values: Values, count: int) -> list[int]:
    norms = methods.norms(values.transpose(1, 0, 2, 3))
    return sorted(np.argsort(-norms, kind="stable")[:count].tolist())


def _size(layer: Convolution) -> str:
    count, inputs, height, width = layer.kernels.shape
    if layer.depthwise:
        return f"{count} filters of {height} x {width}, each with an input of its own"
    grouped = f" each, in {layer.groups} groups" if layer.groups > 1 else ""
    return f"{count} filters of {height} x {width} over {inputs} input{'s' * (inputs > 1)}{grouped}"


def _told_inputs(layer: Convolution, rows: Sequence[int]) -> str:
    inputs = layer.kernels.shape[1]
    of_group = " of its group" if layer.groups > 1 else ""
    return f"{of_group} (the {len(rows)} with the largest weights of {inputs})" if len(rows) < inputs else of_group


def _told_numbers(layer: Convolution, numbers: Sequence[int], order: Order) -> str:
    count = len(layer.kernels)
    if len(numbers) == count:
        return f"all {count}, {_ORDERS[order]}"
    return f"{len(numbers)} of {count}, the longest and some that are marked; {_ORDERS[order]}"


def _told_marks(marks: Mapping[int, str]) -> str:
    told = {_DEAD: "red numbers are near zero", _TWIN: "blue numbers have a duplicate"}
    found = [text for ink, text in told.items() if ink in marks.values()]
    return f"{'; '.join(found).capitalize()}. " if found else ""


def _scale(limit: float, *, grey: bool) -> Scale | None:
    if not limit:
        return None
    return Scale(-limit, limit, _GREYS, "weight, by colour") if grey else pictures.signed_scale(limit, "weight")

"""Pictures of the filters of a layer: in colour, one by one, or input by input, all in one scale."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditor import methods, pictures
from auditor.language import _, chained, headed, many, marked
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
    "norm": marked("the longest first"),
    "similarity": marked("each beside the one most like it"),
    "index": marked("by number"),
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
    inputs, height, width = kernels.shape[1:]
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
        told = _told_inputs(layer, rows)
    else:
        colours = values[:, ::-1] if bgr else values
        tiles = pictures.coloured(colours, limit) if rgb else pictures.weighted(values[:, 0], limit)
        drawn = pictures.numbered(tiles, numbers, marks)
        told = (
            _("Each filter in the colours that it looks for, grey where it is zero, its number below")
            if rgb
            else _("Each filter over its one input, its number below")
        )
    said = (
        f"{chained(told, _told_numbers(layer, numbers, order))}.",
        *_told_marks(marks),
        _("One scale for all; the 1 % of weights beyond it take its last colour."),
    )
    return Figure(
        headed(layer.name, _size(layer)),
        " ".join(said),
        drawn,
        alt=_(
            "{n} filters of layer {layer}, weights from {low:.3g} to {high:.3g}.",
            n=len(numbers),
            layer=layer.name,
            low=-limit,
            high=limit,
        ),
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
            _("Lengths of the filters"),
            _(
                "Each bar is one filter, the longest first. Fresh draws are of much the same length; where the bars "
                "fall steeply some filters do little. Red is what lies under {percent:g} % of the layer's median "
                "length.",
                percent=100 * share,
            ),
            pictures.ranked(
                norms,
                xlabel=_("filter, the longest first"),
                ylabel=_("length (Euclidean norm)"),
                limits={name: share * value for name, value in middle.items()},
            ),
            alt=chained(*(_told_lengths(name, values) for name, values in norms.items())),
        )


def _told_lengths(name: str, norms: NDArray[np.floating[Any]]) -> str:
    return _(
        "{layer}: {n} filters, length {low:.3g} to {high:.3g}",
        layer=name,
        n=len(norms),
        low=float(norms.min()),
        high=float(norms.max()),
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
    size = {"filters": count, "height": height, "width": width}
    if layer.depthwise:
        return _("{filters} filters of {height} x {width}, each with an input of its own", **size)
    if layer.groups > 1:
        return many(
            "{filters} filters of {height} x {width} over {inputs} input each, in {groups} groups",
            "{filters} filters of {height} x {width} over {inputs} inputs each, in {groups} groups",
            inputs,
            inputs=inputs,
            groups=layer.groups,
            **size,
        )
    return many(
        "{filters} filters of {height} x {width} over {inputs} input",
        "{filters} filters of {height} x {width} over {inputs} inputs",
        inputs,
        inputs=inputs,
        **size,
    )


def _told_inputs(layer: Convolution, rows: Sequence[int]) -> str:
    inputs, shown = layer.kernels.shape[1], len(rows)
    if shown == inputs:
        return (
            _("One column a filter, one row an input of its group")
            if layer.groups > 1
            else _("One column a filter, one row an input")
        )
    message = (
        marked("One column a filter, one row an input of its group (the {shown} with the largest weights of {inputs})")
        if layer.groups > 1
        else marked("One column a filter, one row an input (the {shown} with the largest weights of {inputs})")
    )
    return _(message, shown=shown, inputs=inputs)


def _told_numbers(layer: Convolution, numbers: Sequence[int], order: Order) -> str:
    shown, count, by = len(numbers), len(layer.kernels), _(_ORDERS[order])
    if shown == count:
        return _("all {count}, {order}", count=count, order=by)
    return _("{shown} of {count}, the longest and some that are marked; {order}", shown=shown, count=count, order=by)


def _told_marks(marks: Mapping[int, str]) -> Iterator[str]:
    dead, twin = _DEAD in marks.values(), _TWIN in marks.values()
    if dead and twin:
        yield _("Red numbers are near zero; blue numbers have a duplicate.")
    elif dead:
        yield _("Red numbers are near zero.")
    elif twin:
        yield _("Blue numbers have a duplicate.")


def _scale(limit: float, *, grey: bool) -> Scale | None:
    if not limit:
        return None
    return Scale(-limit, limit, _GREYS, _("weight, by colour")) if grey else pictures.signed_scale(limit, _("weight"))

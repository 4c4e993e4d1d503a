"""Pictures of the filters of a layer: in colour, one by one, or input by input, all in one scale."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from auditor import methods, pictures
from auditor.language import _, chained, headed, joined, many, marked
from auditor.results import Figure, Scale

if TYPE_CHECKING:
    from auditor.model.convolutions import Convolution

Order = Literal["norm", "similarity", "index"]
Values = NDArray[np.float32]

_GREYS = tuple(f"#{level:02x}{level:02x}{level:02x}" for level in (*range(0, 256, 4), 255))
_DEAD, _DUPLICATED = "#c0392b", "#0072b2"
_INPUTS = {False: 16, True: 32}  # rows of a grid: of kernels, or of single weights
_ACROSS = {False: 32, True: 64}  # columns
_WITHIN = 0.99  # share of the shown weights that lie within the range of the colours
_PLOTS = 6
_ORDERS = {
    "norm": marked("the largest norm first"),
    "similarity": marked("each beside the most similar one"),
    "index": marked("by index"),
}


def picture(
    layer: Convolution,
    *,
    order: Order,
    shown: int,
    dead: Collection[int],
    duplicated: Collection[int],
    bgr: bool,
) -> Figure:
    """Show filters of a layer with their indices: those that a finding names, and the largest of the others.

    Args:
        shown: Largest number of filters in the picture.
        dead: Indices of filters near zero.
        duplicated: Indices of filters that have a duplicate.
        bgr: Whether the order of the network's colours is blue, green, red.
    """
    kernels = np.nan_to_num(layer.kernels, nan=0.0, posinf=0.0, neginf=0.0)
    coloured, single = _is_coloured(layer), kernels[0, 0].size == 1
    grid = kernels.shape[1] > 1 and not coloured
    numbers = chosen(kernels, order, min(shown, _ACROSS[single]) if grid else shown, [*dead, *duplicated])
    values = kernels[numbers]
    limit = float(np.quantile(np.abs(values), _WITHIN)) or float(np.abs(values).max())
    colours = dict.fromkeys(duplicated, _DUPLICATED) | dict.fromkeys(dead, _DEAD)
    marks = {number: colours[number] for number in numbers if number in colours}
    if grid:
        rows = _largest_inputs(values, _INPUTS[single])
        drawn = pictures.channel_grid(values[:, rows], limit, numbers=numbers, inputs=rows, marks=marks)
        layout = _grid_layout(layer, rows)
    else:
        drawn = pictures.numbered(_tiles(values, limit, coloured=coloured, bgr=bgr), numbers, marks)
        layout = _tile_layout(coloured=coloured)
    parts = (
        joined(chained(layout, _selection(layer, numbers, order)), ".", between=""),
        *_marked_numbers(marks),
        _one_scale(),
    )
    return Figure(
        headed(layer.name, _size(layer)),
        joined(*parts),
        drawn,
        alt=_alt(layer, numbers, limit),
        scale=_scale(limit, grey=coloured),
        about={"layer": layer.name},
    )


def norms(layers: Sequence[Convolution], share: float) -> Iterator[Figure]:
    """Plot the norms of each layer's filters as bars.

    Args:
        share: Share of a layer's median norm under which a filter is near zero.
    """
    for start in range(0, len(layers), _PLOTS):
        found = {layer.name: methods.norms(np.nan_to_num(layer.kernels)) for layer in layers[start : start + _PLOTS]}
        yield Figure(
            _("Norms of the filters"),
            _(
                "Each bar is one filter, the largest norm first. Filters at random initialisation have similar norms. "
                "Where the bars fall steeply, some filters have little effect. Red bars are under {percent:g} % of the "
                "layer's median norm.",
                percent=100 * share,
            ),
            pictures.ranked(
                found,
                xlabel=_("filter, the largest norm first"),
                ylabel=_("Euclidean norm"),
                limits={name: share * float(np.median(values)) for name, values in found.items()},
            ),
            alt=chained(*(_range_of_norms(name, values) for name, values in found.items())),
        )


def _range_of_norms(name: str, values: NDArray[np.floating[Any]]) -> str:
    return _(
        "{layer}: {n} filters, norms from {low:.3g} to {high:.3g}",
        layer=name,
        n=len(values),
        low=float(values.min()),
        high=float(values.max()),
    )


def chosen(kernels: Values, order: Order, count: int, named: Sequence[int]) -> list[int]:
    """Return the indices of at most `count` kernels in an order: up to half are `named`, the rest have large norms."""
    norms = methods.norms(kernels)
    first = sorted(set(named))[: max(count // 2, count - len(kernels) + len(set(named)))]
    others = [i for i in np.argsort(-norms, kind="stable").tolist() if i not in first]
    taken = np.array(sorted([*first, *others[: count - len(first)]]), dtype=np.int64)
    if order == "norm":
        taken = taken[np.argsort(-norms[taken], kind="stable")]
    elif order == "similarity":
        taken = taken[methods.by_similarity(kernels[taken])]
    return [int(number) for number in taken]


def _is_coloured(layer: Convolution) -> bool:
    """Return whether kernels can be shown as small colour images: they have three inputs and several pixels."""
    return layer.kernels.shape[1] == 3 and layer.groups == 1 and layer.kernels[0, 0].size > 1


def _largest_inputs(values: Values, count: int) -> list[int]:
    norms = methods.norms(values.transpose(1, 0, 2, 3))
    return sorted(np.argsort(-norms, kind="stable")[:count].tolist())


def _tiles(values: Values, limit: float, *, coloured: bool, bgr: bool) -> NDArray[np.uint8]:
    if not coloured:
        return pictures.weighted(values[:, 0], limit)
    return pictures.coloured(values[:, ::-1] if bgr else values, limit)


def _size(layer: Convolution) -> str:
    count, inputs, height, width = layer.kernels.shape
    size = {"filters": count, "height": height, "width": width}
    if layer.depthwise:
        return _("{filters} filters of {height} x {width}, one input each", **size)
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


def _tile_layout(*, coloured: bool) -> str:
    if coloured:
        return _("Each filter in the colours that it responds to, grey where it is zero, with its index below")
    return _("Each filter over its single input, with its index below")


def _grid_layout(layer: Convolution, rows: Sequence[int]) -> str:
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


def _selection(layer: Convolution, numbers: Sequence[int], order: Order) -> str:
    shown, count, by = len(numbers), len(layer.kernels), _(_ORDERS[order])
    if shown == count:
        return _("all {count} filters, {order}", count=count, order=by)
    return _(
        "{shown} of {count} filters, those with the largest norms and those that a finding names; {order}",
        shown=shown,
        count=count,
        order=by,
    )


def _marked_numbers(marks: Mapping[int, str]) -> Iterator[str]:
    dead, duplicated = _DEAD in marks.values(), _DUPLICATED in marks.values()
    if dead and duplicated:
        yield _("Red: near zero. Blue: has a duplicate.")
    elif dead:
        yield _("Red: near zero.")
    elif duplicated:
        yield _("Blue: has a duplicate.")


def _one_scale() -> str:
    return _("All filters share one scale; the largest 1 % of weights are shown in its last colours.")


def _alt(layer: Convolution, numbers: Sequence[int], limit: float) -> str:
    return _(
        "{n} filters of layer {layer}, weights from {low:.3g} to {high:.3g}.",
        n=len(numbers),
        layer=layer.name,
        low=-limit,
        high=limit,
    )


def _scale(limit: float, *, grey: bool) -> Scale | None:
    if not limit:
        return None
    return Scale(-limit, limit, _GREYS, _("weight, by colour")) if grey else pictures.signed_scale(limit, _("weight"))

"""Rules for operators that move, concatenate or reshape values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from auditor.model.fields.axes import Reach, Untraceable
from auditor.model.fields.call import Call
from auditor.model.fields.fields import Field, Sight, joined


def moved(call: Call) -> Field | list[Field]:
    """Apply an operator that only moves values to the fields, too."""
    return _moves(call, lambda values: call.func(values, *call.options))


def indexed(call: Call) -> Field | list[Field]:
    """Apply an indexing operator to the fields, too.

    Raises:
        Untraceable: An index depends on the image.
    """
    if call.fields("indices"):
        raise Untraceable("an index made of the image")
    indices = [index if index is None else index.cpu() for index in call.arguments["indices"]]
    return _moves(call, lambda values: call.func(values, indices))


def _moves(call: Call, move: Callable[[Tensor], Any]) -> Field | list[Field]:
    shape = call.input.shape
    if call.func._schema.returns[0].type.kind() == "TensorType":
        return call.field.each(lambda reach: reach.moved(lambda values: move(values.expand(shape))))

    def piece(index: int) -> Field:
        return call.field.each(lambda reach: reach.moved(lambda values: move(values.expand(shape))[index]))

    return [piece(index) for index in range(len(call.outputs))]


def glu(call: Call) -> Field:
    """Return the field of one half of the channels multiplied with the sigmoid of the other half."""
    (dim,) = call.dims()

    def half(index: int) -> Field:
        return call.field.each(lambda reach: reach.moved(lambda v: v.expand(call.input.shape).chunk(2, dim)[index]))

    return joined([half(0), half(1)], call.ndim)


def reshaped(call: Call) -> Field:
    """Return the field of a view; only the dimensions that are split or merged are expanded."""
    old, new = list(call.input.shape), list(call.outputs[0].shape)
    groups = _groups(old, new)

    def move(values: Tensor) -> Tensor:
        spread, target = list(values.shape), [1] * len(new)
        for before, after in groups:
            if any(values.shape[dim] > 1 for dim in before):
                spread[before.start : before.stop] = old[before.start : before.stop]
                target[after.start : after.stop] = new[after.start : after.stop]
        return values.expand(spread).reshape(target)

    return call.field.each(lambda reach: reach.moved(move))


def _groups(old: list[int], new: list[int]) -> list[tuple[range, range]]:
    """Return the shortest runs of dimensions with equally many values before and after; the rest has size 1."""
    groups: list[tuple[range, range]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        end, until = i + 1, j + 1
        while (left := prod(old[i:end])) != (right := prod(new[j:until])):
            end, until = (end, until + 1) if left > right else (end + 1, until)
        groups.append((range(i, end), range(j, until)))
        i, j = end, until
    return groups


def concatenated(call: Call) -> Field:
    """Return the field of tensors concatenated along a dimension."""
    tensors = call.arguments["tensors"]
    return _side_by_side([t.shape for t in tensors], [call.seen(t) for t in tensors], call.arguments["dim"] % call.ndim)


def stacked(call: Call) -> Field:
    """Return the field of tensors stacked along a new dimension."""
    tensors, dim = call.arguments["tensors"], call.arguments["dim"] % call.ndim

    def raised(field: Field | None) -> Field | None:
        return field and field.each(lambda reach: reach.moved(lambda values: values.unsqueeze(dim)))

    return _side_by_side([t.unsqueeze(dim).shape for t in tensors], [raised(call.seen(t)) for t in tensors], dim)


def _side_by_side(shapes: Sequence[torch.Size], fields: Sequence[Field | None], dim: int) -> Field:
    """Return the field of a concatenation: the union over channels, or each position's own field along an image axis.

    Raises:
        Untraceable: The concatenation has no such field.
    """
    known = [field for field in fields if field is not None]
    if not any(dim in field.axes for field in known):
        if _are_lines(known):
            raise Untraceable("single rows or columns that are concatenated")
        return joined(known, len(shapes[0]))
    if any(len(field.sights) > 1 for field in known):
        raise Untraceable("products that are concatenated")
    sights = [(field or Field.blind(len(shapes[0]))).sights[0] for field in fields]
    rows = _row([sight.rows for sight in sights], shapes, dim)
    cols = _row([sight.cols for sight in sights], shapes, dim)
    return Field((Sight(rows, cols),), any(field.gated for field in known))


def _are_lines(fields: Sequence[Field]) -> bool:
    """Return whether several fields are single rows or columns, and differ."""
    single = [sight for field in fields for sight in field.sights]
    rows = {int(sight.rows.place.flatten()[0]) for sight in single if not sight.rows.axes}
    cols = {int(sight.cols.place.flatten()[0]) for sight in single if not sight.cols.axes}
    return len(rows) > 1 or len(cols) > 1


def _row(reaches: Sequence[Reach], shapes: Sequence[torch.Size], dim: int) -> Reach:
    def together(values: Sequence[Tensor]) -> Tensor:
        return torch.cat([part.expand(shape) for part, shape in zip(values, shapes, strict=True)], dim)

    first, last = together([r.first for r in reaches]), together([r.last for r in reaches])
    grids = {reach.grid for reach in reaches if reach.grid is not None}
    row = Reach(first, last, together([r.place for r in reaches]), grids.pop() if len(grids) == 1 else None)
    return row.moved(lambda values: values)

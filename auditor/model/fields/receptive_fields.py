"""Receptive fields: the pixels of the image that can change a unit of a layer.

They are computed for every unit, exact to the pixel, from the operators that run: kernel, stride, padding, dilation,
and the union over branches. Size, stride and offset are defined as by Araujo, Norris and Sim 2019. The intervals also
account for the borders of the image. A layer behind an operator that can't be traced is probed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from auditor.errors import UsageError, did_you_mean
from auditor.model.fields.axes import NOTHING, Grid, Reach
from auditor.model.fields.fields import Field
from auditor.model.fields.probing import Contact, probe
from auditor.model.fields.tracer import fields_of
from auditor.model.opaque import is_opaque
from auditor.results import FieldFacts

Interval = tuple[int, int]  # first and last pixel; for an empty field the first is greater than the last


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The receptive field of a layer's units, in pixels of the image; pairs are rows, columns.

    `size`, `stride` and `offset` describe an image without borders. If the fields are not regular, for example after
    an upsampling, they are the largest size, the median stride and the first pixel of unit 0.

    Attributes:
        offset: The first pixel of unit 0's field; negative if the field begins in the padding.
        global_: Each unit sees the whole image, for example through a pooled gate or an attention.
        rows, cols: The pixels inside the image that each row and each column of units sees.
        found: Whether the operators were traced, or the network was probed with NaN.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    offset: tuple[int, int]
    global_: bool
    rows: tuple[Interval, ...]
    cols: tuple[Interval, ...]
    found: Literal["traced", "probed"] = "traced"

    @property
    def local(self) -> bool:
        """Whether the fields describe the local path only, without the part that sees the whole image."""
        return self.global_ and self.found == "traced"

    def box(self, row: int, col: int) -> tuple[int, int, int, int]:
        """Return the edges of a unit's field inside the image, in pixels: left, top, right, bottom, for a crop."""
        (top, bottom), (left, right) = self.rows[row], self.cols[col]
        if bottom < top or right < left:  # the unit sees padding only
            return 0, 0, 0, 0
        return left, top, right + 1, bottom + 1

    def facts(self) -> FieldFacts:
        """Return what an audit records about the field."""
        return FieldFacts(self.size, self.stride, self.offset, self.global_)


def receptive_field(model: nn.Module, layer: str, input_size: Sequence[int]) -> ReceptiveField:
    """Return the receptive field of the units of a layer.

    ```python
    field = receptive_field(model, "layer2.0.conv1", (3, 224, 224))
    left, top, right, bottom = field.box(row, col)
    ```

    Args:
        layer: A module's name; if the module runs several times, the last run counts.
        input_size: Channels, rows and columns of the image; with three channels, rows and columns are enough.

    Raises:
        UsageError: There is no such layer, or it gives no maps.
    """
    return receptive_fields(model, _example(model, input_size), [layer])[layer]


def receptive_fields(
    model: nn.Module, example: Tensor, names: Iterable[str] | None = None
) -> dict[str, ReceptiveField]:
    """Return the receptive fields of several layers: the traced ones in execution order, then the probed ones.

    Args:
        example: One image, `[1, c, h, w]`, on the model's device.
        names: Names of modules; None for all that give maps.

    Raises:
        UsageError: The model has no module of a name, or the module gives no maps.
    """
    chosen = None if names is None else _known(model, names)
    with _evaluating(model):
        traced, unknown = _traced(model, example, chosen)
        found = {**traced, **_probed(model, example, unknown)}
    missing = [name for name in chosen or () if name not in found]
    if missing:
        raise UsageError(f"layer {missing[0]!r} gives no maps, so it has no receptive field")
    return found


def traced_fields(model: nn.Module, example: Tensor) -> dict[str, ReceptiveField]:
    """Return the receptive fields of all modules that can be traced; this takes one forward pass."""
    with _evaluating(model):
        return _traced(model, example, None)[0]


def _example(model: nn.Module, input_size: Sequence[int]) -> Tensor:
    if len(input_size) not in (2, 3):
        raise UsageError(f"input_size is {tuple(input_size)}, but has to be (channels, rows, columns)")
    shape = (*(3,)[: 3 - len(input_size)], *input_size)
    weights = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros(1, *shape, device=weights.device, dtype=weights.dtype)


def _known(model: nn.Module, names: Iterable[str]) -> list[str]:
    modules, names = dict(model.named_modules()), list(dict.fromkeys(names))
    for name in names:
        if name not in modules:
            raise UsageError(f"the network has no layer {name!r}{did_you_mean(name, modules)}")
    return names


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    if training:  # `eval` may be the network's own, and do more: it throws caches away
        model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def _traced(
    model: nn.Module, example: Tensor, names: Sequence[str] | None
) -> tuple[dict[str, ReceptiveField], list[str]]:
    """Return the fields that can be traced, and the names of the modules with maps that can't."""
    if names is None:
        names = _modules(model)
    traced, unknown = {}, []
    for name, (field, shape) in fields_of(model, example, names).items():
        if field is None:
            unknown.append(name)
        elif (whole := _of_map(field, shape)) is not None:
            traced[name] = whole
    return traced, unknown


def _modules(model: nn.Module) -> list[str]:
    """Return the names of all modules; none of a network that does not show its layers."""
    return [] if is_opaque(model) else [name for name, _ in model.named_modules() if name]


def _of_map(field: Field, shape: torch.Size) -> ReceptiveField | None:
    """Return the receptive field of a tensor with one dimension for rows and one for columns, None for others."""
    axes = _map_axes(field, shape)
    if axes is None:
        return None
    (sight,) = field.sights
    reaches = list(zip((sight.rows, sight.cols), axes, strict=True))
    rows, cols = (_line(reach, dim, shape[dim]) for reach, dim in reaches)
    down, across = (
        reach.stepped(dim) or _fitted(line) for (reach, dim), line in zip(reaches, (rows, cols), strict=True)
    )
    return _assembled(rows, cols, down, across, field.gated, "traced")


def _map_axes(field: Field, shape: torch.Size) -> tuple[int, int] | None:
    """Return the dimensions of rows and columns, None if there are none; a single pixel counts as `[n, c, 1, 1]`."""
    if len(field.sights) > 1:
        return None
    match sorted(field.sights[0].rows.axes), sorted(field.sights[0].cols.axes):
        case [y], [x] if x != y:
            return y, x
        case [y], [] if y + 1 < len(shape):
            return y, y + 1
        case [], [x] if x > 0:
            return x - 1, x
        case [], [] if len(shape) == 4:
            return 2, 3
    return None


def _line(reach: Reach, dim: int, length: int) -> tuple[Interval, ...]:
    others = [d for d in range(reach.place.ndim) if d != dim]
    first = reach.first.amin(others).expand(length).tolist()
    last = reach.last.amax(others).expand(length).tolist()
    return tuple(zip(first, last, strict=True))


def _fitted(line: tuple[Interval, ...]) -> Grid:
    """Return the largest size, the median stride and the first pixel of fields that are not regular."""
    seen = [(first, last) for first, last in line if first <= last]
    if not seen:
        return Grid(0, 1, 0)
    strides = np.diff([first for first, _ in seen])
    stride = max(1, round(float(np.median(strides)))) if len(strides) else 1
    return Grid(max(last - first + 1 for first, last in seen), stride, seen[0][0])


def _assembled(
    rows: tuple[Interval, ...],
    cols: tuple[Interval, ...],
    down: Grid,
    across: Grid,
    global_: bool,
    found: Literal["traced", "probed"],
) -> ReceptiveField:
    pairs = ((down.size, across.size), (down.stride, across.stride), (down.offset, across.offset))
    return ReceptiveField(*pairs, global_, rows, cols, found)


def _probed(model: nn.Module, example: Tensor, names: Sequence[str]) -> Mapping[str, ReceptiveField]:
    if not names:
        return {}
    noise = torch.rand(example.shape, generator=torch.Generator().manual_seed(0))
    if example.device.type != "cpu":  # other devices may compute convolutions in tiles, in which NaN spreads
        model = deepcopy(model).to("cpu", torch.float32)
    return {name: _of_contact(contact) for name, contact in probe(model, noise, names).items()}


def _of_contact(contact: Contact) -> ReceptiveField:
    """Return the measured receptive field; it is global if there are several units and each sees everything."""
    rows, cols = _intervals(contact.rows), _intervals(contact.cols)
    whole = bool(contact.rows.all() and contact.cols.all()) and len(rows) * len(cols) > 1
    return _assembled(
        rows, cols, _stepping(rows, len(contact.rows)), _stepping(cols, len(contact.cols)), whole, "probed"
    )


def _intervals(contact: np.ndarray) -> tuple[Interval, ...]:
    length, any_ = len(contact), contact.any(axis=0)
    first = np.where(any_, contact.argmax(axis=0), NOTHING)
    last = np.where(any_, length - 1 - contact[::-1].argmax(axis=0), -1)
    return tuple(zip(first.tolist(), last.tolist(), strict=True))


def _stepping(line: tuple[Interval, ...], length: int) -> Grid:
    """Return the grid of the fields that no border cuts off, if they are regular; otherwise an approximation."""
    inner = [(i, first, last) for i, (first, last) in enumerate(line) if first > 0 and last < length - 1]
    sizes = {last - first + 1 for _, first, last in inner}
    strides = {b[1] - a[1] for a, b in pairwise(inner) if b[0] == a[0] + 1}
    if len(sizes) != 1 or len(strides) != 1 or min(strides) < 1:
        return _fitted(line)
    (size,), (stride,), (i, first, _) = sizes, strides, inner[0]
    return Grid(size, stride, first - stride * i)

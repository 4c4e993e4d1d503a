"""Receptive fields: which pixels of the image can change a unit of a layer.

They are computed from the operators that run (kernel, stride, padding, dilation, the union over branches), for every
unit and to the pixel. The size, stride and offset are those of Araujo, Norris and Sim 2019; what they leave out, what
padding cuts off at the borders, is in the intervals. A layer behind an operator that can't be followed is probed.
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
from auditor.results import FieldFacts

Interval = tuple[int, int]  # first and last pixel; the first is behind the last where there is none


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """The receptive field of a layer's units, in pixels of the image; pairs are rows, columns.

    `size`, `stride` and `offset` are as if the image went on beyond its borders. Where the fields aren't in step,
    behind an enlargement for example, they are the largest size, the most usual stride and unit 0's first pixel.

    Attributes:
        offset: The first pixel of unit 0's field, negative where padding lies outside.
        global_: Each unit sees the whole image, by way of a pooled gate, an attention or the like.
        rows, cols: What each row and each column of units sees, inside the image.
        found: Whether the network's operators were traced, or the network was probed with NaN.
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
        """Whether all but `global_` describes the local path only, past what sees the whole image."""
        return self.global_ and self.found == "traced"

    def box(self, row: int, col: int) -> tuple[int, int, int, int]:
        """Return the edges of a unit's field inside the image: left, top, right, bottom, as a crop takes them."""
        (top, bottom), (left, right) = self.rows[row], self.cols[col]
        if bottom < top or right < left:  # the unit sees padding only
            return 0, 0, 0, 0
        return left, top, right + 1, bottom + 1

    def facts(self) -> FieldFacts:
        return FieldFacts(self.size, self.stride, self.offset, self.global_)


def receptive_field(model: nn.Module, layer: str, input_size: Sequence[int]) -> ReceptiveField:
    """Return the receptive field of the units of a layer.

    ```python
    field = receptive_field(model, "layer2.0.conv1", (3, 224, 224))
    left, top, right, bottom = field.box(row, col)
    ```

    Args:
        layer: A module's name; of one that runs several times the last one counts.
        input_size: Channels, rows and columns of the image; for three channels rows and columns are enough.

    Raises:
        UsageError: There is no such layer, or it gives no maps.
    """
    return receptive_fields(model, _example(model, input_size), [layer])[layer]


def receptive_fields(
    model: nn.Module, example: Tensor, names: Iterable[str] | None = None
) -> dict[str, ReceptiveField]:
    """Return the receptive fields of several layers: those traced in the order in which they run, then those probed.

    Args:
        example: One image, `[1, c, h, w]`, on the model's device.
        names: Modules; all that give maps unless told.

    Raises:
        UsageError: One of the names is no module of the model, or that module gives no maps.
    """
    chosen = None if names is None else _known(model, names)
    with _evaluating(model):
        traced, unknown = _traced(model, example, chosen)
        found = {**traced, **_probed(model, example, unknown)}
    missing = [name for name in chosen or () if name not in found]
    if missing:
        raise UsageError(f"layer {missing[0]!r} gives no maps, and so has no receptive field")
    return found


def traced_fields(model: nn.Module, example: Tensor) -> dict[str, ReceptiveField]:
    """Return the receptive fields of all modules whose fields can be traced, for the price of one forward pass."""
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
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, flag in training.items():
            module.training = flag


def _traced(
    model: nn.Module, example: Tensor, names: Sequence[str] | None
) -> tuple[dict[str, ReceptiveField], list[str]]:
    """Return the fields that could be traced, and the modules with maps whose fields could not."""
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
    """Return the names of all modules; TorchScript and exported programs don't show theirs."""
    hidden = isinstance(model, torch.jit.ScriptModule)
    return [name for name, _ in model.named_modules() if name and not hidden]


def _of_map(field: Field, shape: torch.Size) -> ReceptiveField | None:
    """Return the receptive field of a tensor in which rows and columns are a dimension each."""
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
    """Return the dimensions that are rows and columns; a map of a single pixel is taken as `[n, c, 1, 1]`."""
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
    """Return the largest size, the most usual stride and the first pixel of fields that aren't in step."""
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
    if example.device.type != "cpu":  # where convolutions may be computed in tiles, in which NaN spreads
        model = deepcopy(model).to("cpu", torch.float32)
    return {name: _of_contact(contact) for name, contact in probe(model, noise, names).items()}


def _of_contact(contact: Contact) -> ReceptiveField:
    """Return the receptive field that was measured; global if more than one unit sees, and each sees everything."""
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
    """Return the step of the fields that no border cuts off, if they are in step; else the nearest to it."""
    inner = [(i, first, last) for i, (first, last) in enumerate(line) if first > 0 and last < length - 1]
    sizes = {last - first + 1 for _, first, last in inner}
    strides = {b[1] - a[1] for a, b in pairwise(inner) if b[0] == a[0] + 1}
    if len(sizes) != 1 or len(strides) != 1 or min(strides) < 1:
        return _fitted(line)
    (size,), (stride,), (i, first, _) = sizes, strides, inner[0]
    return Grid(size, stride, first - stride * i)

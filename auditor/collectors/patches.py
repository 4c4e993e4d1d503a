"""The places that excite a channel most, with what each of them sees of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.collectors.top import Best

if TYPE_CHECKING:
    from auditor.model.fields.receptive_fields import ReceptiveField


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Patch:
    """One of the places that excite a channel most.

    Attributes:
        image: Its place in the data set.
        box: The receptive field in the network's input: left, top, right, bottom, as edges.
    """

    image: int
    value: float
    row: int
    col: int
    box: Box


def patches_of(best: Best, channel: int, field: ReceptiveField | None, size: tuple[int, int]) -> list[Patch]:
    """Return a channel's best places, without those that do not excite it.

    Args:
        field: What a unit of the layer sees; None where that is not known, and the whole image is shown.
        size: Rows and columns of the network's input.
    """
    whole = (0.0, 0.0, float(size[1]), float(size[0]))
    found = zip(best.images[channel], best.values[channel], best.rows[channel], best.cols[channel], strict=True)
    return [
        Patch(int(image), float(value), int(row), int(col), _box(field, int(row), int(col)) if field else whole)
        for image, value, row, col in found
        if image >= 0 and value > 0
    ]


def _box(field: ReceptiveField, row: int, col: int) -> Box:
    left, top, right, bottom = field.box(row, col)
    return float(left), float(top), float(right), float(bottom)

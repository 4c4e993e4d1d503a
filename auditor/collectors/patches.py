"""The positions with the highest activations of a channel, with their receptive fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.collectors.top import Best

if TYPE_CHECKING:
    from auditor.model.fields.receptive_fields import ReceptiveField


Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Patch:
    """One of the positions with the highest activations of a channel.

    Attributes:
        image: The index of the image in the data set.
        value: The activation.
        row, col: The position in the map.
        box: The receptive field in the network's input, in pixels: the edges left, top, right, bottom.
    """

    image: int
    value: float
    row: int
    col: int
    box: Box


def patches_of(best: Best, channel: int, field: ReceptiveField | None, size: tuple[int, int]) -> list[Patch]:
    """Return the positions with a channel's highest activations, without those that are not above zero.

    Args:
        field: The receptive field of the layer's units; None if unknown: the box is then the whole image.
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

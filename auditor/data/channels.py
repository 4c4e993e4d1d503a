"""The channels of a network made of the bands of a file, in float32."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float32

from auditor.data.decoding.stored import Alpha
from auditor.data.resizing import crop_offset

Planes = Float32[np.ndarray, "c h w"]

_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601


def of_network(planes: Planes, color: str, *, alpha: bool, ground: Alpha) -> Float32[np.ndarray, "k h w"]:
    """Return the channels that the network takes, in its order.

    Args:
        color: That of the preprocessing.
        alpha: The last plane is transparency, for grey and colours.
        ground: What transparent pixels are put on, or `drop`.
    """
    if color == "bands":
        return planes
    if alpha:
        planes = _opaque(planes[:-1], planes[-1:], ground)
    if color == "gray":
        return planes if len(planes) == 1 else np.asarray(np.tensordot(_LUMA, planes[:3], 1)[None], np.float32)
    colours = np.repeat(planes, 3, axis=0) if len(planes) == 1 else planes[:3]
    return np.ascontiguousarray(colours[::-1] if color == "bgr" else colours)


def _opaque(colours: Planes, opacity: Float32[np.ndarray, "1 h w"], ground: Alpha) -> Planes:
    if ground == "drop":
        return colours
    return np.asarray(colours * opacity + (1 - opacity) * (ground == "white"), np.float32)


def turned(values: Float32[np.ndarray, "h w c"], orientation: int) -> Float32[np.ndarray, "rows cols c"]:
    """Return an image upright that is stored with this orientation of EXIF."""
    if orientation in (5, 6, 7, 8):
        values = values.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values[:, ::-1] if orientation in (2, 3, 6, 7) else values


def cropped(planes: Planes, crop: tuple[int, int]) -> Float32[np.ndarray, "c rows columns"]:
    """Return the centre crop of `(rows, columns)`, padded with black if the image is smaller."""
    rows, columns = crop
    left, top = crop_offset((planes.shape[2], planes.shape[1]), crop)
    found = np.zeros((len(planes), rows, columns), np.float32)
    inside = planes[:, max(top, 0) : top + rows, max(left, 0) : left + columns]
    down, across = max(-top, 0), max(-left, 0)
    found[:, down : down + inside.shape[1], across : across + inside.shape[2]] = inside
    return found

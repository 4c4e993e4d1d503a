"""Arrays in `.npy` files.

The pixels are `rows x columns`, `rows x columns x channels` or `channels x rows x columns`. Which of the last two it
is follows from the number of channels that the network takes.
"""

from __future__ import annotations

import io
import math
from typing import Final

import numpy as np
from numpy.lib import format as npy
from PIL import Image

from auditor.data.decoding.stored import Refused, Stored, Trait, refuse_large, stored_array
from auditor.language import _

MAGIC: Final = b"\x93NUMPY"

_LONGEST_HEADER: Final = 10_000
_KINDS: Final = "buif"
_COLOURS: Final = (1, 3, 4)


def read(found: bytes, bands: int | None) -> Stored:
    """Read the contents of a file; objects in it are never unpickled.

    Args:
        bands: The number of bands that the network takes; None for grey or colours.

    Raises:
        Refused: The array is no image, or it does not say which of its axes are the channels.
    """
    return laid_out(_array(found), bands)


def _array(found: bytes) -> np.ndarray:
    file = io.BytesIO(found)
    version = npy.read_magic(file)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise Refused(_("is of version {version} of the format", version=".".join(map(str, version))))
    shape, by_columns, dtype = readers[version](file, max_header_size=_LONGEST_HEADER)
    if dtype.kind not in _KINDS or dtype.hasobject or dtype.itemsize > 8:
        raise Refused(_("has values of type {type}; expected numbers", type=str(dtype)[:40]))
    if len(shape) not in (2, 3):
        raise Refused(_("has the shape {shape}; expected two or three axes", shape=_shown(shape)))
    count = math.prod(shape)
    if min(shape) < 1 or count * dtype.itemsize > len(found) - file.tell():
        raise Refused(_("has the shape {shape}, but too few bytes for it", shape=_shown(shape)))
    values = np.frombuffer(found, dtype, count, file.tell()).reshape(shape, order="F" if by_columns else "C")
    return values.astype(dtype.newbyteorder("="), copy=False)


def laid_out(values: np.ndarray, bands: int | None, *, transparent: bool = True) -> Stored:
    """Return an array as an image, with its channels as the last axis.

    Args:
        transparent: The fourth of four channels of a colour image is transparency.

    Raises:
        Refused: It is not clear which axis has the channels, or their number is not the wanted one.
    """
    values = values[..., None] if values.ndim == 2 else _channels_last(values, (bands,) if bands else _COLOURS)
    refuse_large(values.shape[1], values.shape[0], values.shape[2])
    if bands is None and values.dtype == np.uint8:
        levels = np.ascontiguousarray(values[..., 0] if values.shape[2] == 1 else values)
        picture = Image.fromarray(levels)
        seen: list[Trait] = ["transparency"] if values.shape[2] == 4 and values[..., 3].min() < 255 else []
        return Stored(picture=picture, traits=frozenset(seen))
    return stored_array(values, alpha=bands is None and values.shape[2] == 4 and transparent)


def _channels_last(values: np.ndarray, wanted: tuple[int, ...]) -> np.ndarray:
    first, last = values.shape[0] in wanted, values.shape[2] in wanted
    if first and last:
        raise Refused(
            _(
                "has the shape {shape}, in which the first and the last axis can be the channels; save it as rows x "
                "columns x channels of another size, or without the axis of 1",
                shape=_shown(values.shape),
            )
        )
    if not (first or last):
        several = " or ".join(map(str, wanted))
        raise Refused(
            _(
                "has the shape {shape}; expected {channels} channels as the first or the last axis",
                shape=_shown(values.shape),
                channels=several,
            )
        )
    return values.transpose(1, 2, 0) if first else values


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape[:6])

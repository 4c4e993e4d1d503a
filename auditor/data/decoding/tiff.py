"""TIFF files with more bands or other types than Pillow reads, by tifffile."""

from __future__ import annotations

import io
import zlib
from typing import Any, Final

import numpy as np

from auditor.data.decoding import extras
from auditor.data.decoding.arrays import laid_out
from auditor.data.decoding.stored import Refused, Stored, refuse_large, stored_array
from auditor.language import _

_MAGIC: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DEFLATE: Final = (8, 32946)
_COMPRESSIONS: Final = (1, 5, *_DEFLATE, 32773)  # none, LZW, deflate, PackBits: their ratio is bounded, or checked
_MOST_PAGES: Final = 4096
_MOST_BYTES: Final = 2**29  # of the pixels, in the type of the file
_RATIO: Final = 1032  # of deflate, at most


def is_tiff(found: bytes) -> bool:
    """Return whether contents begin as a TIFF file does."""
    return found[:4] in _MAGIC


def is_installed() -> bool:
    """Return whether tifffile can be used."""
    return extras.is_installed("tifffile")


def read(found: bytes, bands: int | None) -> Stored:
    """Read the bands of a file, or its pages as bands where there are as many.

    Raises:
        Refused: The file has another number of bands, a compression that is not read, or too many pixels.
    """
    tifffile = extras.package("tifffile", "tiff")
    with tifffile.TiffFile(io.BytesIO(found)) as file:
        page = file.pages[0]
        refuse_large(int(page.imagewidth), int(page.imagelength))
        values, axes = _bands(file, page, bands)
        if axes == "YX":
            return stored_array(values[..., None])
        if axes == "YXS":
            return _checked(values, bands)
        return _checked(values.transpose(1, 2, 0), bands)


def _bands(file: Any, page: Any, bands: int | None) -> tuple[np.ndarray, str]:
    """Return the first page, or all pages where each of them is one band."""
    if str(page.axes) == "YX" and bands is not None and bands > 1:
        if len(file.pages) < bands:
            raise Refused(_("has {count} pages; expected {bands}", count=len(file.pages), bands=bands))
        if len(file.pages) == bands:
            pages = [_decoded(file, file.pages[number], bands) for number in range(bands)]
            if any(one.shape != pages[0].shape or one.dtype != pages[0].dtype for one in pages):
                raise Refused(_("has pages of different sizes or types"))
            return np.stack(pages), "SYX"
    if str(page.axes) not in ("YX", "YXS", "SYX"):
        raise Refused(_("has the axes {axes}; expected rows, columns and bands", axes=str(page.axes)[:8]))
    return _decoded(file, page, 1), str(page.axes)


def _decoded(file: Any, page: Any, count: int) -> np.ndarray:
    """Return the pixels of a page, after its declared sizes are checked."""
    if page.dtype is None or page.dtype.kind not in "buif" or page.dtype.itemsize > 8:
        raise Refused(_("has values of type {type}; expected numbers", type=str(page.dtype)[:40]))
    refuse_large(int(page.imagewidth), int(page.imagelength), int(page.samplesperpixel))
    if int(page.nbytes) * count > _MOST_BYTES:
        raise Refused(_("has {size:,} bytes of pixels; at most {most:,} are read", size=page.nbytes, most=_MOST_BYTES))
    if int(page.compression) not in _COMPRESSIONS:
        name = str(getattr(page.compression, "name", page.compression))
        raise Refused(_("is compressed by {method}, which is not read for these bands or types", method=name))
    _refuse_bombs(file, page)
    try:
        values = page.asarray()
    except ValueError as error:
        if "imagecodecs" in str(error):
            told = _("needs {package}; run {command}", package="imagecodecs", command="pip install imagecodecs")
            raise Refused(told) from error
        raise
    return np.asarray(values)


def _refuse_bombs(file: Any, page: Any) -> None:
    """Refuse a page of which a piece may unpack to more bytes than a page can have."""
    pieces = sum(1 for size in page.databytecounts if size)
    tile = int(np.prod([max(1, int(side)) for side in page.chunks or (1,)])) * page.dtype.itemsize
    if pieces and tile * min(pieces, 2) > 4 * _MOST_BYTES:
        raise Refused(_("has pieces of {size:,} bytes; at most {most:,} are read", size=tile, most=_MOST_BYTES))
    if int(page.compression) not in _DEFLATE:
        return
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=False):
        if size * _RATIO <= max(_MOST_BYTES // 8, 2 * tile):
            continue
        file.filehandle.seek(offset)
        if len(zlib.decompressobj().decompress(file.filehandle.read(size), tile + 1)) > tile:
            raise Refused(_("has a piece that unpacks to more than its {size:,} bytes", size=tile))


def _checked(values: np.ndarray, bands: int | None) -> Stored:
    if bands is None:
        return laid_out(values, None, transparent=False)
    if values.shape[2] != bands:
        raise Refused(_("has {count} bands; expected {bands}", count=values.shape[2], bands=bands))
    return stored_array(np.ascontiguousarray(values))

"""Read image files, whatever their format is.

The content decides which reader is used, not the suffix. What the image becomes is told by the preprocessing;
`decode` gives the usual picture: upright, 8 bits, RGB, with transparent pixels on white.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from auditor.data.decoding import arrays, dicom, heic, raster
from auditor.data.decoding.damage import DAMAGED
from auditor.data.decoding.stored import MAX_PIXELS, Refused, Stored, too_large
from auditor.errors import DataError
from auditor.language import _
from auditor.process import pillow
from auditor.process.regular_files import content

__all__ = ["LARGEST", "MAX_PIXELS", "Unreadable", "decode", "load"]

LARGEST: Final = 2**30
"""The largest number of bytes of an image file."""


class Unreadable(DataError):
    """An image file that can't be used; `reason` says why in a few words."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} can't be read: {reason}")
        self.reason = reason


def decode(path: Path, *, digest: str | None = None, read: Callable[[], bytes] | None = None) -> Image.Image:
    """Return the image in the file, upright and in RGB.

    Args:
        digest: SHA-256 of the contents that the file had before; None if it may have any.
        read: Reads the contents where they are not those of a file at `path`; it may raise OSError.

    Raises:
        Unreadable: The file is missing, empty, damaged, too large, changed, not a regular file or not an image.
    """
    stored = load(path, digest=digest, read=read)
    if stored.picture is not None:
        return stored.photograph()
    try:
        shares = stored.shares().clip(0, 1)
    except Refused as error:
        raise Unreadable(path, str(error)) from error
    levels = np.rint(shares * 255).astype(np.uint8)
    picture = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    return Stored(picture=picture, orientation=stored.orientation).photograph()


def load(
    path: Path,
    *,
    bands: int | None = None,
    digest: str | None = None,
    read: Callable[[], bytes] | None = None,
) -> Stored:
    """Return the image in the file, as it is stored.

    Args:
        bands: The number of bands that the network takes; None for grey or colours.
        digest: SHA-256 of the contents that the file had before; None if it may have any.
        read: Reads the contents where they are not those of a file at `path`; it may raise OSError.

    Raises:
        Unreadable: As from `decode`, or the file has another number of bands.
    """
    with warnings.catch_warnings(), pillow.refused():
        warnings.simplefilter("ignore")
        try:
            found = read() if read else content(path, most=LARGEST)
        except OSError as error:
            raise Unreadable(path, _reason(error)) from error
        if digest is not None and hashlib.sha256(found).hexdigest() != digest:
            raise Unreadable(path, _("changed while it was audited"))
        try:
            return _reader(found)(found, bands)
        except Refused as error:
            raise Unreadable(path, str(error)) from error
        except DAMAGED as error:
            raise Unreadable(path, _("empty file") if not found else _reason(error)) from error


def _reader(found: bytes) -> Callable[[bytes, int | None], Stored]:
    if found.startswith(arrays.MAGIC):
        return arrays.read
    if dicom.is_dicom(found):
        return dicom.read
    return heic.read if heic.is_heic(found) else raster.read


def _reason(error: BaseException) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return too_large(_("its header declares more"))
    if isinstance(error, UnidentifiedImageError):
        return _("not an image, or a damaged header")
    if isinstance(error, FileNotFoundError):
        return _("no such file")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    first_line = str(error).partition("\n")[0][:100]
    return _("damaged: {reason}", reason=first_line or type(error).__name__)

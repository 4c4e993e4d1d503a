"""Decode image files: upright, 8 bits, RGB.

Transparent pixels are put on white, as on the page of a report. Of several frames the first one is
read. Grey values of more than 8 bits are scaled from their full range and never clipped. Embedded
colour profiles are ignored, as in training pipelines.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Num, UInt8
from PIL import Image, UnidentifiedImageError

from auditor.errors import DataError
from auditor.language import _
from auditor.process import pillow
from auditor.process.regular_files import content

MAX_PIXELS = 1024**3 // 4 // 3
"""An image with more pixels (a quarter of a GiB as RGB) counts as a decompression bomb."""

LARGEST = 2**30
"""The largest number of bytes of an image file."""

SUFFIXES = frozenset(
    f".{name}"
    for name in "avif bmp dib gif j2k jfif jp2 jpe jpeg jpg pbm pgm png pnm ppm tif tiff webp".split()  # noqa: SIM905
)

# None of these formats starts another program, as PostScript would. The content decides, not the suffix.
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")

# Everything that Pillow's parsers raise for damaged or malicious files.
_DAMAGED = (
    ArithmeticError,
    AttributeError,
    EOFError,
    Image.DecompressionBombError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Unreadable(DataError):
    """An image file that can't be used; `reason` says why in a few words."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} can't be read: {reason}")
        self.reason = reason


def decode(path: Path, *, digest: str | None = None, read: Callable[[], bytes] | None = None) -> Image.Image:
    """Return the image in the file, upright and in RGB.

    Args:
        read: Reads the contents where they are not those of a file at `path`; it may raise OSError.
        digest: SHA-256 of the contents that the file had before; None if it may have any.

    Raises:
        Unreadable: The file is missing, empty, damaged, too large, changed, not a regular file or not an image.
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
            return _opened(path, found)
        except _DAMAGED as error:
            raise Unreadable(path, _("empty file") if not found else _reason(error)) from error


def _opened(path: Path, found: bytes) -> Image.Image:
    with Image.open(io.BytesIO(found), formats=_FORMATS) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise Unreadable(path, _too_large(_("{width} x {height} pixels", width=width, height=height)))
        image.load()  # before the orientation is read: TIFF applies its own while loading
        if image.mode == "F" and not np.isfinite(np.asarray(image)).all():
            raise Unreadable(path, _("has pixels that are NaN or infinite"))
        return _upright(_rgb(image), _orientation(image))


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        deep = np.asarray(image)
        return Image.fromarray(_eight_bits(deep, _full_intensities(image.mode))).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return image.convert("RGB")


def _full_intensities(mode: str) -> tuple[int, ...]:
    """Return the possible values of white in this mode, ascending; for 32 bits the range is not declared."""
    return {"F": (1, 255, 65535), "I": (255, 65535)}.get(mode, (65535,))


def _eight_bits(deep: Num[np.ndarray, "h w"], whites: tuple[int, ...]) -> UInt8[np.ndarray, "h w"]:
    """Scale to 0..255 by the smallest white that no value exceeds, or by the range of the values."""
    values = deep.astype(np.float64)
    low, high = values.min(), values.max()
    fitting = [white for white in whites if low >= 0 and high <= white]
    black, span = (0.0, float(fitting[0])) if fitting else (low, high - low or 1.0)
    return np.rint((values - black) * (255 / span)).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _DAMAGED:
        return 1  # damaged metadata does not affect the pixels


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _reason(error: BaseException) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return _too_large(_("its header declares more"))
    if isinstance(error, UnidentifiedImageError):
        return _("not an image, or a damaged header")
    if isinstance(error, FileNotFoundError):
        return _("no such file")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    first_line = str(error).partition("\n")[0][:100]
    return _("damaged: {reason}", reason=first_line or type(error).__name__)


def _too_large(found: str) -> str:
    return _("too large: {found}; at most {most:,} pixels are read", found=found, most=MAX_PIXELS)

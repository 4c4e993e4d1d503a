"""DICOM files: the first frame, after rescale and window.

Values are multiplied by the rescale slope and moved by its intercept. Full intensity is the upper end of the first
window, or of the range of the stored bits. MONOCHROME1 is inverted, so that high values are bright.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, Final

import numpy as np

from auditor.data.decoding import extras
from auditor.data.decoding.arrays import laid_out
from auditor.data.decoding.damage import DAMAGED
from auditor.data.decoding.stored import Refused, Stored, Trait, refuse_large, stored_array
from auditor.language import _

_DEFLATED: Final = b"1.2.840.10008.1.2.1.99"  # the whole data set is packed, so that its size is not known before
_MOST_FRAMES: Final = 100_000


def is_dicom(found: bytes) -> bool:
    """Return whether contents begin as a DICOM file does."""
    return found[128:132] == b"DICM"


def read(found: bytes, bands: int | None) -> Stored:
    """Read the first frame of a file.

    Raises:
        Refused: The file has no pixels, too many, or a compression that is not read.
    """
    pydicom = extras.package("pydicom", "dicom")
    if _DEFLATED in found:
        raise Refused(_("is a deflated DICOM file, which is not read"))
    image = pydicom.dcmread(io.BytesIO(found))
    if "PixelData" not in image:
        raise Refused(_("is a DICOM file without pixels"))
    samples = int(image.get("SamplesPerPixel", 1))
    frames = int(image.get("NumberOfFrames", 1) or 1)
    refuse_large(int(image.Columns), int(image.Rows), samples)
    if frames > _MOST_FRAMES:
        raise Refused(_("has {count:,} frames; at most {most:,} are read", count=frames, most=_MOST_FRAMES))
    pixels = _pixels(pydicom, image)
    traits: frozenset[Trait] = frozenset(["frames"] if frames > 1 else [])
    if image.get("PhotometricInterpretation") == "PALETTE COLOR":
        return laid_out(_eight_bits(pydicom.pixels.apply_color_lut(pixels, image)), bands)
    if samples > 1:
        return laid_out(pixels, bands)
    return _grey(image, pixels, traits)


def _pixels(pydicom: Any, image: Any) -> np.ndarray:
    """Return the first frame, in RGB where the file has YCbCr."""
    try:
        return np.asarray(pydicom.pixels.pixel_array(image, index=0))
    except DAMAGED as error:
        syntax = getattr(image.file_meta, "TransferSyntaxUID", None)
        if syntax is not None and getattr(syntax, "is_private", True) is False and syntax.is_compressed:
            first_line = str(error).partition("\n")[0][:100]
            name = str(syntax.name)[:60]
            raise Refused(_("is compressed by {method}: {reason}", method=name, reason=first_line)) from error
        raise


def _grey(image: Any, pixels: np.ndarray, traits: frozenset[Trait]) -> Stored:
    slope, intercept = float(image.get("RescaleSlope", 1) or 1), float(image.get("RescaleIntercept", 0) or 0)
    bits, signed = int(image.get("BitsStored", 16)), int(image.get("PixelRepresentation", 0)) == 1
    lowest = -(2 ** (bits - 1)) if signed else 0
    limits = (lowest * slope + intercept, (lowest + 2**bits - 1) * slope + intercept)
    window = _window(image)
    if window is not None:
        limits, traits = window, traits | {"window"}
    if image.get("PhotometricInterpretation") == "MONOCHROME1":
        limits = limits[::-1]
    values = pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    found = stored_array(values[..., None], traits=traits, limits=limits, clipped=True)
    return replace(found, traits=traits)


def _window(image: Any) -> tuple[float, float] | None:
    """Return the ends of the first window, as DICOM's linear function defines them."""
    centres, widths = image.get("WindowCenter"), image.get("WindowWidth")
    if centres is None or widths is None:
        return None
    centre, width = (float(np.atleast_1d(np.asarray(one, np.float64))[0]) for one in (centres, widths))
    if not (np.isfinite(centre) and np.isfinite(width) and width > 1):
        return None
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def _eight_bits(colours: np.ndarray) -> np.ndarray:
    return colours if colours.dtype == np.uint8 else (colours >> 8).astype(np.uint8)

"""What the suffix of a file says: an image that is read, an image that is not, or no image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from auditor.data.decoding import extras

_PILLOW: Final = frozenset(
    f".{name}"
    for name in "avif bmp dib gif j2k jfif jp2 jpe jpeg jpg pbm pgm png pnm ppm tif tiff webp".split()  # noqa: SIM905
)
ARRAY: Final = ".npy"
EXTRAS: Final[Mapping[str, str]] = MappingProxyType(
    {".heic": "heic", ".heif": "heic", ".hif": "heic", ".dcm": "dicom", ".dicom": "dicom", ".ima": "dicom"}
)
"""The extra that reads a format, by suffix."""

_PACKAGES: Final = {"heic": "pillow_heif", "dicom": "pydicom"}
_RAW: Final = "3fr arw cr2 cr3 crw dng erf iiq kdc mrw nef nrw orf pef raf raw rw2 srf srw x3f"
_REST: Final = (
    "ai apng dds eps exr fit fits fts hdr ico jls jpf jpx jxl mha mhd nii npz nrrd pam pcx pfm psd qoi sgi svg"
)
_MORE: Final = "svs tga xcf"
_OTHERS: Final = frozenset(f".{name}" for names in (_RAW, _REST, _MORE) for name in names.split())
"""Images in formats that are not read."""


@cache
def readable() -> frozenset[str]:
    """Return the suffixes of images that are read with the installed extras."""
    return _PILLOW | {ARRAY} | {suffix for suffix, extra in EXTRAS.items() if extras.is_installed(_PACKAGES[extra])}


def of(name: str) -> str:
    """Return the suffix of a name in lower case, with the dot."""
    stem, _dot, suffix = name.rstrip("/").rpartition("/")[2].rpartition(".")
    return f".{suffix.lower()}" if stem.strip(".") and suffix else ""


def is_image(suffix: str) -> bool:
    """Return whether files with this suffix are images, read or not. An array may be anything."""
    return suffix in _PILLOW or suffix in EXTRAS or suffix in _OTHERS


def among(names: Iterable[str]) -> list[str]:
    """Return the names of the images that are read; arrays count as images only where nothing else does.

    Args:
        names: Those of files, and of folders with a `/` at the end.
    """
    known = readable()
    found = [name for name in names if not name.endswith("/") and of(name) in known]
    pictures = [name for name in found if not name.lower().endswith(ARRAY)]
    return pictures or found

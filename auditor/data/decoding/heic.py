"""HEIC files, by pillow-heif. Its decoder applies the rotation that the file declares."""

from __future__ import annotations

import io
from typing import Final

from auditor.data.decoding import extras
from auditor.data.decoding.stored import Stored, Trait, refuse_large

_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def is_heic(found: bytes) -> bool:
    """Return whether contents begin as a HEIC file does, and not as an AVIF file, which Pillow reads."""
    return found[4:8] == b"ftyp" and found[8:12] in _BRANDS and b"avif" not in found[8:64]


def read(found: bytes, bands: int | None) -> Stored:
    """Read the primary image of a file, in 8 bits.

    Raises:
        Refused: It is too large.
    """
    heif = extras.package("pillow_heif", "heic")
    image = heif.open_heif(io.BytesIO(found), convert_hdr_to_8bit=True)
    refuse_large(*image.size)
    picture = image.to_pillow()
    traits: list[Trait] = []
    if picture.info.get("icc_profile"):
        traits.append("profile")
    if picture.has_transparency_data and picture.getchannel("A").getextrema()[0] < 255:
        traits.append("transparency")
    if len(image) > 1:
        traits.append("frames")
    return Stored(picture=picture, traits=frozenset(traits))

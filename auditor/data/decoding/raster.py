"""Images of the usual formats, as Pillow reads them.

Of several frames the first one is read, unless as many bands are wanted. Embedded colour profiles are ignored, as in
training pipelines.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import UInt16
from PIL import Image, ImageFile, UnidentifiedImageError

from auditor.data.decoding import tiff
from auditor.data.decoding.damage import DAMAGED
from auditor.data.decoding.stored import Refused, Stored, Trait, refuse_large, stored_array
from auditor.language import _

# None of these formats starts another program, as PostScript would. The content decides, not the suffix.
FORMATS: Final = ("JPEG", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")

_ORIENTATION: Final = 0x0112
_DEEP: Final = ("I", "F")
_ONE_BAND: Final = ("1", "L", *_DEEP)


def read(found: bytes, bands: int | None) -> Stored:
    """Read the contents of a file.

    Args:
        bands: The number of bands that the network takes; None for grey or colours.

    Raises:
        Refused: Its pixels can't be used.
    """
    try:
        image = Image.open(io.BytesIO(found), formats=FORMATS)
    except UnidentifiedImageError:
        if tiff.is_tiff(found):
            return tiff.read(found, bands)
        raise
    with image:
        refuse_large(*image.size)
        if image.format == "TIFF" and _is_for_tifffile(image, bands):
            return tiff.read(found, bands)
        if bands is not None and bands > 1 and _frames(image) == bands and _is_one_band(image.mode):
            return _of_frames(image, bands)
        deep = _sixteen(found, image) if image.format == "PNG" and _rawmode(image).endswith(";16B") else None
        image.load()  # before the orientation is read: TIFF applies its own while loading
        return _stored(image, deep)


def _stored(image: Image.Image, deep: UInt16[np.ndarray, "h w c"] | None) -> Stored:
    picture = image.copy() if image.format == "GIF" else image  # a GIF forgets its first frame by a look at the next
    orientation, traits = _orientation(image), _traits(image)
    if deep is None and not _is_deep(image.mode):
        return Stored(picture=picture, orientation=orientation, traits=traits)
    values = _values(image) if deep is None else deep
    found = stored_array(values, traits=traits, alpha=values.shape[2] in (2, 4))
    return replace(found, orientation=orientation)


def _values(image: Image.Image) -> np.ndarray:
    """Return the pixels of a picture with one band of more than 8 bits."""
    values = np.asarray(image)
    if image.mode == "I" and image.format == "PPM":
        values = values.astype(np.uint16)  # Pillow scales them to 16 bits
    elif image.mode.startswith("I;16"):
        values = values.astype(np.uint16, copy=False)
    return values[..., None]


def _sixteen(found: bytes, image: Image.Image) -> UInt16[np.ndarray, "h w c"] | None:
    """Return the 16 bits of a PNG in colours, of which Pillow gives the upper 8; the lower 8 are read once more."""
    if image.mode not in ("RGB", "RGBA"):
        return None
    image.load()
    upper = np.asarray(image, np.uint16)
    with Image.open(io.BytesIO(found), formats=("PNG",)) as again:
        assert isinstance(again, ImageFile.ImageFile)  # noqa: S101 - it was read from a file
        again.tile = [one._replace(args=str(one.args).replace(";16B", ";16L")) for one in again.tile]
        again.load()
        return upper << 8 | np.asarray(again, np.uint16)


def _rawmode(image: Image.Image) -> str:
    return str(image.tile[0].args) if isinstance(image, ImageFile.ImageFile) and image.tile else ""


def _is_for_tifffile(image: Image.Image, bands: int | None) -> bool:
    """Return whether tifffile reads more of a TIFF file than Pillow."""
    tags = getattr(image, "tag_v2", {})
    several_deep = int(tags.get(277, 1)) > 1 and max(np.atleast_1d(tags.get(258, 8)).tolist()) > 8
    others = bands is not None and bands not in (len(image.getbands()), _frames(image))
    return (several_deep or others) and tiff.is_installed()


def _of_frames(image: Image.Image, bands: int) -> Stored:
    """Return the frames of a file as bands, if all have the same size and type."""
    refuse_large(*image.size, bands)
    frames = list[np.ndarray]()
    for number in range(bands):
        image.seek(number)
        frame = np.asarray(image if image.mode != "1" else image.convert("L"))
        if frames and (frame.shape != frames[0].shape or frame.dtype != frames[0].dtype):
            raise Refused(_("has pages of different sizes or types"))
        frames.append(frame)
    return stored_array(np.stack(frames, axis=2))


def _frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except DAMAGED:
        return 1


def _is_one_band(mode: str) -> bool:
    return mode in _ONE_BAND or mode.startswith("I;")


def _is_deep(mode: str) -> bool:
    return mode in _DEEP or mode.startswith("I;")


def _orientation(image: Image.Image) -> int:
    try:
        found = int(image.getexif().get(_ORIENTATION, 1))
    except DAMAGED:
        return 1  # damaged metadata does not affect the pixels
    return found if 1 <= found <= 8 else 1


def _traits(image: Image.Image) -> frozenset[Trait]:
    found: list[Trait] = []
    if _orientation(image) != 1:
        found.append("orientation")
    if image.mode == "CMYK":
        found.append("cmyk")
    if image.mode in ("P", "PA"):
        found.append("palette")
    if image.info.get("icc_profile"):
        found.append("profile")
    if not _is_deep(image.mode) and image.has_transparency_data and _is_transparent(image):
        found.append("transparency")
    if _is_animated(image):
        found.append("frames")
    return frozenset(found)


def _is_transparent(image: Image.Image) -> bool:
    """Return whether any pixel is not opaque."""
    return bool(np.asarray(image.convert("RGBA").getchannel("A")).min() < 255)


def _is_animated(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except DAMAGED:
        return False

"""An image as its file stores it, before preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float32, Shaped
from PIL import Image

from auditor.language import _

Trait = Literal["orientation", "transparency", "16 bits", "float", "cmyk", "palette", "profile", "frames", "window"]

Alpha = Literal["white", "black", "drop"]

MAX_PIXELS: Final = 1024**3 // 4 // 3
"""An image with more pixels (a quarter of a GiB as RGB) counts as a decompression bomb."""

MAX_BANDS: Final = 1024

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED: Final = (5, 6, 7, 8)  # rows and columns are exchanged


class Refused(Exception):
    """The contents of a file can't be used as an image; the text says why in a few words."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """An image as its file stores it: a picture of 8 bits, or an array of any other numbers.

    Attributes:
        picture: The picture, in one of Pillow's modes of 8 bits; None for an array.
        values: The array, with its bands last; None for a picture.
        limits: The values of black and of full intensity in the array; None if its type does not say. The first one
            is larger where high values are dark.
        clipped: Values outside of the limits are black or white, as in a window of DICOM.
        alpha: The last band of the array is transparency.
        orientation: EXIF's, 1 to 8; 1 is upright.
        traits: What distinguishes it from a plain upright image of 8 bits in grey or RGB.
    """

    picture: Image.Image | None = None
    values: Shaped[np.ndarray, "h w c"] | None = None
    limits: tuple[float, float] | None = None
    clipped: bool = False
    alpha: bool = False
    orientation: int = 1
    traits: frozenset[Trait] = frozenset()

    def size(self, *, exif: bool = True) -> tuple[int, int]:
        """Return width and height, upright or as stored."""
        width, height = self.picture.size if self.picture is not None else self.array.shape[1::-1]
        return (height, width) if exif and self.orientation in _TURNED else (width, height)

    @property
    def bands(self) -> int:
        """The number of bands, with transparency."""
        return len(self.plain.getbands()) if self.picture is not None else self.array.shape[2]

    @property
    def plain(self) -> Image.Image:
        """The picture in grey or RGB, with transparency if it has any."""
        picture = self._pictured()
        if picture.mode in ("L", "LA", "RGB", "RGBA"):
            return picture
        if picture.mode == "1":
            return picture.convert("L")
        return picture.convert("RGBA" if picture.has_transparency_data else "RGB")

    @property
    def peak(self) -> float:
        """The highest value of 16 bits, as a share of their range; 0 for other images."""
        return float(self.array.max()) / 65535 if "16 bits" in self.traits and self.picture is None else 0.0

    def photograph(self, *, exif: bool = True, alpha: Alpha = "white") -> Image.Image:
        """Return a picture in RGB.

        Args:
            exif: Turn it upright.
            alpha: What transparent pixels are put on, or `drop` for the colours that they have in the file.
        """
        return self.turned(_opaque(self._pictured(), alpha).convert("RGB"), exif=exif)

    def turned(self, picture: Image.Image, *, exif: bool) -> Image.Image:
        """Return a picture upright, or as it is without `exif`."""
        upright = _UPRIGHT.get(self.orientation) if exif else None
        return picture if upright is None else picture.transpose(upright)

    def shares(self, limits: tuple[float, float] | None = None) -> Float32[np.ndarray, "h w c"]:
        """Return the bands as shares of full intensity.

        Args:
            limits: The values of black and of full intensity, in place of those that the file or its type says.

        Raises:
            Refused: Nothing says what full intensity is.
        """
        if self.picture is not None:
            levels = np.asarray(self.plain, np.float32)
            return (levels if levels.ndim == 3 else levels[..., None]) / 255
        low, high = self._limits(limits)
        found = (self.array.astype(np.float32) - np.float32(low)) / np.float32(high - low)
        return found.clip(0, 1) if self.clipped else found

    def _limits(self, asked: tuple[float, float] | None) -> tuple[float, float]:
        if self.limits is None and asked is None:
            raise Refused(_undeclared(self.array))
        if asked is None or self.alpha:
            return self.limits or (0.0, 1.0)
        is_negative = self.limits is not None and self.limits[0] > self.limits[1]
        return asked[::-1] if is_negative else asked

    @property
    def array(self) -> Shaped[np.ndarray, "h w c"]:
        """The values of an image that is no picture of 8 bits."""
        assert self.values is not None  # noqa: S101 - one of both is there
        return self.values

    def _pictured(self) -> Image.Image:
        assert self.picture is not None  # noqa: S101 - the caller has looked
        return self.picture


def stored_array(values: Shaped[np.ndarray, "h w c"], **more: Any) -> Stored:
    """Return an array of any type as an image, with the range that its type declares.

    Raises:
        Refused: It has values that are not finite, or is too large.
    """
    refuse_large(values.shape[1], values.shape[0], values.shape[2])
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Refused(_("has pixels that are NaN or infinite"))
    kind = {"u2": "16 bits", "f2": "float", "f4": "float", "f8": "float"}.get(values.dtype.str[1:])
    traits = more.pop("traits", frozenset()) | ({kind} if kind else set())
    return Stored(values=values, traits=traits, **{"limits": _range(values), **more})


def _range(values: Shaped[np.ndarray, "h w c"]) -> tuple[float, float] | None:
    """Return the values of black and of full intensity: those of unsigned types, and 0 to 1 for floats within it."""
    if values.dtype.kind == "f":
        return (0.0, 1.0) if values.size and values.min() >= 0 and values.max() <= 1 else None
    return {"b1": (0.0, 1.0), "u1": (0.0, 255.0), "u2": (0.0, 65535.0)}.get(values.dtype.str[1:])


def _undeclared(values: Shaped[np.ndarray, "h w c"]) -> str:
    return _(
        "has {type} values from {low:g} to {high:g}; expected floats from 0 to 1, or range = [black, white] in "
        "[preprocess]",
        type=str(values.dtype),
        low=float(values.min()),
        high=float(values.max()),
    )


def refuse_large(width: int, height: int, bands: int = 1) -> None:
    """Refuse an image whose pixels would take too much memory.

    Raises:
        Refused: It has no pixels, too many, or too many bands.
    """
    if min(width, height, bands) < 1:
        raise Refused(_("has no pixels"))
    if bands > MAX_BANDS:
        raise Refused(_("has {bands:,} bands; at most {most:,} are read", bands=bands, most=MAX_BANDS))
    if width * height > MAX_PIXELS:
        raise Refused(too_large(_("{width} x {height} pixels", width=width, height=height)))
    if bands > 4 and width * height * bands > MAX_PIXELS:
        found = _("{width} x {height} pixels in {bands} bands", width=width, height=height, bands=bands)
        raise Refused(too_large(found))


def too_large(found: str) -> str:
    """Return the reason why an image with so many pixels is not read."""
    return _("too large: {found}; at most {most:,} pixels are read", found=found, most=MAX_PIXELS)


def _opaque(picture: Image.Image, alpha: Alpha) -> Image.Image:
    if alpha == "drop" or not picture.has_transparency_data:
        return picture
    rgba = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, alpha), rgba)

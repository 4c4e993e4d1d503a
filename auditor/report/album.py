"""The pictures of a page: checked, scaled for print, and each stored once."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import dataclass
from functools import cache

from PIL import Image

from auditor.report.picture_files import kind

ADDRESS = re.compile(r"auditor:picture-[0-9a-f]{16}-[0-9]+")
"""By which a page names a picture in `Album.files`: its text is worked on without ten megabytes of them in it."""

_MIME = {"png": "image/png", "jpg": "image/jpeg"}
_PRINT_QUALITY = 85
_WORTH = 4000  # bytes under which a picture is left as it is
_LINE_ART = 48  # colours at most
_PLAIN = ("1", "L", "P", "RGB")  # modes that paper takes as they are
_TALLER = 1.6  # than wide a picture may be and still keep all the pixels of its column


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture ready to be shown.

    Attributes:
        id: The same for the same bytes.
        source: The address of its bytes in `files` of its album; empty where they are no picture.
    """

    id: str
    source: str
    width: int
    height: int
    alt: str


class Album:
    """Makes pictures, and remembers which bytes were met more than once.

    Attributes:
        files: The bytes of all pictures by address.

    Args:
        shrink: Scale pictures down to the pixels that they can use, and turn those of many colours
            into JPEG: a third of the size and a seventh of the time of a PDF.
        compress: Turn pictures of many colours into JPEG of this quality: half the size, and not quite the same
            pixels, in a twentieth of the time of WebP. 0 leaves them as they are.
    """

    def __init__(self, *, shrink: bool = False, compress: int = 0) -> None:
        self._shrink = shrink
        self._compress = compress
        self.files: dict[str, bytes] = {}
        self._pictures: dict[tuple[str, int], Picture] = {}
        self._uses: dict[str, int] = {}

    def picture(self, image: bytes, alt: str, *, pixels: int, high: int = 0) -> Picture:
        """Return the picture, where the album shrinks at most `pixels` wide and `high`, else not much higher."""
        name = "picture-" + hashlib.sha256(image).hexdigest()[:16]
        key = name, pixels if self._shrink else 0
        self._uses[name] = self._uses.get(name, 0) + 1
        if key not in self._pictures:
            self._pictures[key] = self._made(name, image, (pixels, high or round(_TALLER * pixels)))
        first = self._pictures[key]
        return Picture(name, first.source, first.width, first.height, alt)

    def again(self, picture: Picture) -> Picture:
        """Return the picture, to be shown at one more place."""
        self._uses[picture.id] += 1
        return picture

    @property
    def repeated(self) -> dict[str, Picture]:
        """The pictures that stand at more than one place, by id."""
        return {p.id: p for p in self._pictures.values() if p.source and self._uses[p.id] > 1}

    def _made(self, name: str, image: bytes, most: tuple[int, int]) -> Picture:
        try:
            made = _for_print(image, most) if self._shrink else _for_screen(image, self._compress)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return Picture(name, "", 0, 0, "")
        width, height, image = made
        address = f"auditor:{name}-{width}"
        self.files[address] = image
        return Picture(name, address, width, height, "")


@cache
def strip(colours: tuple[str, ...]) -> str:
    """Return colours `#rrggbb` side by side as the `data:` URI of a picture one pixel high."""
    if not colours:
        return ""
    line = Image.new("RGB", (len(colours), 1))
    line.putdata([tuple(bytes.fromhex(colour[1:])) for colour in colours])
    buffer = io.BytesIO()
    line.save(buffer, "PNG")
    return embedded(buffer.getvalue())


def embedded(image: bytes) -> str:
    """Return a PNG or JPEG as a `data:` URI."""
    return f"data:{_MIME[kind(image)]};base64,{base64.b64encode(image).decode()}"


def _opened(image: bytes) -> Image.Image:
    return Image.open(io.BytesIO(image), formats=("PNG", "JPEG"))


def _for_screen(image: bytes, quality: int) -> tuple[int, int, bytes]:
    """Return width, height and bytes; line art, whose edges would suffer, and where it gains little, as they are."""
    with _opened(image) as opened:
        opened.load()
        drawn = opened.format == "PNG" and opened.getcolors(_LINE_ART)
        if not quality or len(image) < _WORTH or drawn:
            return *opened.size, image
        photo = _jpeg(_flat(opened), quality)
    return *opened.size, photo if len(photo) < 0.8 * len(image) else image


def _for_print(image: bytes, most: tuple[int, int]) -> tuple[int, int, bytes]:
    """Return width, height and bytes; a PNG stays one unless a JPEG is lighter, as that of noise is."""
    with _opened(image) as opened:
        pixels, photographed = opened.width * opened.height, opened.format == "JPEG"
        fits = opened.width <= most[0] and opened.height <= most[1] and (photographed or opened.mode in _PLAIN)
        drawn = _flat(opened)
    if fits and (photographed or len(image) < _WORTH):
        return *drawn.size, image
    drawn.thumbnail(most, Image.Resampling.BICUBIC)
    photo = _jpeg(drawn, _PRINT_QUALITY, sharp=not photographed)
    if photographed or len(photo) < len(image) * drawn.width * drawn.height / pixels:
        return *drawn.size, photo
    return *drawn.size, image if fits else _lighter(drawn, photo)


def _jpeg(image: Image.Image, quality: int, *, sharp: bool = False) -> bytes:
    """Return the picture as JPEG, its colours as sharp as its lightness where that is asked for."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:4:4" if sharp else "4:2:0")
    return buffer.getvalue()


def _lighter(drawn: Image.Image, photo: bytes) -> bytes:
    """Return a drawing as PNG, in full colour since a PDF knows no palette, unless that takes twice the photograph."""
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG")
    return buffer.getvalue() if buffer.tell() < 2 * len(photo) else photo


def _flat(image: Image.Image) -> Image.Image:
    """Return the picture in RGB, on white where it is transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")


def is_strip(image: bytes) -> bool:
    """Return whether a picture is several, one above the other: more than one and a half times as high as wide."""
    try:
        with Image.open(io.BytesIO(image)) as opened:
            return opened.height > 1.5 * opened.width
    except (OSError, SyntaxError, ValueError):
        return False

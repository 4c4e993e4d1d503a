"""The pictures of a page: validated, scaled for print, and each stored once."""

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
"""The address of a picture in `Album.files`. Pages contain addresses until the end, so their text stays small."""

_MIME = {"png": "image/png", "jpg": "image/jpeg"}
_PRINT_QUALITY = 85
_SMALL = 4000  # bytes under which a picture is not compressed
_LINE_ART = 48  # colours of line art, at most
_PLAIN = ("1", "L", "P", "RGB")  # modes that a PDF stores without conversion
_TALLEST = 1.6  # height by width of a picture that keeps the full width of its column


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture ready to be shown.

    Attributes:
        id: Identifier made from the bytes, the same for the same picture.
        source: Address of its bytes in `Album.files`; empty if they are not a picture.
    """

    id: str
    source: str
    width: int
    height: int
    alt: str


class Album:
    """Makes pictures, and counts how often each is used.

    Attributes:
        files: Bytes of all pictures by address.

    Args:
        shrink: Scale pictures down to the pixels that the page shows, and convert pictures with many colours to
            JPEG. This makes a PDF a third of the size in a seventh of the time.
        compress: Convert pictures with many colours to JPEG of this quality: half the size, with small differences
            in the pixels, in a twentieth of the time of WebP. 0 leaves them unchanged.
    """

    def __init__(self, *, shrink: bool = False, compress: int = 0) -> None:
        self._shrink = shrink
        self._compress = compress
        self.files: dict[str, bytes] = {}
        self._pictures: dict[tuple[str, int], Picture] = {}
        self._uses: dict[str, int] = {}

    def picture(self, image: bytes, alt: str, *, pixels: int, high: int = 0) -> Picture:
        """Return the picture; if the album shrinks, at most `pixels` wide and `high` (default: 1.6 times `pixels`)."""
        name = "picture-" + hashlib.sha256(image).hexdigest()[:16]
        key = name, pixels if self._shrink else 0
        self._uses[name] = self._uses.get(name, 0) + 1
        if key not in self._pictures:
            self._pictures[key] = self._made(name, image, (pixels, high or round(_TALLEST * pixels)))
        first = self._pictures[key]
        return Picture(name, first.source, first.width, first.height, alt)

    def again(self, picture: Picture) -> Picture:
        """Return the picture, and count one more use."""
        self._uses[picture.id] += 1
        return picture

    @property
    def repeated(self) -> dict[str, Picture]:
        """The pictures that are used more than once, by id."""
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
    """Return the colours `#rrggbb` as the `data:` URI of a picture one pixel high."""
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
    """Return width, height and bytes; line art, and pictures that compress little, remain unchanged."""
    with _opened(image) as opened:
        opened.load()
        drawn = opened.format == "PNG" and opened.getcolors(_LINE_ART)
        if not quality or len(image) < _SMALL or drawn:
            return *opened.size, image
        photo = _jpeg(_flat(opened), quality)
    return *opened.size, photo if len(photo) < 0.8 * len(image) else image


def _for_print(image: bytes, most: tuple[int, int]) -> tuple[int, int, bytes]:
    """Return width, height and bytes; a PNG remains one unless the JPEG is smaller, as it is for noise."""
    with _opened(image) as opened:
        pixels, photographed = opened.width * opened.height, opened.format == "JPEG"
        fits = opened.width <= most[0] and opened.height <= most[1] and (photographed or opened.mode in _PLAIN)
        drawn = _flat(opened)
    if fits and (photographed or len(image) < _SMALL):
        return *drawn.size, image
    drawn.thumbnail(most, Image.Resampling.BICUBIC)
    photo = _jpeg(drawn, _PRINT_QUALITY, sharp=not photographed)
    if photographed or len(photo) < len(image) * drawn.width * drawn.height / pixels:
        return *drawn.size, photo
    return *drawn.size, image if fits else _smaller(drawn, photo)


def _jpeg(image: Image.Image, quality: int, *, sharp: bool = False) -> bytes:
    """Return the picture as JPEG, without subsampling of its colours if `sharp`."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling="4:4:4" if sharp else "4:2:0")
    return buffer.getvalue()


def _smaller(drawn: Image.Image, photo: bytes) -> bytes:
    """Return a drawing as PNG in full colour (a PDF has no palette), or the JPEG if the PNG is twice as large."""
    buffer = io.BytesIO()
    drawn.save(buffer, "PNG")
    return buffer.getvalue() if buffer.tell() < 2 * len(photo) else photo


def _flat(image: Image.Image) -> Image.Image:
    """Return the picture in RGB, transparent parts on white."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layered = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layered.size, "white"), layered).convert("RGB")


def is_strip(image: bytes) -> bool:
    """Return whether a picture is a column of several: more than 1.5 times as high as wide."""
    try:
        with Image.open(io.BytesIO(image)) as opened:
            return opened.height > 1.5 * opened.width
    except (OSError, SyntaxError, ValueError):
        return False

"""What of its owner a report shows: a title, a logo, a footer and a note of confidentiality.

They are settings, so that they are kept in `audit.json` and a report made again shows the same. A logo is
kept as a `data:` URI, and is looked through both times: what it holds is never run and never fetched.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat

from auditor.errors import UsageError
from auditor.process import pillow

LONGEST = {"title": 120, "footer": 120, "confidential": 120}
"""Letters of each text, so that it fits the foot of a page."""

_LARGEST = 2**20  # bytes of a logo's file
_MOST_PIXELS = 800  # of a logo's longer side
_WIDEST = 10_000
_DEEPEST = 50  # elements of a drawing in each other
_URI = re.compile(r"data:image/(?:png|jpeg|svg\+xml);base64,([A-Za-z0-9+/=]+)")
_REFUSED = frozenset(("script", "foreignobject", "use", "iframe", "audio", "video"))
_EMBEDDED = re.compile(r"#|data:image/(?:png|jpeg);base64,")
_REFERENCE = re.compile(r"url\(\s*+['\"]?+\s*+(?!#)|@import|\\", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What a report shows of who hands it out; every part may be empty.

    Attributes:
        title: Stands above the name of the checkpoint.
        logo: A PNG, JPEG or SVG as a `data:` URI.
        footer: Stands at the foot of every page.
        confidential: Who may read the report; stands on the cover and at the foot of every page.
    """

    title: str = ""
    logo: str = ""
    footer: str = ""
    confidential: str = ""

    def told(self) -> dict[str, str]:
        """Return what there is of it, as it stands in `audit.json`."""
        return {name: value for name, value in asdict(self).items() if value}


def text(name: str, value: str) -> str:
    """Return a text on one line.

    Raises:
        UsageError: It is too long for the place where it stands.
    """
    line = " ".join(value.split())
    if len(line) > LONGEST[name]:
        raise UsageError(f"report.{name} has {len(line)} letters, but has to have at most {LONGEST[name]}")
    return line


def logo(path: Path) -> str:
    """Return the picture in a file as a `data:` URI, a photograph or drawing of pixels not larger than needed.

    Raises:
        UsageError: The file can't be read, is too large, is no PNG, JPEG or SVG, or asks for what lies outside it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"report.logo {str(path)!r} can't be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise UsageError(f"report.logo {str(path)!r} is larger than 1 MiB")
    try:
        return _embedded(data)
    except ValueError as error:
        raise UsageError(f"report.logo {str(path)!r} {error}") from None


def recorded(value: object) -> Letterhead:
    """Return the letterhead that an `audit.json` holds; of one that somebody changed, what can be shown."""
    found: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    texts = {name: " ".join(str(found.get(name, "")).split())[:most] for name, most in LONGEST.items()}
    return Letterhead(**texts, logo=_checked(found.get("logo")))


def _checked(uri: object) -> str:
    match = _URI.fullmatch(uri) if isinstance(uri, str) and len(uri) < 2 * _LARGEST else None
    try:
        return _embedded(base64.b64decode(match[1], validate=True)) if match else ""
    except (ValueError, binascii.Error):
        return ""


def _embedded(data: bytes) -> str:
    if data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        kind, data = _pixels(data)
    elif _is_markup(data):
        kind = "svg+xml"
        _look_through(data)
    else:
        raise ValueError("is neither PNG, JPEG nor SVG")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _is_markup(data: bytes) -> bool:
    return data[:400].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _pixels(data: bytes) -> tuple[str, bytes]:
    """Return what kind it is, and the same picture with no more pixels than a page shows."""
    from PIL import Image

    try:
        with pillow.refused(), Image.open(io.BytesIO(data)) as opened:
            kind = "png" if opened.format == "PNG" else "jpeg"
            if max(opened.size) > _WIDEST:
                raise ValueError(f"is more than {_WIDEST:,} pixels wide or high")
            opened.load()
            if max(opened.size) <= _MOST_PIXELS:
                return kind, data
            small = opened.convert("RGBA" if kind == "png" else "RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"is damaged: {error}") from None
    small.thumbnail((_MOST_PIXELS, _MOST_PIXELS), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, kind.upper())
    return kind, buffer.getvalue()


def _look_through(data: bytes) -> None:
    """Refuse a drawing that is more than a drawing.

    Raises:
        ValueError: It is no SVG, or has scripts, entities or addresses of what lies outside it.
    """
    path: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name.rpartition(":")[2].lower())
        if path[0] != "svg":
            raise ValueError(f"is no SVG: it begins with <{name}>")
        if path[-1] in _REFUSED:
            raise ValueError(f"holds <{name}>, which a logo may not")
        if len(path) > _DEEPEST:
            raise ValueError(f"has more than {_DEEPEST} elements in each other")
        for attribute, value in attributes.items():
            _look_at(attribute.rpartition(":")[2].lower(), value)

    def words(text: str) -> None:
        if path[-1] == "style":
            _look_at("style", text)

    def entity(*_: object) -> None:
        raise ValueError("declares entities, which a logo may not")

    def instruction(target: str, _: str) -> None:
        raise ValueError(f"holds the instruction <?{target}, which a logo may not")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.CharacterDataHandler = words
    parser.buffer_text, parser.buffer_size = True, _LARGEST
    parser.EntityDeclHandler = entity
    parser.ProcessingInstructionHandler = instruction
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(f"is no valid SVG: {error}") from None


def _look_at(attribute: str, value: str) -> None:
    if attribute.startswith("on"):
        raise ValueError(f"has the attribute {attribute}, which a logo may not")
    if attribute in ("href", "src") and not _EMBEDDED.match(value.strip()):
        raise ValueError(f"asks for {value[:60]!r}, but a logo may hold only what is embedded in it")
    if _REFERENCE.search(value):
        raise ValueError(f"asks for {value[:60]!r}, but a logo may hold only what is embedded in it")

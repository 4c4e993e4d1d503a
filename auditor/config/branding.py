"""The branding of a report: title, logo, footer and confidentiality note.

They are settings, so `audit.json` records them and a report that is rendered again shows the same. The logo is
recorded as a `data:` URI. It is validated when it is read and when it is rendered: a logo never runs or fetches
anything.
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
from auditor.process.regular_files import opened

LONGEST = {"title": 120, "footer": 120, "confidential": 120}
"""Maximum number of letters of each text, so that it fits the page footer."""

_LARGEST = 2**20  # bytes of a logo's file
_MOST_PIXELS = 800  # on the longer side of a logo
_WIDEST = 10_000
_DEEPEST = 50  # nested elements of a drawing
_URI = re.compile(r"data:image/(?:png|jpeg|svg\+xml);base64,([A-Za-z0-9+/=]+)")
_REFUSED = frozenset(("script", "foreignobject", "use", "iframe", "audio", "video"))
_EMBEDDED = re.compile(r"#|data:image/(?:png|jpeg);base64,")
_REFERENCE = re.compile(r"url\(\s*+['\"]?+\s*+(?!#)|@import|\\", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Letterhead:
    """The branding of a report; every part may be empty.

    Attributes:
        title: Title of the report, shown above the name of the checkpoint.
        logo: A PNG, JPEG or SVG as a `data:` URI.
        footer: Text at the foot of every page.
        confidential: Confidentiality note, shown on the cover and at the foot of every page.
        redact: Leave out paths, names of users and hosts, and tracebacks.
    """

    title: str = ""
    logo: str = ""
    footer: str = ""
    confidential: str = ""
    redact: bool = False

    def as_settings(self) -> dict[str, Any]:
        """Return the parts that are not empty, as `audit.json` records them."""
        return {name: value for name, value in asdict(self).items() if value}


def text(name: str, value: str) -> str:
    """Return a text on one line.

    Raises:
        UsageError: The text is too long.
    """
    line = " ".join(value.split())
    if len(line) > LONGEST[name]:
        raise UsageError(f"report.{name} has {len(line)} letters, but at most {LONGEST[name]} are allowed")
    return line


def logo(path: Path) -> str:
    """Return the picture in a file as a `data:` URI; a PNG or JPEG is scaled down to the size a page needs.

    Raises:
        UsageError: The file can't be read, is too large, is not a PNG, JPEG or SVG, or refers to anything outside it.
    """
    try:
        with opened(path) as file:
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
    """Return the letterhead recorded in an `audit.json`; invalid parts, as of an edited file, are left out."""
    found: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    texts = {name: " ".join(str(found.get(name, "")).split())[:most] for name, most in LONGEST.items()}
    return Letterhead(texts["title"], _checked(found.get("logo")), texts["footer"], texts["confidential"])


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
        _refuse_active_content(data)
    else:
        raise ValueError("is neither PNG, JPEG nor SVG")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _is_markup(data: bytes) -> bool:
    return data[:400].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _pixels(data: bytes) -> tuple[str, bytes]:
    """Return the format of a picture, and its bytes, scaled down to the pixels that a page shows."""
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


def _refuse_active_content(data: bytes) -> None:
    """Refuse an SVG with active or external content.

    Raises:
        ValueError: It is not an SVG, or contains scripts, entities or external references.
    """
    path: list[str] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        path.append(name.rpartition(":")[2].lower())
        if path[0] != "svg":
            raise ValueError(f"is not an SVG: it begins with <{name}>")
        if path[-1] in _REFUSED:
            raise ValueError(f"contains <{name}>, which is not allowed in a logo")
        if len(path) > _DEEPEST:
            raise ValueError(f"has more than {_DEEPEST} nested elements")
        for attribute, value in attributes.items():
            _refuse_reference(attribute.rpartition(":")[2].lower(), value)

    def words(text: str) -> None:
        if path[-1] == "style":
            _refuse_reference("style", text)

    def entity(*_: object) -> None:
        raise ValueError("declares entities, which are not allowed in a logo")

    def instruction(target: str, _: str) -> None:
        raise ValueError(f"contains the instruction <?{target}, which is not allowed in a logo")

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
        raise ValueError(f"is not a valid SVG: {error}") from None


def _refuse_reference(attribute: str, value: str) -> None:
    if attribute.startswith("on"):
        raise ValueError(f"has the attribute {attribute}, which is not allowed in a logo")
    if attribute in ("href", "src") and not _EMBEDDED.match(value.strip()):
        raise ValueError(f"refers to {value[:60]!r}, but a logo may only contain embedded data")
    if _REFERENCE.search(value):
        raise ValueError(f"refers to {value[:60]!r}, but a logo may only contain embedded data")

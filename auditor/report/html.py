"""`report.html`: a single file that loads nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from auditor.report import templates
from auditor.report.album import ADDRESS, Album, embedded
from auditor.report.blocks import SCREEN
from auditor.report.page import page_of
from auditor.results import Audit, Figure, Gallery

NAME = "report.html"

_QUALITIES = ((25_000_000, 60), (10_000_000, 75))
"""JPEG quality by the number of bytes of all pictures over which it is used (a third more in the page)."""


def save(audit: Audit, folder: Path, folders: Sequence[Path] = ()) -> None:
    """Write `report.html`.

    Raises:
        OutputError: A template is invalid.
    """
    (folder / NAME).write_text(text(audit, folders), encoding="utf-8", newline="\n")


def text(audit: Audit, folders: Sequence[Path] = ()) -> str:
    """Return the page."""
    style, script = templates.asset("report.css", folders), templates.asset("report.js", folders)
    size = _bytes_of(audit)
    quality = next((quality for limit, quality in _QUALITIES if size > limit), 0)
    album = Album(compress=quality)
    page, policy = page_of(audit, SCREEN, album), _policy(style, script)
    bare = templates.render(NAME, page, folders, style=style, script=script, policy=policy, compressed=bool(quality))
    return ADDRESS.sub(lambda found: _embedded(found[0], album), bare)


def _embedded(address: str, album: Album) -> str:
    """Return the picture at an address; text that only looks like an address is returned unchanged."""
    return embedded(album.files[address]) if address in album.files else address


def _bytes_of(audit: Audit) -> int:
    """Return the number of bytes of all pictures, each counted once."""
    pieces = [piece for result in audit.results for piece in result.evidence]
    images = {piece.image for piece in pieces if isinstance(piece, Figure)}
    images |= {item.image for piece in pieces if isinstance(piece, Gallery) for item in piece.items}
    return sum(map(len, images))


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: this style sheet, this script, embedded pictures, nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(inline: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()

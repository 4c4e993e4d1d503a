"""The picture files of a report: their names, and reading them again.

Names come from titles, which may contain anything. Only a-z, 0-9, underscores and hyphens remain.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from pathlib import Path

from auditor.errors import OutputError
from auditor.process.regular_files import content

FOLDER = "evidence"

_SIGNATURES = {"png": b"\x89PNG\r\n\x1a\n", "jpg": b"\xff\xd8\xff"}
_LONGEST_NAME = 60
_LARGEST = 2**28  # bytes


class Shelf:
    """Pictures by their future path, relative to the output folder.

    Args:
        taken: Paths that no picture may have, because a user's own files have them.
    """

    def __init__(self, taken: Collection[str] = ()) -> None:
        self.files: dict[str, bytes] = {}
        self._taken = frozenset(taken)

    def place(self, check: str, title: str, image: bytes) -> str:
        """Add a picture and return its path, which no other picture has."""
        stem = f"{self._folder(slug(check, 'check'))}/{slug(title, 'picture')}"
        path, count = f"{stem}.{kind(image)}", 1
        while path in self.files or path in self._taken:
            count += 1
            path = f"{stem}-{count}.{kind(image)}"
        self.files[path] = image
        return path

    def _folder(self, name: str) -> str:
        path, count = f"{FOLDER}/{name}", 1
        while path in self._taken:
            count += 1
            path = f"{FOLDER}/{name}-{count}"
        return path


def slug(text: str, otherwise: str) -> str:
    """Return a short name that is valid in every file system."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9_]+", "-", ascii_only)[:_LONGEST_NAME].strip("-")
    return words or otherwise


def kind(image: bytes) -> str:
    """Return `png` or `jpg`, or `bin` for bytes that are neither."""
    return next((name for name, start in _SIGNATURES.items() if image.startswith(start)), "bin")


def load(folder: Path, path: str) -> bytes:
    """Return the bytes of one picture of a report.

    Raises:
        OutputError: The picture is missing, or its path is outside the report.
    """
    try:
        file = (folder / path).resolve()
        if not file.is_relative_to((folder / FOLDER).resolve()):
            raise OutputError(f"{folder} is not a valid report: its picture {path!r} is outside {FOLDER}/")
        return content(file, most=_LARGEST)
    except (OSError, ValueError):
        raise OutputError(f"the picture {path} of the report in {folder} is missing: run the audit again") from None

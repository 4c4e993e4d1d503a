"""The members of an archive: their names, and where their bytes lie."""

from __future__ import annotations

import errno
from typing import Final, NamedTuple

from auditor.data import suffixes
from auditor.language import _

MOST: Final = 20_000_000
"""The largest number of members of all archives together."""

LONGEST: Final = 4096
"""The longest name of a member, as of a path."""


class Member(NamedTuple):
    """A member of an archive.

    Attributes:
        name: With `/`, relative to the archive; a folder ends in `/`.
        start: Where its bytes begin, or where the header in front of them does.
        size: The number of its bytes, as they are in the archive.
        whole: The number of its bytes, unpacked.
        checksum: CRC-32 of the unpacked bytes; None if the format has none.
        packed: Whether the bytes are deflated.
        problem: Why it can't be read; empty if it can.
    """

    name: str
    start: int
    size: int
    whole: int
    checksum: int | None = None
    packed: bool = False
    problem: str = ""

    @property
    def suffix(self) -> str:
        """The last suffix of the name, in small letters."""
        return suffixes.of(self.name)

    @property
    def hidden(self) -> bool:
        """Whether a part of the name is hidden, or is what a system puts into archives by itself."""
        name = self.name
        if "/." not in name and name[:1] != "." and not any(map(name.lower().__contains__, _IGNORED)):
            return False
        return any(part.startswith(".") or part.lower() in _IGNORED for part in name.split("/") if part != "..")


_IGNORED: Final = frozenset(["__macosx", "thumbs.db", "desktop.ini"])


def plain(name: str) -> tuple[str, str]:
    """Return a member's name without `./`, and why it may not be used; the reason is empty if it may.

    No member is ever written to the disk, so a name can do no harm. But one that leads out of the archive names no
    class, so it is shown without folders.
    """
    if _is_plain(name):
        return name, ""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    joined = "/".join(parts) + ("/" if name.endswith("/") and parts else "")
    shown = "".join(c if c.isprintable() else "�" for c in joined)
    if name.startswith("/") or ".." in parts or (parts[:1] and parts[0][1:2] == ":"):
        return "_".join(part for part in shown.split("/") if part not in ("", "..")), _(
            "its name leads out of the archive"
        )
    if len(name) > LONGEST:
        return shown[:LONGEST], _("its name has {n:,} letters", n=len(name))
    return shown, ""


def _is_plain(name: str) -> bool:
    """Return whether nothing is to be changed; nearly all names are plain, so this is quick."""
    return (
        name.isprintable()
        and "/." not in name
        and "//" not in name
        and name[:1] not in ("", "/", ".")
        and name[1:2] != ":"
        and len(name) <= LONGEST
    )


def refused(reason: str, name: str) -> OSError:
    """Return the error of a member that can't be read."""
    return OSError(errno.EIO, reason, name)

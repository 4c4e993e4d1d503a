"""The index of a tar archive.

It is read once, header by header. Of a header only the name, the size and the kind count. Nothing is ever unpacked to
the disk; links and devices are listed and can't be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from auditor.data.sources.location import Location, unreadable
from auditor.data.sources.member import MOST, Member, plain
from auditor.language import _

_BLOCK: Final = 512
_MOST_PAX: Final = 2**20  # bytes of a header that continues another one
_REGULAR: Final = (b"0", b"\0", b"7")
_KINDS: Final = {b"1": "a link", b"2": "a link", b"3": "a device", b"4": "a device", b"6": "a FIFO"}


def members(location: Location) -> Iterator[Member]:
    """Yield the members of a tar archive, in their order.

    Raises:
        DataError: The file can't be read, or it is no tar archive.
    """
    try:
        size = location.size()
        with location.open() as file:
            yield from _members(location, file, size)
    except OSError as error:
        raise unreadable("tar archive", location, error) from error


def _members(location: Location, file: Any, end: int) -> Iterator[Member]:
    place, longer = 0, dict[str, str]()
    for _number in range(MOST):
        if place >= end:  # a size in a header may lead anywhere
            return
        file.seek(place)
        header = file.read(_BLOCK)
        if len(header) < _BLOCK or not header.strip(b"\0"):
            return
        if not _is_whole(header):
            raise unreadable("tar archive", location, f"the header at byte {place:,} is damaged")
        size, kind = _number_of(header[124:136]), header[156:157]
        if kind in (b"L", b"x"):
            longer |= _continued(location, file, kind, size)
        elif kind not in (b"g", b"K"):
            size = int(longer.get("size", size))
            yield _member(header, kind, place + _BLOCK, size, end, longer)
            longer = {}
            if kind not in _REGULAR:
                size = 0 if kind in (*_KINDS, b"5") else size
        place += _BLOCK + -(-size // _BLOCK) * _BLOCK
    raise unreadable("tar archive", location, f"it has more than {MOST:,} members")


def _member(header: bytes, kind: bytes, start: int, size: int, end: int, longer: dict[str, str]) -> Member:
    name, problem = plain(longer.get("path") or _own_name(header))
    if kind == b"5":
        return Member(name.rstrip("/") + "/", start, 0, 0, problem=problem)
    if kind not in _REGULAR:
        problem = problem or _("{kind} inside of an archive, not a regular file", kind=_KINDS.get(kind, "special"))
    elif start + size > end:
        problem = problem or _("cut: the archive ends before it")
    return Member(name, start, size, size, problem=problem)


def _own_name(header: bytes) -> str:
    name, prefix = _text(header[:100]), _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "replace")


def _is_whole(header: bytes) -> bool:
    total = sum(header[:148]) + sum(header[156:]) + 8 * 32
    return bool(re.fullmatch(rb"[ \0]*[0-7]+[ \0]*", header[148:156])) and _octal(header[148:156]) == total


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else 0


def _number_of(field: bytes) -> int:
    """Return a size: octal digits, or in base 256 where the first bit is set."""
    return int.from_bytes(field, "big") & ~(0xFF << 88) if field[0] & 0x80 else _octal(field)


def _continued(location: Location, file: Any, kind: bytes, size: int) -> dict[str, str]:
    """Return what a header says of the next one: its whole name, or its size.

    Raises:
        DataError: It is too long.
    """
    if size > _MOST_PAX:
        raise unreadable("tar archive", location, f"a header of {size:,} bytes; expected at most {_MOST_PAX:,}")
    found = file.read(size)
    if kind == b"L":
        return {"path": _text(found)}
    said = (line.decode("utf-8", "replace").partition("=") for line in _lines(found))
    return {
        key: value
        for key, _mark, value in said
        if key == "path" or (key == "size" and re.fullmatch("[0-9]{1,15}", value, re.ASCII))
    }


def _lines(records: bytes) -> Iterator[bytes]:
    """Yield the records `LENGTH KEY=VALUE` of a pax header, one a line, without their lengths."""
    place = 0
    while found := re.compile(rb"([0-9]{1,7}) ").match(records, place):
        length = int(found[1])
        if length <= found.end() - place:
            return
        yield records[found.end() : place + length].rstrip(b"\n")
        place += length

"""The index of a zip archive, and its members.

The index at the end counts; a member whose own header contradicts it can't be read. An archive whose members overlap
was made to unpack to more than it could hold, and is refused.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from auditor.data.sources.location import Location, exactly, unreadable
from auditor.data.sources.member import MOST, Member, plain, refused
from auditor.language import _

_END: Final = struct.Struct("<4s4H2LH")
_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 1, 1 << 11
_LARGEST: Final = 2**30  # bytes of an index


def members(location: Location) -> Iterator[Member]:
    """Yield the members of a zip archive, in their order.

    Raises:
        DataError: The file can't be read, it is no zip archive, or its members overlap.
    """
    try:
        count, place, size = _directory(location)
        if count > MOST or size > _LARGEST:
            raise unreadable("zip archive", location, f"it has {count:,} members; expected at most {MOST:,}")
        found = list(_entries(exactly(location, place, size), count))
    except (OSError, struct.error) as error:
        raise unreadable(
            "zip archive", location, error if isinstance(error, OSError) else "its index is cut"
        ) from error
    _refuse_overlaps(location, found, place)
    yield from found


def content(location: Location, member: Member) -> bytes:
    """Return the bytes of a member, whose sizes the caller has bounded.

    Raises:
        OSError: They can't be read, or they are not those that the index declares.
    """
    header = exactly(location, member.start, _LOCAL.size)
    magic, _version, flags, method, *_times, name, extra = _LOCAL.unpack(header)
    if magic != b"PK\x03\x04" or method != (_DEFLATED if member.packed else _STORED) or flags & _ENCRYPTED:
        raise refused(_("its header is not the one that the index declares"), member.name)
    found = exactly(location, member.start + _LOCAL.size + name + extra, member.size)
    whole = _unpacked(found, member) if member.packed else found
    if len(whole) != member.whole or zlib.crc32(whole) != member.checksum:
        raise refused(_("damaged: its size or its checksum is not the one that the index declares"), member.name)
    return whole


def _unpacked(found: bytes, member: Member) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(found, member.whole + 1)
    except zlib.error as error:
        raise refused(_("damaged: it can't be unpacked"), member.name) from error


def _directory(location: Location) -> tuple[int, int, int]:
    """Return the number of members, and where the index begins and how long it is."""
    size = location.size()
    start = max(0, size - _END.size - 0xFFFF)
    tail = exactly(location, start, size - start)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise refused("its index is missing; is it whole?", str(location.path))
    _magic, disk, first, here, count, length, place, _comment = _END.unpack_from(tail, at)
    if 0xFFFFFFFF in (length, place) or 0xFFFF in (count, here):
        return _directory64(location, start + at)
    if here != count or disk != first:
        raise refused("it is one part of several; join them first", str(location.path))
    return count, place, length


def _directory64(location: Location, end: int) -> tuple[int, int, int]:
    magic, _disk, at, _disks = _LOCATOR.unpack(exactly(location, max(0, end - _LOCATOR.size), _LOCATOR.size))
    if magic == b"PK\x06\x07":
        magic, *_about, count, length, place = _END64.unpack(exactly(location, at, _END64.size))
        if magic == b"PK\x06\x06":
            return count, place, length
    raise refused("its 64-bit index is damaged", str(location.path))


def _entries(index: bytes, count: int) -> Iterator[Member]:
    place = 0
    for _number in range(count):
        magic, _by, _needs, flags, method, _t, _d, crc, packed, size, name, extra, comment, _k, _i, mode, start = (
            _ENTRY.unpack_from(index, place)
        )
        texts = place + _ENTRY.size
        if magic != b"PK\x01\x02" or texts + name + extra + comment > len(index):
            raise struct.error("no entry")
        size, packed, start = _wide(index[texts + name : texts + name + extra], size, packed, start)
        text = index[texts : texts + name].decode("utf-8" if flags & _UTF8 else "cp437", "replace")
        shown, problem = plain(text.replace("\\", "/"))
        member = Member(shown, start, packed, size, crc, method == _DEFLATED, problem)
        yield replace(member, problem=problem or _problem(member, flags, method, mode >> 16))
        place = texts + name + extra + comment


def _wide(extra: bytes, *numbers: int) -> tuple[int, ...]:
    """Return the numbers of an entry; those that are all ones stand in its extra field."""
    place, found = 0, list(numbers)
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        if kind == 1:
            given = list(struct.unpack_from(f"<{min(length, len(extra) - place - 4) // 8}Q", extra, place + 4))
            found = [given.pop(0) if n == 0xFFFFFFFF and given else n for n in found]
        place += 4 + length
    return tuple(found)


def _problem(member: Member, flags: int, method: int, mode: int) -> str:
    if flags & _ENCRYPTED:
        return _("encrypted")
    if method not in (_STORED, _DEFLATED):
        return _("packed in a way that is not read (method {method})", method=method)
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return _("{kind} inside of an archive, not a regular file", kind="a link" if stat.S_ISLNK(mode) else "special")
    if not member.packed and member.size != member.whole:
        return _("damaged: two sizes that contradict each other")
    return ""


def _refuse_overlaps(location: Location, found: Sequence[Member], index: int) -> None:
    end = 0
    for member in sorted(found, key=lambda one: (one.start, one.size)):
        if member.start < end:
            raise unreadable("zip archive", location, f"its members overlap at {member.name[:80]!r}")
        end = member.start + _LOCAL.size + member.size
    if end > index:
        raise unreadable("zip archive", location, "its members overlap with their index, or it is cut")

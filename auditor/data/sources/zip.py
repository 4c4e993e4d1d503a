"""The index of a zip archive, and its members.

The index at the end counts; a member whose own header contradicts it can't be read. An archive whose members overlap
was made to unpack to more than it could hold, and is refused.
"""

from __future__ import annotations

import itertools
import stat
import struct
import zlib
from array import array
from collections.abc import Iterator
from typing import Final

import numpy as np

from auditor.data.sources.location import Location, exactly, unreadable
from auditor.data.sources.member import MOST, Member, plain, refused
from auditor.language import _

_END: Final = struct.Struct("<4s4H2LH")
_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_WIDE: Final = 0xFFFFFFFF  # says that the number stands in 64 bits elsewhere
_PLAIN_MODES: Final = (0, stat.S_IFREG, stat.S_IFDIR)
_ENCRYPTED, _UTF8 = 1, 1 << 11
_LARGEST: Final = 2**30  # bytes of an index


def members(location: Location) -> Iterator[Member]:
    """Yield the members of a zip archive, in their order.

    Raises:
        DataError: The file can't be read, it is no zip archive, or, after the last one, its members overlap.
    """
    starts, sizes = array("Q"), array("Q")
    try:
        count, place, size = _directory(location)
        if count > MOST or size > _LARGEST:
            raise unreadable("zip archive", location, f"it has {count:,} members; expected at most {MOST:,}")
        index = exactly(location, place, size)
        for member in _entries(index, count):
            starts.append(member.start)
            sizes.append(member.size)
            yield member
    except (OSError, struct.error) as error:
        raise unreadable(
            "zip archive", location, error if isinstance(error, OSError) else "its index is cut"
        ) from error
    if (overlapping := _overlapping(starts, sizes, place)) is not None:
        name = next(itertools.islice(_entries(index, count), overlapping, None)).name
        raise unreadable("zip archive", location, f"its members overlap at {name[:80]!r}, or it is cut")


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
    if _WIDE in (length, place) or 0xFFFF in (count, here):
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
        if extra and _WIDE in (size, packed, start):
            size, packed, start = _wide(index[texts + name : texts + name + extra], size, packed, start)
        written = index[texts : texts + name]
        text = written.decode("utf-8" if flags & _UTF8 or written.isascii() else "cp437", "replace")
        shown, problem = plain(text.replace("\\", "/"))
        problem = problem or _problem(flags, method, mode >> 16, sizes=(packed, size))
        yield Member(shown, start, packed, size, crc, method == _DEFLATED, problem)
        place = texts + name + extra + comment


def _wide(extra: bytes, *numbers: int) -> tuple[int, ...]:
    """Return the numbers of an entry; those that are all ones stand in its extra field."""
    place, found = 0, list(numbers)
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        if kind == 1:
            given = list(struct.unpack_from(f"<{min(length, len(extra) - place - 4) // 8}Q", extra, place + 4))
            found = [given.pop(0) if n == _WIDE and given else n for n in found]
        place += 4 + length
    return tuple(found)


def _problem(flags: int, method: int, mode: int, *, sizes: tuple[int, int]) -> str:
    if flags & _ENCRYPTED:
        return _("encrypted")
    if method not in (_STORED, _DEFLATED):
        return _("packed in a way that is not read (method {method})", method=method)
    if stat.S_IFMT(mode) not in _PLAIN_MODES:
        return _("{kind} inside of an archive, not a regular file", kind="a link" if stat.S_ISLNK(mode) else "special")
    if method == _STORED and sizes[0] != sizes[1]:
        return _("damaged: two sizes that contradict each other")
    return ""


def _overlapping(starts: array[int], sizes: array[int], end: int) -> int | None:
    """Return the place of a member that begins before another one ends, or that ends after the last byte.

    Args:
        end: Where the index begins.
    """
    begins = np.frombuffer(starts, np.uint64)
    least = np.minimum(np.frombuffer(sizes, np.uint64), np.uint64(2**62)) + np.uint64(_LOCAL.size)
    ends = np.minimum(begins, np.uint64(2**62)) + least
    order = np.lexsort((least, begins))
    limits = np.append(begins[order][1:], np.uint64(end))
    wrong = np.flatnonzero((ends[order] > limits) | (begins[order] > np.uint64(end)))
    return int(order[wrong[0]]) if wrong.size else None

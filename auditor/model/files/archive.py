"""The index of a zip archive that torch wrote, and the records in it.

A zip archive says everything twice, and readers differ in what they believe. Here the index at the end counts, and an
archive whose parts contradict it is damaged.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import torch

from auditor.model.files.budget import Budget
from auditor.model.files.content import Content
from auditor.model.files.opcodes import Malformed

_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1
MOST_RECORDS: Final = 100_000
LARGEST_PICKLE: Final = 256 * 2**20


@dataclass(frozen=True)
class Record:
    """An entry of the index, and where its bytes lie in the file."""

    name: str
    start: int
    packed: int
    size: int
    crc: int
    method: int


class Archive:
    """The records of an archive, by the names inside of its one folder."""

    def __init__(self, content: Content, budget: Budget) -> None:
        self._content = content
        self._budget = budget
        every = _records(content.view, budget)
        roots = [name.removesuffix("data.pkl") for name in every if name.removesuffix("data.pkl").count("/") == 1]
        roots = [root for root in roots if f"{root}data.pkl" in every]
        if len(roots) != 1:
            raise Malformed(f"it has {len(roots)} records called data.pkl; expected one")
        self._records = {name.removeprefix(roots[0]): r for name, r in every.items() if name.startswith(roots[0])}

    def __contains__(self, name: str) -> bool:
        return name in self._records

    def size(self, name: str) -> int:
        """Return the size of a record, unpacked.

        Raises:
            Malformed: There is none of that name.
        """
        return self._record(name).size

    def bytes(self, name: str, *, most: int = LARGEST_PICKLE) -> memoryview:
        """Return the bytes of a small record.

        Raises:
            Malformed: It is missing, damaged or larger than `most`.
        """
        record = self._record(name)
        if record.size > most:
            raise Malformed(f"its record {name} has {record.size:,} bytes; expected at most {most:,}")
        if record.method == _DEFLATED:
            return memoryview(self._unpacked(record))
        return self._checked(record)

    def storage(self, name: str) -> torch.UntypedStorage:
        """Return a record as the memory of tensors.

        Raises:
            Malformed: It is missing or damaged.
        """
        record = self._record(name)
        if record.method == _DEFLATED:
            unpacked = self._unpacked(record)
            return Content(unpacked, len(unpacked)).storage(0, len(unpacked))
        self._checked(record)
        return self._content.storage(record.start, record.size)

    def _record(self, name: str) -> Record:
        if name not in self._records:
            raise Malformed(f"it has no record {name[:80]!r}")
        return self._records[name]

    def _checked(self, record: Record) -> memoryview:
        stored = self._content.view[record.start : record.start + record.size]
        if zlib.crc32(stored) != record.crc:
            raise Malformed(f"its record {record.name[:80]!r} is damaged: the checksum differs")
        return stored

    def _unpacked(self, record: Record) -> bytearray:
        self._budget.memory(record.size)
        packed = self._content.view[record.start : record.start + record.packed]
        try:
            inflate = zlib.decompressobj(-zlib.MAX_WBITS)
            unpacked = bytearray(inflate.decompress(packed, record.size + 1))
        except zlib.error as error:
            raise Malformed(f"its record {record.name[:80]!r} can't be unpacked") from error
        if len(unpacked) != record.size or zlib.crc32(unpacked) != record.crc:
            raise Malformed(f"its record {record.name[:80]!r} is damaged: the checksum or the size differs")
        return unpacked


def _records(view: memoryview, budget: Budget) -> dict[str, Record]:
    count, place, size = _directory(view)
    if not 0 <= place <= place + size <= len(view) or count * _ENTRY.size > size:
        raise Malformed("the index of its archive lies outside of the file")
    if count > MOST_RECORDS:
        raise Malformed(f"it has {count:,} records; expected at most {MOST_RECORDS:,}")
    budget.step(count)
    found: dict[str, Record] = {}
    for record in _entries(view, count, place):
        if record.name in found:
            raise Malformed(f"it has two records called {record.name[:80]!r}")
        found[record.name] = record
    _refuse_overlaps(list(found.values()), place)
    return found


def _directory(view: memoryview) -> tuple[int, int, int]:
    """Return the number of records, and where the index begins and how long it is."""
    tail_start = max(0, len(view) - _END.size - 0xFFFF)
    tail = bytes(view[tail_start:])
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + _END.size > len(tail):
        raise Malformed("the index of its archive can't be read")
    _magic, disk, first, here, count, size, place, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail) or (disk, first) not in ((0, 0), (0xFFFF, 0xFFFF)):
        raise Malformed("the index of its archive is not at the end of the file")
    if 0xFFFFFFFF in (size, place) or 0xFFFF in (count, here):
        return _directory64(view, tail_start + at)
    if here != count:
        raise Malformed("the index of its archive is split")
    return count, place, size


def _directory64(view: memoryview, end: int) -> tuple[int, int, int]:
    try:
        magic, _disk, at, _disks = _LOCATOR.unpack_from(view, end - _LOCATOR.size)
        if magic != b"PK\x06\x07" or at > end:
            raise Malformed("the 64-bit index of its archive can't be read")
        magic, _size, _v, _w, _d, _f, here, count, size, place = _END64.unpack_from(view, at)
    except struct.error as error:
        raise Malformed("the 64-bit index of its archive can't be read") from error
    if magic != b"PK\x06\x06" or here != count:
        raise Malformed("the 64-bit index of its archive can't be read")
    return count, place, size


def _entries(view: memoryview, count: int, place: int) -> Iterator[Record]:
    for _ in range(count):
        try:
            magic, *_versions, flags, method, _t, _d, crc, packed, size, name, extra, comment, disk, _i, _e, start = (
                _ENTRY.unpack_from(view, place)
            )
        except struct.error as error:
            raise Malformed("the index of its archive is cut") from error
        texts = place + _ENTRY.size
        if magic != b"PK\x01\x02" or texts + name + extra + comment > len(view) or disk not in (0, 0xFFFF):
            raise Malformed("the index of its archive is damaged")
        words = bytes(view[texts : texts + name]).decode("utf-8", "replace")
        size, packed, start = _wide(view[texts + name : texts + name + extra], size, packed, start)
        yield _placed(view, Record(words, start, packed, size, crc, method), flags, name)
        place = texts + name + extra + comment


def _wide(extra: memoryview, *numbers: int) -> tuple[int, ...]:
    """Return the numbers of an entry; those that are all ones stand in its extra field."""
    place, found = 0, list(numbers)
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        if kind == 1:
            given = list(struct.unpack_from(f"<{min(length, len(extra) - place - 4) // 8}Q", extra, place + 4))
            found = [given.pop(0) if n == 0xFFFFFFFF and given else n for n in found]
        place += 4 + length
    return tuple(found)


def _placed(view: memoryview, record: Record, flags: int, name_length: int) -> Record:
    """Return the record with the start of its bytes, which follow the header in front of them."""
    shown = f"its record {record.name[:80]!r}"
    if flags & _ENCRYPTED or record.method not in (_STORED, _DEFLATED):
        raise Malformed(f"{shown} is encrypted or packed in an unknown way; save the file again")
    try:
        magic, _v, _f, method, _t, _d, _crc, _packed, _size, name, extra = _LOCAL.unpack_from(view, record.start)
    except struct.error as error:
        raise Malformed(f"{shown} lies outside of the file") from error
    start = record.start + _LOCAL.size + name + extra
    if magic != b"PK\x03\x04" or method != record.method or name != name_length:
        raise Malformed(f"{shown} has another header than the index says")
    if start + record.packed > len(view) or (record.method == _STORED and record.packed != record.size):
        raise Malformed(f"{shown} has {record.packed:,} bytes, more than the file")
    return Record(record.name, start, record.packed, record.size, record.crc, record.method)


def _refuse_overlaps(records: list[Record], index: int) -> None:
    end = 0
    for record in sorted(records, key=lambda r: (r.start, r.packed)):
        if record.start - _LOCAL.size < end:
            raise Malformed(f"its record {record.name[:80]!r} overlaps with another one")
        end = max(end, record.start + record.packed)
    if end > index:
        raise Malformed("its records overlap with their index")

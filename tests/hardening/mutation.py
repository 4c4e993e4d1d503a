"""Mutations of files: of their bytes, and of what stands in a zip archive, a JSON document or a safetensors header."""

from __future__ import annotations

import copy
import io
import json
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Mutate = Callable[[Random, bytes, Sequence[bytes], Sequence[bytes]], bytes]

_NUMBERS = (0, 1, 2, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 2**70, 10**400, 1e308, -0.0, float("nan"), float("inf"),
    "", " ", "\0", "a\nb", "x" * 5000, "\ud800", "\u202e", "../../etc/passwd", "/dev/zero", "NaN",
    [], {}, [[]], [None], [0, 0], {"": None}, {"number": "NaN"},
)  # fmt: skip
_DEEP = 400


def mutated(random: Random, content: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Return the content after one to four mutations, of its structure where it has one."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 4))):
        structured = _structure(content)
        change = structured if structured and random.random() < 0.7 else in_bytes
        content = change(random, content, others, tokens)
    return content


def in_bytes(random: Random, content: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Flip, overwrite, remove, repeat, insert, cut off, or go on with another file."""
    at = random.randrange(len(content) + 1)
    length = min(random.choice((1, 1, 2, 4, 8, 32, 200)), len(content) - at)
    head, taken, tail = content[:at], content[at : at + length], content[at + length :]
    kind = random.randrange(8)
    if kind == 0 and taken:
        return head + bytes([taken[0] ^ 1 << random.randrange(8)]) + taken[1:] + tail
    if kind == 1:
        return head + random.randbytes(length) + tail
    if kind == 2:
        return head + tail
    if kind == 3:
        return head + taken * random.choice((2, 3, 60)) + tail
    if kind == 4 and tokens:
        return head + random.choice(tokens) + random.choice((taken, b"")) + tail
    if kind == 5:
        return head
    if kind == 6:
        other = random.choice(others)
        return head + other[random.randrange(len(other) + 1) :]
    return head + _number(random) + content[at + 4 :]


def _number(random: Random) -> bytes:
    width, order = random.choice((1, 2, 4, 8)), random.choice(("little", "big"))
    value: int = random.choice(_NUMBERS)
    return (value % 256**width).to_bytes(width, order)  # type: ignore[arg-type]


def _structure(content: bytes) -> Mutate | None:
    if content.startswith(b"PK"):
        return in_archive
    if content[8:9] == b"{":
        return in_header
    if content.lstrip()[:1] in (b"{", b"["):
        return in_json
    return None


def in_archive(random: Random, content: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Change, rename, drop, repeat or empty a record of a zip archive; the archive itself stays valid."""
    try:
        records = _records(content)
    except Exception:  # a damaged archive may raise any exception
        return in_bytes(random, content, others, tokens)
    if not records:
        return content
    place = random.randrange(len(records))
    name, inside = records[place]
    kind = random.randrange(10)
    if kind == 0:
        del records[place]
    elif kind == 1:
        records.append((name, random.choice(records)[1]))
    elif kind == 2:
        another = (f"{name}x", f"../{name}", f"/{name}", name[:-1], random.choice(records)[0])
        records[place] = (random.choice(another), inside)
    elif kind == 3:
        records[place] = (name, b"" if random.random() < 0.5 else random.choice(records)[1])
    else:
        change = _structure(inside) or in_bytes
        records[place] = (name, change(random, inside, [inside for _, inside in records], tokens))
    return _archive(records)


def _records(content: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(one.filename, archive.read(one)[: 2**22]) for one in archive.infolist()[:2000]]


def _archive(records: Sequence[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore")  # two records of one name are meant
        for name, inside in records:
            info = zipfile.ZipInfo(name or "x")
            info.extra = _padding(buffer.tell() + 30 + len(name.encode("utf-8", "replace")))
            archive.writestr(info, inside)
    return buffer.getvalue()


def _padding(place: int) -> bytes:
    """Return an extra field after which the record begins at a multiple of 64, as torch's own reader wants it."""
    missing = -(place + 4) % 64
    return b"FB" + struct.pack("<H", missing) + b"Z" * missing


def in_header(random: Random, content: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Change the JSON header of a safetensors file; its length stays right."""
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length]
    changed = in_json(random, header, [header], tokens)
    return len(changed).to_bytes(8, "little") + changed + content[8 + length :]


def in_json(random: Random, content: bytes, others: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Replace, remove, repeat or nest a value anywhere in a document, or in one line of JSON lines."""
    lines = content.split(b"\n")
    place = random.randrange(len(lines))
    for whole, start, end in ((content, 0, len(lines)), (lines[place], place, place + 1)):
        try:
            text = json.dumps(_changed(random, json.loads(whole)), ensure_ascii=random.random() < 0.5)
        except (ValueError, RecursionError):  # no document, or one that is nested too deep to change
            continue
        return b"\n".join([*lines[:start], text.encode("utf-8", "surrogatepass"), *lines[end:]])
    return in_bytes(random, content, others, tokens)


def _changed(random: Random, document: Any) -> Any:
    places = list(_places(document))
    if not places:
        return random.choice(_VALUES)
    inside, key = random.choice(places)
    kind = random.randrange(6)
    if kind == 0:
        del inside[key]
    elif kind == 1:
        other, name = random.choice(places)
        inside[key] = copy.deepcopy(other[name])
    elif kind == 2 and isinstance(inside, dict):
        inside[str(random.choice(_VALUES))[:50]] = inside.pop(key)
    elif kind == 3:
        inside[key] = [inside[key]] * random.choice((0, 2, 50))
    elif kind == 4 and random.random() < 0.2:
        inside[key] = _deep(inside[key])
    else:
        inside[key] = random.choice(_VALUES)
    return document


def _places(value: Any) -> Any:
    """Yield every container in a document, with every key in it."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else ()
        for key in keys:
            yield one, key
            waiting.append(one[key])


def _deep(value: Any) -> Any:
    nested: Any = None if isinstance(value, (dict, list)) else value
    for _ in range(_DEEP):
        nested = [nested]
    return nested

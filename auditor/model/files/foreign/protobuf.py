"""The kind of a file of protocol buffers, which have no magic bytes: known by the numbers and types of their fields.

Only tags and lengths are read; what a field holds is skipped, however long it is.
"""

from __future__ import annotations

import io
import os
from typing import BinaryIO, Final

from auditor.model.files.foreign.kind import ORIGINAL, Foreign, of_framework

_MOST: Final = 4096  # fields that are looked at
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

Fields = dict[tuple[int, int], bytes]
"""The first bytes of the first field of each number and type."""

_ONNX = {1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}
_CORE_ML_TYPES = range(200, 4000)


def kind(file: BinaryIO) -> Foreign | None:
    """Return what a file of protocol buffers is; None if it is none, or of an unknown kind."""
    file.seek(0)
    fields = _fields(file, file.seek(0, os.SEEK_END))
    if fields is None:
        return None
    if _is_onnx(fields):
        producer = _text(fields.get((2, _BYTES), b""))
        by = f", written by {producer}" if producer else ""
        return Foreign(f"an ONNX graph{by}", f"torch.onnx has no way back: {ORIGINAL}")
    if _is_core_ml(fields):
        return Foreign("a Core ML model", f"coremltools has no way back: {ORIGINAL}")
    if set(fields) == {(1, _VARINT), (2, _BYTES)} and _is_nested(fields[2, _BYTES]):
        return of_framework("the graph of a TensorFlow SavedModel", "TensorFlow")
    return _of_graph(fields)


def _of_graph(fields: Fields) -> Foreign | None:
    first = fields.get((1, _BYTES), b"")
    if {number for number, _ in fields} & {2, 100} and {(100, _BYTES), (2, _BYTES)} & set(fields) and _text(first):
        return of_framework("a Caffe network", "Caffe")
    inside = _fields(io.BytesIO(first), len(first), cut=True) or {}
    if (1, _VARINT) in inside and (2, _VARINT) in inside:
        return of_framework("a PaddlePaddle program", "PaddlePaddle")
    if _text(inside.get((1, _BYTES), b"")) and _text(inside.get((2, _BYTES), b"")):
        return of_framework("a frozen graph of TensorFlow", "TensorFlow")
    return None


def _is_onnx(fields: Fields) -> bool:
    known = {(1, _VARINT), (7, _BYTES)} <= set(fields)
    return known and {number for number, _ in fields} <= _ONNX


def _is_core_ml(fields: Fields) -> bool:
    network = any(number in _CORE_ML_TYPES for number, wire in fields if wire == _BYTES)
    return {(1, _VARINT), (2, _BYTES)} <= set(fields) and network


def _is_nested(content: bytes) -> bool:
    """Return whether the bytes begin with a message, as a graph of TensorFlow begins with information on it."""
    return content[:1] == b"\x0a"


def _fields(file: BinaryIO, size: int, *, cut: bool = False) -> Fields | None:
    """Return the fields of a message; None if it is no message. If it is cut, its last field may end outside."""
    file.seek(0)
    found: Fields = {}
    for _ in range(_MOST):
        if file.tell() == size and found:
            return found
        tag = _varint(file)
        if tag is None or not tag >> 3:
            return found if cut and found and tag is None else None
        content = _content(file, tag & 7, size, cut=cut)
        if content is None:
            return found if cut and found else None
        found.setdefault((tag >> 3, tag & 7), content)
    return found


def _content(file: BinaryIO, wire: int, size: int, *, cut: bool) -> bytes | None:
    if wire == _VARINT:
        value = _varint(file)
        return None if value is None else str(value).encode()
    length = {_FIXED64: 8, _FIXED32: 4}.get(wire) if wire != _BYTES else _varint(file)
    if length is None:
        return None
    start = file.tell()
    if start + length > size and not cut:
        return None
    content = file.read(min(length, 256))
    file.seek(min(size, start + length))
    return content


def _varint(file: BinaryIO) -> int | None:
    value = 0
    for place in range(10):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << 7 * place
        if byte[0] < 0x80:
            return value
    return None


def _text(content: bytes) -> str:
    """Return a short name of printable ASCII; empty if the bytes are anything else."""
    text = content.decode("ascii", errors="replace")
    return text if text.isascii() and text.isprintable() and len(text) < 200 else ""

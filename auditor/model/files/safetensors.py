"""Files of safetensors, whose header says where each tensor lies."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import torch
from torch import Tensor

from auditor.model.files.content import Content
from auditor.model.files.opcodes import Malformed
from auditor.model.files.storages import sizes

LARGEST_HEADER: Final = 25_000_000  # bytes; a header has about 100 for each tensor

_DTYPES: Final = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F8_E4M3FNUZ": torch.float8_e4m3fnuz,
    "F8_E5M2FNUZ": torch.float8_e5m2fnuz,
    "F8_E8M0": torch.float8_e8m0fnu,
    "C64": torch.complex64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read(content: Content) -> dict[str, Any]:
    """Return the metadata, and the tensors under `state_dict`.

    Raises:
        Malformed: The header contradicts itself or the file.
    """
    header, begin = _header(content)
    said = header.pop("__metadata__", None) or {}
    if not isinstance(said, dict):
        raise Malformed("its metadata is no mapping")
    _refuse_gaps(header, content.size - begin)
    tensors = {name: _tensor(content, name, entry, begin) for name, entry in header.items()}
    tied = {name: other for name, other in said.items() if name not in tensors and _names(other, tensors)}
    tensors |= {name: tensors[other] for name, other in tied.items()}  # `save_model` drops all names but one
    return {name: _decoded(text) for name, text in said.items() if name not in tied} | {"state_dict": tensors}


def _names(other: object, tensors: dict[str, Tensor]) -> bool:
    return isinstance(other, str) and other in tensors


def _header(content: Content) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(content.view[:8], "little")
    if content.size < 8 or length > content.size - 8:
        raise Malformed(f"its safetensors header has {length:,} bytes, more than the file")
    if length > LARGEST_HEADER:
        raise Malformed(f"its safetensors header has {length:,} bytes; expected at most {LARGEST_HEADER:,}")
    try:
        header = json.loads(bytes(content.view[8 : 8 + length]), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise Malformed("its safetensors header is not JSON, or names a tensor twice") from error
    if not isinstance(header, dict):
        raise Malformed("its safetensors header is no mapping")
    return header, 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _refuse_gaps(header: dict[str, Any], size: int) -> None:
    """Refuse tensors that overlap, and bytes that belong to none."""
    try:
        places = sorted(tuple(map(int, entry["data_offsets"])) for entry in header.values())
        ends = [end for _begin, end in places]
        begins = [begin for begin, _end in places]
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise Malformed("its safetensors header has an entry without the offsets of its bytes") from error
    if [0, *ends] != [*begins, size]:
        raise Malformed(f"its tensors overlap, leave gaps, or end elsewhere than its {size:,} bytes")


def _tensor(content: Content, name: str, entry: dict[str, Any], begin: int) -> Tensor:
    dtype = _DTYPES.get(str(entry.get("dtype"))[:20])
    if dtype is None:
        raise Malformed(f"its tensor {name[:80]!r} has the unknown type {str(entry.get('dtype'))[:20]!r}")
    shape = sizes(entry.get("shape"))
    first, end = entry["data_offsets"]
    if end - first != math.prod(shape) * dtype.itemsize:
        raise Malformed(f"its tensor {name[:80]!r} of size {list(shape)} has {end - first:,} bytes")
    storage = content.storage(begin + first, end - first, header=False, aligned=dtype.itemsize)
    if dtype is torch.bool and end > first and int(torch.empty(0, dtype=torch.uint8).set_(storage).max()) > 1:
        raise Malformed(f"its tensor {name[:80]!r} holds truth values other than 0 and 1")
    return torch.empty(0, dtype=dtype).set_(storage, 0, shape, _strides(shape))


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


def _decoded(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return text

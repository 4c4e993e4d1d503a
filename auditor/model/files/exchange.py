"""What an audit and a program in a sandbox say to each other: a header in JSON, then the bytes of tensors.

The other side may say anything. Nothing is unpickled, and the types, the shapes and the number of bytes are checked
before memory is taken.
"""

from __future__ import annotations

import json
import math
import os
import select
import struct
import time
from collections.abc import Sequence
from typing import Any, NoReturn

import torch
from torch import Tensor

_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float16, torch.bfloat16, torch.float32, torch.float64,
        torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool,
    )
}  # fmt: skip
_LENGTH = struct.Struct("<Q")
_LONGEST_HEADER = 16 * 2**20  # bytes
_MOST_DIMENSIONS = 16


class BrokenExchange(Exception):
    """The other side has ended, is late, or says what makes no sense."""


class Exchange:
    """The two ends of pipes to another process."""

    def __init__(self, source: int, target: int) -> None:
        self._source, self._target = source, target
        self._end = math.inf

    def send(self, said: dict[str, Any], tensors: Sequence[Tensor] = (), *, seconds: float = math.inf) -> None:
        """Send a header and tensors; `carried` says which can be sent.

        Raises:
            BrokenExchange: The other side does not take it, in time or at all.
        """
        self._end = time.monotonic() + seconds
        listed = [{"dtype": _name(t), "shape": list(t.shape), "stride": _stride(t)} for t in tensors]
        header = json.dumps({**said, "tensors": listed}).encode()
        self._write(_LENGTH.pack(len(header)) + header)
        for tensor in tensors:
            self._write(_bytes(tensor.detach().cpu().contiguous()))

    def receive(self, *, most: int, seconds: float = math.inf) -> tuple[dict[str, Any], list[Tensor]]:
        """Return a header and its tensors.

        Args:
            most: The largest number of bytes of all tensors together.

        Raises:
            BrokenExchange: Nothing comes in time, or what comes is not a header with such tensors.
        """
        self._end = time.monotonic() + seconds
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size))
        if length > _LONGEST_HEADER:
            raise BrokenExchange(f"it answers with a header of {length:,} bytes")
        said = _header(self._read(length))
        listed = said.pop("tensors", None)
        layouts = [_layout(one) for one in listed] if isinstance(listed, list) else _refuse("an invalid header")
        size = sum(math.prod(shape) * dtype.itemsize for dtype, shape, _ in layouts)
        if size > most:
            raise BrokenExchange(f"it answers with {size:,} bytes, more than {most:,}")
        return said, [self._tensor(*layout) for layout in layouts]

    def _tensor(self, dtype: torch.dtype, shape: list[int], stride: list[int]) -> Tensor:
        flat = torch.empty(math.prod(shape) * dtype.itemsize, dtype=torch.uint8)
        self._read_into(memoryview(_buffer(flat)))
        tensor = (flat != 0 if dtype is torch.bool else flat.view(dtype)).reshape(shape)
        if stride == list(tensor.stride()) or not tensor.numel():
            return tensor
        return torch.empty_strided(shape, stride, dtype=dtype).copy_(tensor)

    def _read(self, length: int) -> bytes:
        found = bytearray(length)
        self._read_into(memoryview(found))
        return bytes(found)

    def _read_into(self, view: memoryview) -> None:
        while len(view):
            self._wait(self._source, select.POLLIN)
            try:
                count = os.readv(self._source, [view])
            except BlockingIOError:
                continue
            if not count:
                raise BrokenExchange("it ended")
            view = view[count:]

    def _write(self, content: bytes | memoryview) -> None:
        view = memoryview(content)
        while len(view):
            self._wait(self._target, select.POLLOUT)
            try:
                view = view[os.write(self._target, view) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise BrokenExchange("it ended") from error

    def _wait(self, handle: int, event: int) -> None:
        if self._end == math.inf:
            return
        waiting = select.poll()
        waiting.register(handle, event)
        left = self._end - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            raise BrokenExchange("it gave no answer in time")


def carried(tensor: Tensor) -> bool:
    """Whether a tensor can be sent: it is dense and of a plain type."""
    return tensor.layout is torch.strided and tensor.dtype in _DTYPES.values() and not tensor.is_quantized


def _name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _stride(tensor: Tensor) -> list[int]:
    """Return the strides, so that the other side computes on the same layout; of views with gaps, plain ones."""
    dense = tensor.is_contiguous() or (tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last))
    return list(tensor.stride() if dense else tensor.detach().contiguous().stride())


def _bytes(tensor: Tensor) -> memoryview:
    return memoryview(_buffer(tensor.reshape(-1).view(torch.uint8))) if tensor.numel() else memoryview(b"")


def _buffer(tensor: Tensor) -> Any:
    return tensor.numpy()


def _header(content: bytes) -> dict[str, Any]:
    try:
        said = json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):
        said = None
    return said if isinstance(said, dict) else _refuse("an invalid header")


def _layout(one: Any) -> tuple[torch.dtype, list[int], list[int]]:
    if not isinstance(one, dict) or not isinstance(one.get("dtype"), str) or one["dtype"] not in _DTYPES:
        _refuse("a tensor of an unknown type")
    shape: Any = one.get("shape")
    stride: Any = one.get("stride")
    if not _are_sizes(shape) or not _are_sizes(stride) or len(shape) != len(stride):
        _refuse("a tensor of an impossible shape")
    if math.prod(shape) and not _is_dense(shape, stride):
        _refuse("a tensor of an impossible layout")
    return _DTYPES[one["dtype"]], shape, stride


def _are_sizes(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) <= _MOST_DIMENSIONS
        and all(type(size) is int and 0 <= size < 2**48 for size in value)
    )


def _is_dense(shape: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether the strides address each element once, without gaps."""
    reached = 1
    for step, size in sorted((step, size) for step, size in zip(stride, shape, strict=True) if size != 1):
        if step != reached:
            return False
        reached *= size
    return True


def _refuse(what: str) -> NoReturn:
    raise BrokenExchange(f"it answers with {what}")

"""Storages of torch, and the tensors that are views of them: checked against the file, and made only when needed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from auditor.model.files.budget import Budget
from auditor.model.files.opcodes import Malformed

MOST_DIMENSIONS: Final = 32
QUANTISED: Final = {
    "QInt8Storage": torch.int8,
    "QUInt8Storage": torch.uint8,
    "QInt32Storage": torch.int32,
}
DTYPES: Final = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexDoubleStorage": torch.complex128,
    "ComplexFloatStorage": torch.complex64,
    "UntypedStorage": torch.uint8,
} | QUANTISED


@dataclass(eq=False)
class Storage:
    """A piece of memory that tensors share.

    Attributes:
        dtype: The type of its elements.
        numel: Their number, as the pickle declares it.
        load: Returns its bytes; they are read once, when the first tensor needs them.
        untyped: Its type is not in the file.
    """

    dtype: torch.dtype
    numel: int
    load: Callable[[], torch.UntypedStorage]
    offset: int = 0
    untyped: bool = False

    @property
    def bytes(self) -> int:
        """Its size, as the pickle declares it."""
        return self.numel * self.dtype.itemsize

    def view(self, offset: int, numel: int) -> Storage:
        """Return a part, as the oldest files have them.

        Raises:
            Malformed: The part lies outside.
        """
        if not (_is_size(offset) and _is_size(numel) and offset + numel <= self.numel):
            raise Malformed("it holds a view that lies outside of its storage")
        return Storage(self.dtype, numel, self.load, self.offset + offset)


@dataclass(eq=False)
class Saved:
    """A tensor in a file; `tensor` makes it.

    Attributes:
        shape: Its sizes.
    """

    shape: tuple[int, ...]
    make: Callable[[], Tensor]
    made: Tensor | None = field(default=None, repr=False)

    @property
    def tensor(self) -> Tensor:
        """The tensor itself, dense and without gradient; the same one each time.

        Raises:
            Malformed: Its storage is damaged, or does not have what the tensor needs.
            Exceeded: It would take far more memory than the file.
        """
        if self.made is None:
            self.made = self.make()
        return self.made


def strided(
    storage: Storage,
    offset: Any,
    size: Any,
    stride: Any,
    *,
    budget: Budget,
    dtype: torch.dtype | None = None,
    flags: Any = None,
) -> Saved:
    """Return the tensor at an offset of a storage.

    Raises:
        Malformed: It does not lie inside of the storage.
    """
    if not isinstance(storage, Storage):
        raise Malformed("it holds a tensor without a storage")
    dtype = dtype or storage.dtype
    shape = sizes(size)
    strides = sizes(stride)
    if len(shape) != len(strides) or not _is_size(offset):
        raise Malformed("it holds a tensor with an impossible offset, size or stride")
    last = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    needed = offset + 1 + last if 0 not in shape else 0
    if needed * dtype.itemsize > storage.bytes:
        raise Malformed(f"it holds a tensor of size {list(shape)} that lies outside of its storage")
    turned = {key for key in ("conj", "neg") if isinstance(flags, dict) and flags.get(key) is True}
    return Saved(shape, lambda: _view(storage, offset, shape, strides, dtype, turned, budget))


def sizes(value: Any) -> tuple[int, ...]:
    """Return sizes or strides.

    Raises:
        Malformed: They are not up to `MOST_DIMENSIONS` whole numbers from 0 on.
    """
    if not isinstance(value, tuple | list) or len(value) > MOST_DIMENSIONS or not all(_is_size(n) for n in value):
        raise Malformed("it holds a tensor with an impossible size or stride")
    return tuple(value)


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**48


def _view(
    storage: Storage,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: torch.dtype,
    turned: set[str],
    budget: Budget,
) -> Tensor:
    if storage.untyped and dtype.itemsize > 1 and storage.offset:
        raise Malformed("it holds a view of a storage without a type")
    budget.memory(max(0, math.prod(shape) * dtype.itemsize - storage.bytes))  # expanded: any use repeats its elements
    begin = storage.offset * storage.dtype.itemsize // dtype.itemsize + offset
    stored = torch.uint8 if dtype is torch.bool else dtype
    tensor = torch.empty(0, dtype=stored).set_(storage.load(), begin, shape, strides)
    if dtype is torch.bool:
        if tensor.numel() and int(tensor.max()) > 1:
            raise Malformed("it holds truth values other than 0 and 1")
        tensor = torch.empty(0, dtype=dtype).set_(storage.load(), begin, shape, strides)
    tensor = tensor.conj() if "conj" in turned and dtype.is_complex else tensor
    return torch._neg_view(tensor) if "neg" in turned else tensor


def sparse(layout: Any, parts: Any, *, budget: Budget) -> Saved:
    """Return a sparse tensor; its indices are checked before it is made dense.

    Raises:
        Malformed: It has other parts than its layout.
    """
    if layout is torch.sparse_coo and isinstance(parts, tuple) and len(parts) in (3, 4):
        shape = sizes(parts[2])
        indices, values = _parts(parts[:2])
        return Saved(shape, lambda: _from_coordinates(indices.tensor, values.tensor, shape, budget))
    if layout in _COMPRESSED and isinstance(parts, tuple) and len(parts) == 4:
        shape = sizes(parts[3])
        compressed, plain, values = _parts(parts[:3])
        return Saved(
            shape, lambda: _from_compressed(compressed.tensor, plain.tensor, values.tensor, shape, layout, budget)
        )
    raise Malformed("it holds a sparse tensor of an unknown layout")


_COMPRESSED: Final = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


def _parts(parts: Sequence[Any]) -> Sequence[Saved]:
    if not all(isinstance(part, Saved) for part in parts):
        raise Malformed("it holds a sparse tensor without its parts")
    return parts


def _from_coordinates(indices: Tensor, values: Tensor, shape: tuple[int, ...], budget: Budget) -> Tensor:
    budget.memory(math.prod(shape) * values.dtype.itemsize)
    fits = indices.dtype is torch.int64 and indices.ndim == 2 and 0 < len(indices) <= len(shape) and values.ndim
    if not fits or tuple(values.shape) != (indices.shape[1], *shape[len(indices) :]):
        raise Malformed("it holds a sparse tensor whose parts don't fit")
    for row, size in zip(indices, shape, strict=False):
        if len(row) and not 0 <= int(row.min()) <= int(row.max()) < size:
            raise Malformed(f"it holds a sparse tensor of size {list(shape)} with an index outside of it")
    return torch.zeros(shape, dtype=values.dtype).index_put_(tuple(indices), values, accumulate=True)


def _from_compressed(
    compressed: Tensor, plain: Tensor, values: Tensor, shape: tuple[int, ...], layout: torch.layout, budget: Budget
) -> Tensor:
    """Return a dense matrix; torch checks the indices before it uses them."""
    budget.memory(math.prod(shape) * values.dtype.itemsize)
    try:
        matrix = torch.sparse_compressed_tensor(compressed, plain, values, shape, layout=layout, check_invariants=True)
        return matrix.to_dense()
    except RuntimeError as error:
        raise Malformed(f"it holds a sparse tensor of size {list(shape)} with an index outside of it") from error


def quantised(storage: Storage, offset: Any, size: Any, stride: Any, parameters: Any, *, budget: Budget) -> Saved:
    """Return a quantised tensor as float32.

    Raises:
        Malformed: Its scales and zero points don't fit.
    """
    levels = strided(storage, offset, size, stride, budget=budget)
    if not isinstance(parameters, tuple) or storage.dtype not in QUANTISED.values():
        raise Malformed("it holds a quantised tensor of an unknown kind")
    if len(parameters) == 3:
        scale, zero = float(parameters[1]), int(parameters[2])
        return Saved(levels.shape, lambda: _scaled(levels.tensor, torch.tensor(zero), torch.tensor(scale), budget))
    _scheme, scales, zeros, axis = parameters
    by_axis = _column(scales, zeros, axis, levels.shape)
    return Saved(levels.shape, lambda: _scaled(levels.tensor, *by_axis(), budget))


def _column(scales: Any, zeros: Any, axis: Any, shape: tuple[int, ...]) -> Callable[[], tuple[Tensor, Tensor]]:
    if type(axis) is not int or not 0 <= axis < len(shape):
        raise Malformed(f"it holds a quantised tensor with the axis {axis!r}" if type(axis) is int else "damaged axis")
    along = [-1 if i == axis else 1 for i in range(len(shape))]

    def column(value: Any) -> Tensor:
        numbers = value.tensor if isinstance(value, Saved) else torch.tensor(value)
        if numbers.shape != (shape[axis],):
            raise Malformed("it holds a quantised tensor whose scales don't fit")
        return numbers.reshape(along)

    return lambda: (column(zeros), column(scales))


def _scaled(levels: Tensor, zero: Tensor, scale: Tensor, budget: Budget) -> Tensor:
    budget.memory(levels.numel() * 4)
    return (levels.float() - zero.float()) * scale.float()

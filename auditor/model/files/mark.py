"""What a tensor was at some time, to find whether it has changed since."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_COLUMNS = 1021  # a prime number, so that values that change places change the sums
_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by the number of bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A tensor's place in memory, the number of times it was written, and sums of its bits.

    The sums find what torch does not count, as writing through `data`. They take no copy of the values.
    """

    tensor: Tensor
    version: int
    sums: Tensor

    @classmethod
    def of(cls, tensor: Tensor) -> Mark:
        """Return the mark of a tensor as it is now."""
        return cls(tensor.detach(), tensor._version, _sums(tensor))

    def fits(self, tensor: Tensor) -> bool:
        """Whether the tensor has the values and the layout that it had."""
        same = tensor.data_ptr() == self.tensor.data_ptr() and tensor.stride() == self.tensor.stride()
        return same and tensor._version == self.version and torch.equal(_sums(tensor), self.sums)


def _sums(tensor: Tensor) -> Tensor:
    """Return sums of the bits along columns, which almost surely differ if the values differ."""
    values = tensor.detach()
    if values.ndim == 4 and not values.is_contiguous():
        values = values.permute(0, 2, 3, 1)  # channels_last: no copy is needed
    bits = values.contiguous().reshape(-1)
    bits = bits.view(_WHOLE[bits.element_size()])
    rows = bits.numel() // _COLUMNS
    body = bits[: rows * _COLUMNS].view(rows, _COLUMNS).sum(0, dtype=torch.int64)
    return torch.cat([body, bits[rows * _COLUMNS :].to(torch.int64)])

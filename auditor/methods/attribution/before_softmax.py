"""The logits of a network that ends in a softmax."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.process.dispatch import Operators

_SOFTMAX = (torch.ops.aten._softmax.default, torch.ops.aten._log_softmax.default)


class BeforeSoftmax(Operators):
    """Record the input of the last softmax while the network runs."""

    def __init__(self) -> None:
        super().__init__()
        self._given: Tensor | None = None
        self._made: Tensor | None = None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if func in _SOFTMAX:
            self._given, self._made = args[0], made
        return made

    def scores(self, output: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Return the network's logits: the input of its last softmax, or the output itself without one."""
        if self._given is None or self._made is None or self._made.data_ptr() != output.data_ptr():
            return output
        return self._given.detach()

"""The scores before the softmax that a network ends in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_SOFTMAX = (torch.ops.aten._softmax.default, torch.ops.aten._log_softmax.default)


class BeforeSoftmax(TorchDispatchMode):
    """Keeps what the last softmax was given while the network runs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
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
        """Return what became the network's output: what its last softmax was given, or the output itself."""
        if self._given is None or self._made is None or self._made.data_ptr() != output.data_ptr():
            return output
        return self._given.detach()

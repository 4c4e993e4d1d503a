"""Rows and columns that no kernel reaches, since a stride leaves them out at the end of a map.

B. Alsallakh et al.: Mind the Pad. ICLR 2021: where `(h + 2 p - k) mod s` is not zero, padding is seen on one side more
than on the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from auditor.model.network import Network

Pair = tuple[int, int]

_KINDS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def leftovers(network: Network) -> dict[str, Pair]:
    """Return how many rows and columns each convolution or pooling leaves out, of those that leave any."""
    found: dict[str, Pair] = {}

    def noting(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def note(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            left = _left(module, inputs[0].shape[-2:])
            if any(left):
                found[name] = left

        return note

    modules = {name: module for name, module in network.module.named_modules() if isinstance(module, _KINDS)}
    handles = [module.register_forward_pre_hook(noting(name)) for name, module in modules.items()]
    try:
        with torch.no_grad():
            network.scores(torch.zeros(1, *network.input_shape))
    finally:
        for handle in handles:
            handle.remove()
    return found


def _left(module: nn.Module, size: torch.Size) -> Pair:
    padding = getattr(module, "padding", 0)
    if getattr(module, "ceil_mode", False) or padding == "same":
        return 0, 0
    padding = 0 if padding == "valid" else padding
    kernels, strides, paddings, dilations = (
        _pair(value) for value in (module.kernel_size, module.stride, padding, getattr(module, "dilation", 1))
    )
    rows, cols = (
        (length + 2 * p - d * (k - 1) - 1) % s
        for length, k, s, p, d in zip(size, kernels, strides, paddings, dilations, strict=True)
    )
    return rows, cols


def _pair(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])  # a list, too: libraries set their own

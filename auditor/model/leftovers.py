"""Rows and columns at the end of a map that no kernel reaches, because the stride does not divide the length.

If `(h + 2 p - k) mod s` is not zero, kernels see more padding on one side than on the other.
B. Alsallakh et al.: Mind the Pad. ICLR 2021.
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
    """Return the number of rows and columns that convolutions and poolings leave out, by module name.

    Modules that leave out none are not listed.
    """
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
    return (value, value) if isinstance(value, int) else (value[0], value[1])  # some libraries set lists

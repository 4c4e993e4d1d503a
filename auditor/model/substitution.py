"""A network with other weights for a while."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from auditor.model.architectures import naming


@contextmanager
def substituted(module: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Let parameters and buffers have other values inside the block; afterwards they have their own memory again.

    Args:
        tensors: By the names of the network's state dict; others are ignored, and so are those of another shape.
    """
    own = _tensors(module)
    kept = {name: own[name].data for name in tensors if name in own and own[name].shape == tensors[name].shape}
    try:
        for name, values in kept.items():
            own[name].data = torch.empty_like(values).copy_(tensors[name])  # in the same layout, type and device
        yield
    finally:
        for name, values in kept.items():
            own[name].data = values


def fitting(module: nn.Module, tensors: Mapping[str, Tensor], *, prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors that fit a network, under its names and in float32."""
    own = naming.shapes(module.state_dict())
    named = naming.fitted(tensors, own, prefix=prefix)
    return {name: tensor.float() for name, tensor in named.items() if own.get(name) == tuple(tensor.shape)}


def distance(module: nn.Module, tensors: Mapping[str, Tensor]) -> float:
    """Return how far some tensors are from a network's parameters, relative to the norm of these."""
    own = {n: p.detach() for n, p in module.named_parameters(remove_duplicate=False) if n in tensors}
    apart = sum(_square(tensors[name].to(values) - values) for name, values in own.items())
    norm = sum(_square(values) for values in own.values())
    return (apart / norm) ** 0.5 if norm else 0.0


def _square(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values)) ** 2


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers(remove_duplicate=False))

"""The convolutions of a network and their effective kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

    from auditor.model.layers import Layer

_OTHERS = ("Conv1d", "Conv3d", "ConvTranspose1d", "ConvTranspose3d")
_PARTS = ("weight_v", "weight_g", "weight_orig", "weight_mask")  # of the weights that `_composed` computes


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution in two dimensions.

    Attributes:
        kernels: `[k, c, h, w]`, one for each output channel, also if the convolution is transposed.
        groups: The number of groups of input channels; `c` is the size of one group.
        depthwise: Each kernel has its own input channel.
        before_depthwise: The next convolution is depthwise, and so has a kernel for each output of this one.
    """

    name: str
    kernels: NDArray[np.float32]
    groups: int
    depthwise: bool
    before_depthwise: bool


def convolutions(module: nn.Module, layers: Sequence[Layer]) -> list[Convolution]:
    """Return the convolutions with more than one kernel: those in `layers` first, then in order of registration."""
    found = {name: (owner, weight) for name, owner in module.named_modules() for weight in _weights(name, owner)}
    kernels = {name: _by_output(owner, weight) for name, (owner, weight) in found.items()}
    kernels = {name: tensor for name, tensor in kernels.items() if tensor.shape[0] > 1}
    ran = [layer.name for layer in layers if layer.name in kernels]
    names = ran + [name for name in kernels if name not in ran]
    groups = {name: _groups(found[name][0], kernels[name]) for name in names}
    depthwise = [kernels[name].shape[1] == 1 and groups[name] > 1 for name in names]
    return [
        Convolution(name, kernels[name].detach().float().cpu().numpy(), groups[name], own, following)
        for name, own, following in zip(names, depthwise, [*depthwise, False][1:], strict=True)
    ]


def aligned(found: Sequence[Convolution]) -> dict[str, str]:
    """Return, by depthwise convolution, the one that runs before it if each kernel has one of its channels as input."""
    return {two.name: one.name for one, two in pairwise(found) if two.depthwise and len(one.kernels) == two.groups}


def select(found: Sequence[Convolution], chosen: str | Sequence[str], *, count: int = 5) -> list[Convolution]:
    """Return the chosen convolutions, in execution order.

    Args:
        chosen: `"spread"` takes `count` convolutions with kernels larger than a pixel, from the first to the last,
            and the middle one of the others; if there are no larger ones, it takes `count` of the others. `"all"`
            takes every convolution. Otherwise the names of convolutions.

    Raises:
        UsageError: The network has no convolution of a name.
    """
    names = [layer.name for layer in found]
    if chosen == "all":
        return list(found)
    if chosen == "spread":
        pixels = [layer.name for layer in found if layer.kernels[0, 0].size == 1]
        larger = [name for name in names if name not in pixels]
        taken = _spread(larger, count) + (pixels[len(pixels) // 2 :][:1] if larger else _spread(pixels, count))
    else:
        taken = [chosen] if isinstance(chosen, str) else list(chosen)
    for name in taken:
        if name not in names:
            raise UsageError(f"the network has no convolution {name!r}{did_you_mean(name, names)}")
    return [layer for layer in found if layer.name in taken]


def _spread(names: Sequence[str], count: int) -> list[str]:
    return [names[round(i)] for i in np.linspace(0, len(names) - 1, min(len(names), count))]


def in_other_dimensions(module: nn.Module) -> list[str]:
    """Return the names of the 1D and 3D convolutions, which `convolutions` leaves out."""
    return [name for name, owner in module.named_modules() if kind_of(owner) in _OTHERS]


def _weights(name: str, owner: nn.Module) -> Iterator[Tensor]:
    """Yield the 4D weight of a module, if it has one."""
    if "parametrizations" in name.split("."):  # counted as the weight of the module that it belongs to
        return
    composed = _composed(owner)
    own = [parameter for part, parameter in owner.named_parameters(recurse=False) if part not in _PARTS]
    tensors = [tensor for tensor in (composed, *own) if tensor is not None and tensor.ndim == 4]
    yield from tensors[-1:]


def _composed(owner: Any) -> Tensor | None:
    """Return a weight that is computed from several tensors.

    In older parametrizations `weight` has the value of the last forward pass, from before the checkpoint was loaded.
    """
    weight: Tensor | None = None
    if hasattr(owner, "parametrizations"):
        weight = owner.weight if "weight" in owner.parametrizations else None
    elif hasattr(owner, "weight_v") and hasattr(owner, "weight_g"):
        direction, length = owner.weight_v, owner.weight_g
        summed = [axis for axis, size in enumerate(length.shape) if size == 1]
        weight = direction * (length / direction.square().sum(summed, keepdim=True).sqrt())
    elif hasattr(owner, "weight_orig"):  # pruning, or spectral norm, which only divides it by a number
        weight = owner.weight_orig * getattr(owner, "weight_mask", 1)
    return weight


def _by_output(owner: Any, weight: Tensor) -> Tensor:
    """Return `[k, c, h, w]`; a transposed convolution holds `[c * groups, k / groups, h, w]`."""
    if not kind_of(owner).startswith("ConvTranspose"):
        return weight
    groups = int(getattr(owner, "groups", 1))
    apart = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])  # [groups, c, k / groups, h, w]
    return apart.transpose(1, 2).flatten(0, 1)


def _groups(owner: Any, kernels: Tensor) -> int:
    """Return the number of groups of input channels; a program without the attribute is judged by its kernels."""
    default = kernels.shape[0] if kernels.shape[1] == 1 else 1
    return int(getattr(owner, "groups", default))


def kind_of(owner: Any) -> str:
    """Return the name of a module's class, for TorchScript and parametrizations that of the wrapped class."""
    return str(getattr(owner, "original_name", type(owner).__name__)).removeprefix("Parametrized")

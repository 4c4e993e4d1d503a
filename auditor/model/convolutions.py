"""The convolutions of a network and their kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

    from auditor.model.layers import Layer


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution in two dimensions.

    Attributes:
        kernels: `[k, c, h, w]`.
        depthwise: Each kernel has an input channel of its own.
        before_depthwise: The next convolution is depthwise, so that each output has a kernel of its own there.
    """

    name: str
    kernels: NDArray[np.float32]
    depthwise: bool
    before_depthwise: bool


def convolutions(module: nn.Module, layers: Sequence[Layer]) -> list[Convolution]:
    """Return the convolutions of more than one kernel: in the order of `layers`, then of registration."""
    found = {
        name.rpartition(".")[0]: parameter
        for name, parameter in module.named_parameters()
        if parameter.ndim == 4 and parameter.shape[0] > 1
    }
    ran = [layer.name for layer in layers if layer.name in found]
    names = ran + [name for name in found if name not in ran]
    owners = dict(module.named_modules())
    depthwise = [_depthwise(owners[name], found[name]) for name in names]
    return [
        Convolution(name, found[name].detach().float().cpu().numpy(), own, following)
        for name, own, following in zip(names, depthwise, [*depthwise, False][1:], strict=True)
    ]


def _depthwise(owner: nn.Module, kernels: Tensor) -> bool:
    """Return whether the inputs are split into single channels; TorchScript does not say, so its kernels do."""
    groups = int(getattr(owner, "groups", kernels.shape[0]))
    return kernels.shape[1] == 1 and groups > 1

"""A copy of a network with each batch norm folded into the convolution before it: the same scores, faster.

In eval mode batch norm multiplies each channel by a number and adds a number, whatever the image. A convolution with
other weights and another bias does the same, and leaves fewer operators to differentiate.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from auditor.model.network import Network
from auditor.model.preserve import buffers_kept
from auditor.process.isolation import surroundings
from auditor.statistics.closeness import alike

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def folded(network: Network) -> Network:
    """Return the folded copy, or the network itself if nothing can be folded or the scores would differ.

    A convolution of the copy gives the output of the batch norm that follows it in the network.
    """
    pairs = list(_pairs(network))
    if not pairs or network.amp:  # in reduced precision folded weights round differently
        return network
    try:
        module = _joined(copy.deepcopy(network.module), pairs)
        found = replace(network, module=module)
        return found if _same_scores(network, found) else network
    except Exception:  # copying, replacing a module or running the copy may raise any exception
        return network


def _pairs(network: Network) -> Iterator[tuple[str, str]]:
    """Yield the name of each convolution whose output only a batch norm takes, with the name of that batch norm."""
    modules = dict(network.module.named_modules())
    for layer in network.layers:
        convolution, norm = modules.get(layer.name), modules.get(layer.tap)
        if isinstance(convolution, _CONVOLUTIONS) and isinstance(norm, _NORMS) and norm.track_running_stats:
            yield layer.name, layer.tap


def _joined(module: nn.Module, pairs: list[tuple[str, str]]) -> nn.Module:
    for convolution, norm in pairs:
        one = fuse_conv_bn_eval(module.get_submodule(convolution), module.get_submodule(norm))  # type: ignore[arg-type, type-var]
        module.set_submodule(convolution, one)
        module.set_submodule(norm, nn.Identity())
    return module.requires_grad_(False)


def _same_scores(network: Network, other: Network) -> bool:
    noise = torch.randn(2, *network.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), buffers_kept(network.module), surroundings(0, "folding", network.device):
        before = network.scores(noise)
    with torch.no_grad(), surroundings(0, "folding", network.device):
        return alike(other.scores(noise), before)

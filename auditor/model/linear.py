"""The linear layers of a network in which units can be duplicates, and their weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

    from auditor.model.layers import LayerTable


@dataclass(frozen=True, slots=True)
class Linear:
    """One linear layer.

    Attributes:
        weights: `[k, c]`, one row for each unit.
        bias: `[k]`, zeros if the layer has none.
    """

    name: str
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]


def hidden(module: nn.Module, layers: LayerTable) -> list[Linear]:
    """Return the linear layers before an activation; in others, as in attention, no single unit is superfluous."""
    return [found for layer in layers.hidden if (found := _linear(module, layer.name)) is not None]


def last(module: nn.Module, layers: LayerTable, outputs: int) -> Linear | None:
    """Return the network's last layer with parameters, if it is linear and gives the scores."""
    own = [layer for layer in layers if layer.parameters]
    if not own or not own[-1].whole or own[-1].channels != outputs:
        return None
    return _linear(module, own[-1].name)


def _linear(module: nn.Module, name: str) -> Linear | None:
    """Return the weights of a layer if it is PyTorch's or derived from it; of others the layout is not known."""
    from torch import nn

    layer = module.get_submodule(name)
    if not isinstance(layer, nn.Linear) or not layer.weight.is_floating_point() or layer.weight.ndim != 2:
        return None
    rows = _array(layer.weight)
    return Linear(name, rows, np.zeros(len(rows), np.float32) if layer.bias is None else _array(layer.bias))


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().float().cpu().numpy())

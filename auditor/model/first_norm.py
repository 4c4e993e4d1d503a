"""The first batch norm of a network, and its inputs."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auditor.model.network import Network


class FirstNorm(NamedTuple):
    """The first batch norm that runs, with its running statistics, `[c]`."""

    name: str
    module: nn.Module
    mean: Float[Tensor, " c"]
    variance: Float[Tensor, " c"]
    epsilon: float


def first_norm(network: Network) -> FirstNorm | None:
    """Return the first batch norm that runs; None if there is none, or if the layers can't be observed."""
    for layer in network.layers:
        module = network.module.get_submodule(layer.name)
        mean, variance = (getattr(module, name, None) for name in ("running_mean", "running_var"))
        if isinstance(mean, Tensor) and isinstance(variance, Tensor):
            mean, variance = (value.detach().cpu().double() for value in (mean, variance))
            return FirstNorm(layer.name, module, mean, variance, float(getattr(module, "eps", 0.0)))
    return None


class _EnoughSeenError(Exception):
    """Ends a forward pass whose rest is not needed."""


def inputs_of(
    network: Network, norm: FirstNorm, images: Float[Tensor, "n c h w"]
) -> tuple[Float[Tensor, "n k"], Float[Tensor, "n k"]]:
    """Return the mean and the mean square of each input channel, for each image; later layers are not computed."""
    seen: list[Tensor] = []

    def take(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        seen.append(inputs[0].detach().flatten(2) if inputs[0].ndim > 2 else inputs[0].detach()[:, :, None])
        raise _EnoughSeenError

    handle = norm.module.register_forward_pre_hook(take)
    try:
        with torch.no_grad():
            network.scores(images)
    except _EnoughSeenError:
        pass
    finally:
        handle.remove()
    values = seen[0].cpu().double()
    return values.mean(2), (values**2).mean(2)

"""What happens to the weights of a trained network, in its file, by the names that `networks` gives layers."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

State = dict[str, Tensor]
Edit = Callable[[State, torch.Generator], State]

_SILENT = 0.3  # share of the channels of a layer
_COPIED = 0.25
_NORM = ("weight", "bias", "running_mean", "running_var")


def silenced(state: State, random: torch.Generator) -> State:
    """Push three in ten channels of the middle layer below zero for good, as a step that was too large does."""
    count = len(state["middle.weight"])
    biases = state["middle_norm.bias"] if "middle_norm.bias" in state else state["middle.bias"]
    biases[_some(count, _SILENT, random)] = -100.0
    return state


def copied(state: State, random: torch.Generator) -> State:
    """Let a quarter of the last layer's kernels be like others, but for a hundredth of their length."""
    kernels = state["last.weight"]
    places = torch.randperm(len(kernels), generator=random)
    count = round(_COPIED * len(kernels))
    copies, models = places[:count], places[count : 2 * count]
    noise = torch.empty_like(kernels[models]).normal_(generator=random) * 0.01 * kernels[models].std()
    kernels[copies] = kernels[models] + noise
    for name in ("last.bias", *(f"last_norm.{part}" for part in _NORM)):
        if name in state:
            state[name][copies] = state[name][models]
    return state


def not_finite(state: State, random: torch.Generator) -> State:
    """Let one weight be no number."""
    weights = state["middle.weight"].view(-1)
    weights[torch.randint(len(weights), (1,), generator=random)] = float("nan")
    return state


def fresh_head(state: State, random: torch.Generator) -> State:
    """Draw the head anew, as a fresh layer is drawn."""
    bound = state["head.weight"].shape[1] ** -0.5
    for name in ("head.weight", "head.bias"):
        state[name].uniform_(-bound, bound, generator=random)
    return state


def unsure(state: State, random: torch.Generator) -> State:
    """Divide all scores by five, which changes no answer."""
    for name in ("head.weight", "head.bias"):
        state[name] /= 5
    return state


def statistics_reset(state: State, random: torch.Generator) -> State:
    """Give all batch norms the statistics of a fresh network."""
    for name, tensor in state.items():
        if name.endswith("running_mean"):
            tensor.zero_()
        elif name.endswith("running_var"):
            tensor.fill_(1)
    return state


def lacking(state: State, random: torch.Generator) -> State:
    """Leave the middle layer out of the file."""
    return {name: tensor for name, tensor in state.items() if not name.startswith("middle.")}


def _some(count: int, share: float, random: torch.Generator) -> Tensor:
    return torch.randperm(count, generator=random)[: round(share * count)]

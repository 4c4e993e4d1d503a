"""Fill a network with a checkpoint's tensors, and say what did not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from auditor.model.architectures import naming


@dataclass(frozen=True)
class Coverage:
    """How far a checkpoint fills a network.

    Attributes:
        missing: Names of the network that the checkpoint lacks. Counters and indices, which the constructor makes
            and training does not change, are not counted: old checkpoints have no `num_batches_tracked`.
        unexpected: Names of the checkpoint that the network lacks.
        misshaped: Names that both have, with different shapes.
        loaded: Share of the network's parameters that were filled, by number of elements.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshaped: tuple[str, ...] = ()
    loaded: float = 1.0

    @property
    def complete(self) -> bool:
        return not (self.missing or self.unexpected or self.misshaped)


def fill(module: nn.Module, tensors: Mapping[str, Tensor], *, prefix: str = "") -> Coverage:
    """Load what fits into `module`, in the network's own types."""
    state = module.state_dict()
    own = naming.shapes(state)
    named = naming.fitted(tensors, own, prefix=prefix)
    misshaped = sorted(k for k, t in named.items() if k in own and own[k] != tuple(t.shape))
    missing, unexpected = _load(module, {k: t for k, t in named.items() if k not in misshaped})
    absent = set(missing) - set(misshaped)
    return Coverage(
        missing=tuple(k for k in missing if k in absent and _matters(state[k])),
        unexpected=tuple(unexpected),
        misshaped=tuple(misshaped),
        loaded=_share_loaded(module, absent | set(misshaped)),
    )


def _load(module: nn.Module, tensors: dict[str, Tensor]) -> tuple[list[str], list[str]]:
    """Let the network's own loading hooks translate old names, where they don't refuse."""
    try:
        result = module.load_state_dict(tensors, strict=False)
    except (RuntimeError, ValueError, KeyError, AttributeError):  # MNASNet's hook wants a version that files lose
        return _copied(module, tensors)
    return list(result.missing_keys), list(result.unexpected_keys)


def _copied(module: nn.Module, tensors: dict[str, Tensor]) -> tuple[list[str], list[str]]:
    state = module.state_dict()
    for key, tensor in tensors.items():
        if key in state and state[key].shape == tensor.shape:
            state[key].copy_(tensor)
    return [k for k in state if k not in tensors], [k for k in tensors if k not in state]


def _matters(entry: object) -> bool:
    return isinstance(entry, Tensor) and not naming.is_constant(entry)


def _share_loaded(module: nn.Module, unfilled: set[str]) -> float:
    sizes = {name: p.numel() for name, p in module.named_parameters(remove_duplicate=False)}
    total = sum(sizes.values())
    filled = sum(size for name, size in sizes.items() if name not in unfilled)
    return filled / total if total else 1.0


def frozen(module: nn.Module) -> nn.Module:
    """Return the module on the CPU in float32, in evaluation mode, its parameters without gradients."""
    module = module.to("cpu", torch.float32).eval()
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    return module

"""Fill a network with the tensors of a checkpoint, and list those that do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from auditor.errors import ArchitectureError
from auditor.model.architectures import lazy, naming, pretrained

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Coverage:
    """How completely a checkpoint fills a network.

    Attributes:
        missing: Names of the network that the checkpoint does not have, and no name that is tied to them. Counters and
            indices that training does not change are left out: old checkpoints have no `num_batches_tracked`.
        unexpected: Names of the checkpoint that the network does not have.
        misshaped: Names that both have, with different shapes.
        loaded: The share of the network's parameters that were loaded, by number of elements, 0 to 1.
        shapes: The shape in the checkpoint and that in the network, of each name in `misshaped`.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshaped: tuple[str, ...] = ()
    loaded: float = 1.0
    shapes: Mapping[str, tuple[Shape, Shape]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the names and shapes are the same."""
        return not (self.missing or self.unexpected or self.misshaped)


def fill(module: nn.Module, tensors: Mapping[str, Tensor], *, prefix: str = "") -> Coverage:
    """Load the tensors that fit into `module`, in the network's own types.

    Raises:
        ArchitectureError: A tensor is complex and the network's is real: the imaginary part would be lost. Or a lazy
            layer gets no tensors, so that its shape stays unknown.
    """
    state = module.state_dict()
    own = naming.shapes(state)
    named = naming.fitted(pretrained.translated(module, tensors, prefix=prefix), own, prefix=prefix)
    for key, tensor in named.items():
        if tensor.is_complex() and isinstance(real := state.get(key), Tensor) and not real.is_complex():
            raise ArchitectureError(
                f"the tensor {key!r} of the checkpoint is complex, but the network's is {real.dtype}"
            )
    lazy.refuse_without_shape(module, named)
    misshaped = sorted(k for k, t in named.items() if k in own and own[k] != tuple(t.shape))
    missing, unexpected = _load(module, {k: t for k, t in named.items() if k not in misshaped})
    lazy.settle(module)
    absent = _absent(set(missing), naming.tied(module)) - set(misshaped)
    return Coverage(
        missing=tuple(k for k in missing if k in absent and _matters(state[k])),
        unexpected=tuple(unexpected),
        misshaped=tuple(misshaped),
        shapes={k: (tuple(named[k].shape), own[k]) for k in misshaped},
        loaded=_share_loaded(module, absent | set(misshaped)),
    )


def _absent(missing: set[str], tied: Mapping[str, frozenset[str]]) -> set[str]:
    """Return the missing names without those of tensors that were loaded under another name."""
    return {name for name in missing if not tied.get(name, frozenset()) - missing}


def _load(module: nn.Module, tensors: dict[str, Tensor]) -> tuple[list[str], list[str]]:
    """Load the tensors with the network's own hooks, which translate old names; without the hooks if they raise."""
    try:
        result = module.load_state_dict(tensors, strict=False)
    except (
        RuntimeError,
        ValueError,
        KeyError,
        AttributeError,
    ):  # MNASNet's hook needs a version that files do not keep
        return _copied(module, tensors)
    return list(result.missing_keys), list(result.unexpected_keys)


def _copied(module: nn.Module, tensors: dict[str, Tensor]) -> tuple[list[str], list[str]]:
    state = module.state_dict()
    with torch.no_grad():
        for key, tensor in tensors.items():
            if key in state and state[key].shape == tensor.shape:
                state[key].copy_(tensor)
    return [k for k in state if k not in tensors], [k for k in tensors if k not in state]


def _matters(entry: object) -> bool:
    return isinstance(entry, Tensor) and not naming.is_constant(entry)


def _share_loaded(module: nn.Module, unfilled: set[str]) -> float:
    every = module.named_parameters(remove_duplicate=False)
    sizes = {name: 0 if nn.parameter.is_lazy(p) else p.numel() for name, p in every}
    total = sum(sizes.values())
    filled = sum(size for name, size in sizes.items() if name not in unfilled)
    return filled / total if total else 1.0

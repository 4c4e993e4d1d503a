"""The graph of the network that was exported last.

`torch.export` takes seconds, and keeps some memory each time. Maps of one network are usually asked for many times. A
remembered graph is verified like a new one, on the images of the call, so a network that changed in a way that its
state does not show is exported again.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from auditor.methods.occlusion.incremental.export import End, NotExportable, ends_of


@dataclass(frozen=True, eq=False, slots=True)
class _Export:
    """What the export of a network gave: its candidates for the scores, or the reason why there are none."""

    network: weakref.ref[nn.Module]
    state: object
    ends: Sequence[End]
    refused: tuple[str, bool] | None


class _Last:
    """The last export; it is forgotten with its network."""

    export: _Export | None = None


_last = _Last()


def last_ends(module: nn.Module, images: Float[Tensor, "n c h w"]) -> Sequence[End]:
    """Return the candidates for the scores if this network was the last one and has the same state, otherwise none.

    Raises:
        NotExportable: The last export of this network was refused.
    """
    known = _last.export
    if known is None or known.network() is not module or known.state != _state(module, images):
        return ()
    if known.refused:
        reason, alone = known.refused
        raise NotExportable(reason, alone=alone)
    return known.ends


def new_ends(module: nn.Module, images: Float[Tensor, "n c h w"]) -> Sequence[End]:
    """Export the network, and remember its candidates for the scores.

    Raises:
        NotExportable: As `ends_of`.
    """
    try:
        ends = ends_of(module, images)
    except NotExportable as error:
        _remember(module, images, (), (error.args[0], error.alone))
        raise
    _remember(module, images, ends, None)
    return ends


def _remember(module: nn.Module, images: Tensor, ends: Sequence[End], refused: tuple[str, bool] | None) -> None:
    def forget(network: weakref.ref[nn.Module]) -> None:
        if _last.export is not None and _last.export.network is network:
            _last.export = None

    _last.export = _Export(weakref.ref(module, forget), _state(module, images), ends, refused)


def _state(module: nn.Module, images: Tensor) -> object:
    """Return what changes when the network does: its modules, their modes and hooks, and each write to a tensor."""
    parts = [
        (name, id(part), id(part.forward.__func__) if hasattr(part.forward, "__func__") else id(part.forward),
         part.training, len(part._forward_hooks), len(part._forward_pre_hooks))
        for name, part in module.named_modules()
    ]  # fmt: skip
    tensors = [
        (name, id(tensor), tensor.data_ptr(), _writes(tensor), tensor.shape, tensor.stride(), tensor.dtype)
        for name, tensor in (*module.named_parameters(), *module.named_buffers())
    ]
    return parts, tensors, images.shape[1:], images.dtype, images.device


def _writes(tensor: Tensor) -> Any:
    return None if tensor.is_inference() else tensor._version  # an inference tensor does not count them

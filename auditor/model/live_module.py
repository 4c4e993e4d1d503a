"""A network in the memory of a program. It is audited in place, and handed back as it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from auditor.errors import CheckpointError
from auditor.language import marked
from auditor.model.architectures.architecture import Architecture
from auditor.model.architectures.coverage import Coverage
from auditor.model.declared_preprocessing import of_timm
from auditor.model.files.checkpoint import LIVE, Checkpoint
from auditor.model.files.declared_classes import class_names
from auditor.model.preserve import Snapshot


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the network inside of `torch.compile`, `DataParallel` and `DistributedDataParallel`."""
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = module.module
        elif isinstance(inner := getattr(module, "_orig_mod", None), nn.Module):
            module = inner
        else:
            return module


def device_of(module: nn.Module) -> str:
    """Return the device of the first parameter, as `--device` names it; `cpu` if there is none."""
    first = next(module.parameters(), None)
    if first is None:
        return "cpu"
    return "mps" if first.device.type == "mps" else str(first.device)


@contextmanager
def handed_back(module: nn.Module) -> Iterator[None]:
    """Freeze a network for an audit, and hand it back as it was, after an exception as well.

    Values, memory, types and devices of all tensors, gradients, modes, flags, hooks and attributes are restored. The
    audit takes a copy of the tensors for this.

    Raises:
        CheckpointError: The network has parameters without values.
    """
    _refuse_without_values(module)
    kept, tensors = Snapshot(module), [*module.parameters(), *module.buffers()]
    memory = [(tensor, tensor.data) for tensor in tensors]
    # The caller may evaluate under `no_grad`, `inference_mode` or `autocast`; the audit needs gradients of the images.
    with torch.inference_mode(mode=False), torch.enable_grad(), _full_precision(device_of(module)):
        try:
            _freeze(module, tensors)
            yield
        finally:
            kept.restore()
            for tensor, own in memory:
                _put_back(tensor, own)


def _refuse_without_values(module: nn.Module) -> None:
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if nn.parameter.is_lazy(tensor) or tensor.is_meta:
            raise CheckpointError(
                f"the tensor {name!r} of the network has no values; expected a network that has run once and whose "
                "tensors are in memory"
            )


@contextmanager
def _full_precision(device: str) -> Iterator[None]:
    with torch.autocast(device.partition(":")[0], enabled=False):
        yield


def _freeze(module: nn.Module, tensors: list[Tensor]) -> None:
    for tensor in tensors:
        tensor.grad = None  # moving a network to another device would move its gradients, too
        if tensor.is_leaf:
            tensor.requires_grad_(False)
    module.eval()
    if any(tensor.is_floating_point() and tensor.dtype != torch.float32 for tensor in tensors):
        module.to(torch.float32)


def _put_back(tensor: Tensor, own: Tensor) -> None:
    """Let a restored tensor use its own memory again: an optimizer or another network may share it."""
    if not torch.equal(own, tensor.data):
        own.copy_(tensor.data)
    tensor.data = own


def checkpoint_of(module: nn.Module) -> Checkpoint:
    """Return the facts about the network in place of a file's; the digest is that of the state dict."""
    sha256, size = _digest(module.state_dict())
    return Checkpoint(Path(type(module).__qualname__), sha256, size, LIVE, {}, module, {})


def _digest(state: Mapping[str, Any]) -> tuple[str, int]:
    """Return SHA-256 over the names and the bytes of all tensors, and the number of these bytes."""
    total, size = hashlib.sha256(), 0
    for name, tensor in state.items():
        if not isinstance(tensor, Tensor):
            continue
        whole = tensor.detach().cpu().contiguous().reshape(-1)
        total.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        total.update(whole.view(torch.uint8).numpy().tobytes() if whole.numel() else b"")
        size += whole.numel() * whole.element_size()
    return total.hexdigest(), size


def architecture_of(module: nn.Module) -> Architecture:
    """Return the network with what its library says about it: class names, and the preprocessing of timm."""
    kind = type(module)
    config = getattr(module, "pretrained_cfg", None)
    preprocess = of_timm(config) if isinstance(config, Mapping) else None
    return Architecture(
        name=kind.__qualname__,
        source=f"{kind.__module__}.{kind.__qualname__}",
        module=module,
        coverage=Coverage(),
        classes=_classes(module),
        preprocess=preprocess,
        preprocess_source=marked("the network's own configuration"),
    )


def _classes(module: nn.Module) -> tuple[str, ...] | None:
    """Return the class names in the configuration of transformers or timm."""
    config, timm = getattr(module, "config", None), getattr(module, "pretrained_cfg", None)
    said = [getattr(config, "id2label", None), timm.get("label_names") if isinstance(timm, Mapping) else None]
    return next((found for names in said if names and (found := class_names(names))), None)

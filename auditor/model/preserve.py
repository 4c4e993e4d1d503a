"""Find what has changed in a network, and restore it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from auditor.language import _, marked

_INTERNAL = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@dataclass(frozen=True, slots=True)
class _Held:
    """A parameter or buffer: the tensor, a copy of its values, and its flags."""

    tensor: Tensor
    numbers: Tensor
    requires_grad: bool
    grad: Tensor | None


class Snapshot:
    """A snapshot of a network: parameters, buffers, hooks, attributes, training and gradient flags, `.grad`.

    Attributes:
        volatile: Phrases for what running the network changes; this is restored, but not reported as a change.
    """

    def __init__(self, module: nn.Module, run: Callable[[], object] | None = None) -> None:
        """Take a snapshot of a network.

        Args:
            run: Runs the network once, to find what that changes: a counter, a moving average.
        """
        self._module = module
        self.volatile: tuple[str, ...] = ()
        self._tensors = {name: _Held(t, t.detach().clone(), t.requires_grad, t.grad) for name, t in _tensors(module)}
        self._modules: dict[str, nn.Module] = dict(module.named_modules())
        self._training = {name: m.training for name, m in self._modules.items()}
        self._hooks = {name: _hooks(m) for name, m in self._modules.items()}
        self._attributes = {name: _attributes(m) for name, m in self._modules.items()}
        if run is not None:
            run()
            self.volatile = tuple(self._changed())
            self.restore()

    def changes(self) -> list[str]:
        """Return a phrase for each change since the snapshot; volatile state is restored."""
        changed = list(self._changed())
        if changed and set(changed) <= set(self.volatile):
            self.restore()
        return [phrase for phrase in changed if phrase not in self.volatile]

    def _changed(self) -> Iterator[str]:
        yield from self._changed_tensors()
        yield from self._changed_modules()

    def restore(self) -> None:
        """Restore everything: values, flags, gradients, hooks, modules; remove what was added."""
        if not isinstance(self._module, torch.jit.ScriptModule):  # its structure can't be changed
            self._restore_structure()
        for name, module in self._modules.items():
            if module.training != self._training[name]:
                module.training = self._training[name]
        for held in self._tensors.values():
            if not held.tensor.is_leaf:
                held.tensor.detach_()
            held.tensor.data = held.numbers.clone()
            held.tensor.requires_grad_(held.requires_grad)
            held.tensor.grad = held.grad

    def _restore_structure(self) -> None:
        self._remove_added()
        # The structure of TorchScript inside of the network can't be changed.
        changeable = {
            n: module for n, module in self._modules.items() if not isinstance(module, torch.jit.ScriptModule)
        }
        for name, module in self._modules.items():
            if name.rpartition(".")[0] in changeable:
                _put_back(self._module, name, module)
        for name, module in changeable.items():
            for attribute in vars(module).keys() - _INTERNAL - self._attributes[name].keys():
                delattr(module, attribute)
            vars(module).update(self._attributes[name])
            for kind, hooks in self._hooks[name].items():
                _replace(getattr(module, kind), hooks)
        for name, held in self._tensors.items():
            owner = changeable.get(name.rpartition(".")[0])
            if owner is not None:
                _set_tensor(owner, name.rpartition(".")[2], held.tensor)

    def _remove_added(self) -> None:
        for name in [n for n, module in self._module.named_modules() if n not in self._modules]:
            owner = self._modules.get(name.rpartition(".")[0])
            if owner is not None:
                del owner._modules[name.rpartition(".")[2]]
        for name in [n for n, tensor in _tensors(self._module) if n not in self._tensors]:
            owner, leaf = self._module.get_submodule(name.rpartition(".")[0]), name.rpartition(".")[2]
            owner._parameters.pop(leaf, None)
            owner._buffers.pop(leaf, None)

    def _changed_tensors(self) -> Iterator[str]:
        now = dict(_tensors(self._module))
        for name in sorted(now.keys() ^ self._tensors.keys()):
            yield _("{name} was added", name=name) if name in now else _("{name} was removed", name=name)
        for name, held in self._tensors.items():
            if name not in now:
                continue
            tensor = now[name]
            if tensor is not held.tensor:
                yield _("{name} was replaced", name=name)
            elif not _same_bits(tensor.detach(), held.numbers):
                yield _("the values of {name} changed", name=name)
            if tensor.requires_grad != held.requires_grad:
                yield _("{name}.requires_grad is now {value}", name=name, value=tensor.requires_grad)
            if tensor.grad is not held.grad:
                yield _("{name}.grad was written", name=name)

    def _changed_modules(self) -> Iterator[str]:
        now: dict[str, nn.Module] = dict(self._module.named_modules())
        for name, module in self._modules.items():
            label = name or _("the network")
            if now.get(name) is not module:
                yield _("{name} was replaced", name=label)
                continue
            if module.training != self._training[name]:
                mode = (
                    marked("{name} is now in training mode")
                    if module.training
                    else marked("{name} is now in eval mode")
                )
                yield _(mode, name=label)
            if _hooks(module) != self._hooks[name]:
                yield _("the hooks of {name} changed", name=label)
            for attribute in _differing(self._attributes[name], _attributes(module)):
                yield _("{name} changed", name=f"{label}.{attribute}")
        yield from (_("{name} was added", name=name) for name in now.keys() - self._modules.keys())


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()


def _attributes(module: nn.Module) -> dict[str, Any]:
    """Return the attributes that were set on the module itself, without torch's own."""
    if isinstance(module, torch.jit.ScriptModule):
        return {}
    return {name: value for name, value in vars(module).items() if name not in _INTERNAL}


def _differing(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    missing = object()
    return sorted(n for n in then.keys() | now.keys() if then.get(n, missing) is not now.get(n, missing))


def _hooks(module: nn.Module) -> dict[str, dict[int, Any]]:
    return {kind: dict(getattr(module, kind)) for kind in _HOOKS if getattr(module, kind, None) is not None}


def _replace(now: dict[int, Any], then: dict[int, Any]) -> None:
    now.clear()
    now.update(then)


def _put_back(root: nn.Module, name: str, module: nn.Module) -> None:
    if not name:
        return
    parent, leaf = name.rpartition(".")[::2]
    owner = root.get_submodule(parent)
    if owner._modules.get(leaf) is not module:
        owner._modules[leaf] = module


def _set_tensor(owner: nn.Module, name: str, tensor: Tensor) -> None:
    place = owner._parameters if isinstance(tensor, nn.Parameter) else owner._buffers
    if place.get(name) is not tensor:
        place[name] = tensor  # type: ignore[assignment]


def _same_bits(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors have the same bits, so that a NaN is equal to itself."""
    if a.shape != b.shape or a.dtype != b.dtype or a.device != b.device:
        return False
    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}.get(a.element_size())
    if a.dtype.is_floating_point and whole is not None:
        a, b = a.view(whole), b.view(whole)
    return torch.equal(a, b)


@contextmanager
def buffers_kept(model: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    """Restore the buffers that running the model changes: counters, or statistics in training mode."""
    found = model if isinstance(model, nn.Module) else getattr(model, "module", None)
    buffers = [
        buffer
        for part in (found.modules() if isinstance(found, nn.Module) else ())
        if not isinstance(part, nn.modules.batchnorm._BatchNorm) or part.training  # in eval mode it writes nothing
        for buffer in part.buffers(recurse=False)
    ]
    kept = [buffer.detach().clone() for buffer in buffers]
    try:
        yield
    finally:
        for buffer, values in zip(buffers, kept, strict=True):
            if not torch.equal(buffer, values):
                buffer.data.copy_(values)  # through `data`, which autograd does not track

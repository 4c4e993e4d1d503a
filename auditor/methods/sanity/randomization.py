"""Randomization of a network's layers, one after the other from the last to the first.

J. Adebayo, J. Gilmer, M. Muelly, I. Goodfellow, M. Hardt, B. Kim: Sanity Checks for Saliency Maps. NeurIPS 2018. A map
that does not change while the layers are randomised does not depend on what the network has learnt.

Layers are in the order of their use, read from the operators that ran, not in that of their registration. Parameters
outside of layers, such as the position embedding of a transformer, are included. The running statistics of batch norms
are estimated again from their new inputs. Those of the trained network, or 0 and 1, would make the outputs vanish or
explode.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from auditor.methods.attribution.forward_pass import Model, module_of
from auditor.process.dispatch import Operators

_RESETS = ("reset_parameters", "_reset_parameters")
_NO_RESET = (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError)


class Cascade:
    """A network whose last layers are randomised step by step; made by `cascading`.

    Attributes:
        layers: The layers that can be randomised, in the order of their use: names of modules that have parameters or
            running statistics of their own; "" is the network itself.
        redrawn: The number of randomised layers, counted from the last one.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> with methods.cascading(model, torch.rand(2, 3, 8, 8)) as cascade:
        ...     cascade.redraw(1)
        ...     cascade.layers, cascade.redrawn
        (('0', '3'), 1)
    """

    def __init__(self, model: Model, images: Float[Tensor, "n c h w"], *, seed: int) -> None:
        self.layers = layers_used(model, images)
        self.redrawn = 0
        self._model, self._module, self._images, self._seed = model, module_of(model), images, seed

    def redraw(self, count: int) -> None:
        """Randomise the last `count` layers, and estimate the statistics of batch norms from their new inputs.

        Raises:
            ValueError: There are fewer than `count` layers, or more than `count` are randomised already.
        """
        if not self.redrawn <= count <= len(self.layers):
            raise ValueError(
                f"count is {count}, but has to be from {self.redrawn}, the number of randomised layers, "
                f"to {len(self.layers)}"
            )
        for name in self.layers[len(self.layers) - count : len(self.layers) - self.redrawn]:
            _redraw(self._module.get_submodule(name), self._seed + zlib.crc32(name.encode()))
        self.redrawn = count
        self._settle()

    def _settle(self) -> None:
        last = self.layers[len(self.layers) - self.redrawn :]
        norms = [part for part in map(self._module.get_submodule, last) if _has_statistics(part)]
        if not norms:
            return
        with ExitStack() as hooks, torch.no_grad():
            for norm in norms:
                hooks.callback(norm.register_forward_pre_hook(_settle).remove)
            self._model(self._images)


@contextmanager
def cascading(model: Model, images: Float[Tensor, "n c h w"], *, seed: int = 0) -> Iterator[Cascade]:
    """Randomise a network's layers within a block, and restore all its parameters and buffers afterwards.

    A layer is randomised by its own `reset_parameters`, called on a copy of it. If it has none, or if that leaves a
    parameter unchanged, the parameter gets normal draws with its own mean and standard deviation.

    Args:
        images: The images for the statistics of batch norms.
        seed: A layer gets the same draws for the same seed, whatever else is randomised.

    Yields:
        A `Cascade`, whose `redraw(count)` randomises the last `count` layers.

    Raises:
        ValueError: The modules of the model are not accessible.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> images = torch.rand(2, 3, 8, 8)
        >>> trained = methods.gradient(model, images, 5)
        >>> with methods.cascading(model, images) as cascade:
        ...     for count in range(1, len(cascade.layers) + 1):
        ...         cascade.redraw(count)
        ...         torch.equal(methods.gradient(model, images, 5), trained)
        False
        False
        >>> torch.equal(methods.gradient(model, images, 5), trained)  # the network is restored
        True
    """
    module = module_of(model)
    held = [(tensor, tensor.detach().clone()) for tensor in (*module.parameters(), *module.buffers())]
    try:
        yield Cascade(model, images, seed=seed)
    finally:
        for tensor, numbers in held:
            tensor.data.copy_(numbers)


def layers_used(model: Model, images: Float[Tensor, "n c h w"]) -> tuple[str, ...]:
    """Return the modules with parameters or running statistics of their own, in the order of their last use.

    Raises:
        ValueError: The modules of the model are not accessible.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> methods.layers_used(model, torch.rand(1, 3, 8, 8))
        ('0', '3')
    """
    module = module_of(model)
    owners = {
        _storage(tensor): _owner(name)
        for name, tensor in (*module.named_buffers(), *module.named_parameters())
        if tensor.is_floating_point()
    }
    with torch.no_grad(), _Uses(owners) as uses:
        model(images[:1])
    parts = {name: module.get_submodule(name) for name in uses.order}
    return tuple(name for name, part in parts.items() if _has_statistics(part) or any(True for _ in _own(part)))


class _Uses(Operators):
    """Record which modules' tensors are used while a network runs; `order` is the order of their last use."""

    def __init__(self, owners: Mapping[int, str]) -> None:
        super().__init__()
        self.order: dict[str, None] = {}
        self._owners = owners

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        for one in tree_leaves((args, dict(kwargs or {}))):
            if isinstance(one, Tensor) and (owner := self._owners.get(_storage(one))) is not None:
                self.order.pop(owner, None)
                self.order[owner] = None
        return func(*args, **(kwargs or {}))


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _owner(name: str) -> str:
    """Return the module that a parameter belongs to. A parametrisation belongs to the module that uses it."""
    return name.rpartition(".")[0].partition(".parametrizations")[0]


def _own(part: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Return the parameters of a module, and those that its own parameters are computed from."""
    yield from part.named_parameters(recurse=False)
    if isinstance(parts := getattr(part, "parametrizations", None), nn.Module):
        yield from parts.named_parameters(prefix="parametrizations")


def _redraw(part: nn.Module, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):  # the CPU's generator gives all devices the same numbers
        torch.manual_seed(seed)
        drawn = _initialised(part)
        for name, parameter in _own(part):
            fresh = drawn.get(name)
            unchanged = fresh is None or fresh.shape != parameter.shape or torch.equal(fresh, parameter.detach().cpu())
            parameter.data.copy_(_with_same_moments(parameter) if fresh is None or unchanged else fresh)


def _initialised(part: nn.Module) -> dict[str, Tensor]:
    """Return the parameters after a module's own initialisation; nothing if it has none, or can't be copied."""
    name = next((name for name in _RESETS if callable(getattr(part, name, None))), None)
    if name is None:
        return {}
    try:
        twin = copy.deepcopy(part).cpu()
        getattr(twin, name)()
    except _NO_RESET:
        return {}
    return {name: parameter.detach() for name, parameter in _own(twin)}


def _with_same_moments(parameter: Tensor) -> Tensor:
    values = parameter.detach().float().cpu()
    return values.mean() + values.std(correction=0) * torch.randn(values.shape)


def _has_statistics(part: nn.Module) -> bool:
    return all(isinstance(getattr(part, name, None), Tensor) for name in ("running_mean", "running_var"))


def _settle(norm: Any, inputs: tuple[Tensor, ...]) -> None:
    """Set the running statistics to those of the inputs. A single value per channel has no variance: 1 is used."""
    values = inputs[0].detach().float().transpose(0, 1).flatten(1)  # c values
    norm.running_mean.data.copy_(values.mean(1))
    norm.running_var.data.copy_(values.var(1, correction=0) if values.shape[1] > 1 else torch.ones_like(values[:, 0]))

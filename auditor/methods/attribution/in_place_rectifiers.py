"""Rectifiers that write over a view of another tensor, made visible to autograd.

After an `nn.Linear` that was given tokens, for example, an in-place rectifier writes over a view. In the graph it is
then hidden inside another node. Computing it out of place and copying the result into the view gives the same values,
and an ordinary node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_ASIDE: Mapping[str, Callable[..., Tensor]] = {
    "relu_": torch.relu,
    "clamp_": torch.clamp,
    "clip_": torch.clamp,
    "clamp_min_": torch.clamp_min,
    "hardtanh_": functional.hardtanh,
    "relu6_": functional.relu6,
    "threshold_": functional.threshold,
}
_SWITCHED = {functional.relu, functional.relu6, functional.hardtanh, functional.threshold}


class RectifiersOutOfPlace(TorchFunctionMode):
    """Compute rectifiers out of place if they would write over a view."""

    def __torch_function__(
        self, func: Any, types: Iterable[Any], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        taken = args[0] if args else None
        if not isinstance(taken, Tensor) or not taken._is_view() or not taken.requires_grad:
            return func(*args, **given)
        if func in _SWITCHED and (given.get("inplace") or args[-1] is True):
            return taken.copy_(_out_of_place(func, args, given))
        aside = _ASIDE.get(getattr(func, "__name__", ""))
        return taken.copy_(aside(taken.clone(), *args[1:], **given)) if aside else func(*args, **given)


def _out_of_place(func: Callable[..., Tensor], args: tuple[Any, ...], given: dict[str, Any]) -> Tensor:
    others = args[1:-1] if args[-1] is True else args[1:]
    return func(args[0].clone(), *others, **{name: value for name, value in given.items() if name != "inplace"})

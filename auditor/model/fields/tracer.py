"""Trace the field of each tensor through the operators that run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from auditor.model.fields.axes import Untraceable
from auditor.model.fields.call import Call, tensors_in
from auditor.model.fields.fields import Field
from auditor.model.fields.rules import rule_for
from auditor.process.dispatch import Operators

_Geometry = tuple[int, tuple[int, ...], tuple[int, ...]]
_FILLS = ("new_", "fill_", "zero_", "uniform_", "normal_")  # their outputs do not depend on their inputs
_NotOurs = (RuntimeError, LookupError, TypeError, ValueError)  # a rule does not support this call


def fields_of(module: nn.Module, image: Tensor, names: Sequence[str]) -> dict[str, tuple[Field | None, torch.Size]]:
    """Run the network once on `image` (`[1, c, h, w]`); return the field and shape of each named module's output.

    A module is left out if it gives no tensor, or one that does not depend on the image. The field is None if it
    can't be traced. If a module runs several times, the last run counts.
    """
    if not names:
        return {}
    tracer = _Tracer(image)
    handles = [module.get_submodule(name).register_forward_hook(tracer.observing(name)) for name in names]
    try:
        with torch.no_grad(), tracer:
            module(image)
    finally:
        for handle in handles:
            handle.remove()
    return tracer.found


class _Unknown:
    """The field of a tensor that depends on the image in a way that can't be traced."""


_UNKNOWN = _Unknown()


class _Tracer(Operators):
    """Identifies a tensor by its memory, so that views and in-place operators need no special case."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.found: dict[str, tuple[Field | None, torch.Size]] = {}
        self._seen: dict[int, dict[_Geometry, Field | _Unknown]] = {}
        self._torn: set[int] = set()  # memory of which only a part was written
        self._keep(image, Field.of_image(image))

    def observing(self, name: str) -> Callable[..., None]:
        def observe(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                field = self._of(output)
                if field is not None:
                    self.found[name] = (field if isinstance(field, Field) else None, output.shape)

        return observe

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        arguments = _named(func, args, kwargs)
        taken = tensors_in(list(arguments.values()))
        fields = [self._of(tensor) for tensor in taken]
        memory = {_memory(tensor) for tensor in taken}
        output = func(*args, **kwargs)
        outputs = tuple(tensors_in(output))
        if outputs:
            self._follow(Call(func, arguments, outputs, self._known), fields, memory)
        return output

    def _follow(self, call: Call, fields: list[Field | _Unknown | None], memory: set[int]) -> None:
        for tensor in call.outputs:
            if _memory(tensor) not in memory:  # a new tensor, perhaps in the memory of a former one
                self._seen.pop(_memory(tensor), None)
                self._torn.discard(_memory(tensor))
        writes = call.func._schema.is_mutable
        if not writes and all(field is None for field in fields):
            return
        for tensor, field in zip(call.outputs, _outcome(call, fields), strict=True):
            if writes:
                self._write(tensor, field)
            elif field is not None:
                self._keep(tensor, field)

    def _keep(self, tensor: Tensor, field: Field | _Unknown) -> None:
        self._seen.setdefault(_memory(tensor), {})[_geometry(tensor)] = field

    def _write(self, tensor: Tensor, field: Field | _Unknown | None) -> None:
        """Record an in-place write; memory of which only a part was written is unknown afterwards."""
        if field is self._of(tensor):
            return
        others = self._seen.get(_memory(tensor), {}).keys() - {_geometry(tensor)}
        if others or tensor.numel() * tensor.element_size() != tensor.untyped_storage().nbytes():
            self._torn.add(_memory(tensor))
        if field is None:
            self._seen.pop(_memory(tensor), None)
        else:
            self._keep(tensor, field)

    def _of(self, tensor: Tensor) -> Field | _Unknown | None:
        if _memory(tensor) in self._torn:
            return _UNKNOWN
        return self._seen.get(_memory(tensor), {}).get(_geometry(tensor))

    def _known(self, tensor: Tensor) -> Field | None:
        field = self._of(tensor)
        return field if isinstance(field, Field) else None


def _outcome(call: Call, fields: list[Field | _Unknown | None]) -> list[Field | _Unknown | None]:
    """Return the field of each output."""
    count = len(call.outputs)
    name = call.func.overloadpacket.__name__
    if name.startswith(_FILLS) or name.endswith("_like"):
        return [None] * count
    if name == "copy_":
        fields = fields[1:]
    if all(field is None for field in fields):
        return [None] * count
    if any(isinstance(field, _Unknown) for field in fields):
        return [_UNKNOWN] * count
    try:
        found = rule_for(call.func)(call)
    except (Untraceable, *_NotOurs):
        return [_UNKNOWN] * count
    every = [found] * count if isinstance(found, Field) else list(found)
    return [field if _fits(field, out) else _UNKNOWN for field, out in zip(every, call.outputs, strict=True)]


def _fits(field: Field, output: Tensor) -> bool:
    """Return whether a field's arrays have the dimensions of the tensor; those of secondary outputs do not."""
    return all(
        reach.place.ndim == output.ndim
        and all(size in (1, full) for size, full in zip(reach.place.shape, output.shape, strict=True))
        for reach in field.reaches
    )


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _geometry(tensor: Tensor) -> _Geometry:
    """Return offset, shape and strides of a tensor in its memory; the stride of a dimension of size 1 counts as 0."""
    strides = tuple(0 if size == 1 else stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return int(tensor.storage_offset()), tuple(tensor.shape), strides


@lru_cache(maxsize=1024)
def _signature(func: Any) -> tuple[tuple[str, Any], ...]:
    return tuple((a.name, a.default_value if a.has_default_value() else None) for a in func._schema.arguments)


def _named(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, with their defaults."""
    signature = _signature(func)
    named = dict(signature)
    named.update(zip(named, args, strict=False))
    named.update(kwargs)
    return named

"""A call of an operator, as the rules for fields take it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from auditor.model.fields.axes import Untraceable
from auditor.model.fields.fields import Field


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator.

    Attributes:
        arguments: By the names of the operator's schema, with defaults.
        outputs: The tensors that it returned.
        seen: Returns a tensor's field, None for a tensor that does not depend on the image.
    """

    func: Any
    arguments: Mapping[str, Any]
    outputs: tuple[Tensor, ...]
    seen: Callable[[Tensor], Field | None]

    @property
    def input(self) -> Tensor:
        """The first argument."""
        tensor = next(iter(self.arguments.values()))
        if not isinstance(tensor, Tensor):
            raise Untraceable(f"{self.func} takes no tensor first")
        return tensor

    @property
    def options(self) -> list[Any]:
        """The positional arguments after the first."""
        places = [a.name for a in self.func._schema.arguments if not a.kwarg_only]
        return [self.arguments[name] for name in places[1:]]

    @property
    def field(self) -> Field:
        """The field of the first argument."""
        return self.seen_in(self.input)

    @property
    def ndim(self) -> int:
        """The number of dimensions of its first output."""
        return self.outputs[0].ndim

    def seen_in(self, tensor: Tensor) -> Field:
        """Return a tensor's field; it is empty for a tensor that does not depend on the image."""
        return self.seen(tensor) or Field.blind(tensor.ndim)

    def fields(self, *names: str) -> list[Field]:
        """Return the fields of the named arguments, or of all, that depend on the image."""
        values = [self.arguments[name] for name in names] if names else list(self.arguments.values())
        fields = [self.seen(tensor) for tensor in tensors_in(values)]
        return [field for field in fields if field is not None]

    def dims(self, name: str = "dim") -> list[int]:
        """Return the dimensions of the input that an argument gives, all of them if it gives none."""
        ndim, dims = self.input.ndim, self.arguments.get(name)
        if dims is None or dims == []:
            return list(range(ndim))
        return [dim % ndim for dim in ([dims] if isinstance(dims, int) else dims)]


Rule = Callable[[Call], Field | Sequence[Field]]


def tensors_in(values: Any) -> list[Tensor]:
    """Return the tensors in nested lists and tuples."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, list | tuple):
        return [tensor for value in values for tensor in tensors_in(value)]
    return []

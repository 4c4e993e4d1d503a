"""Reductions of a layer's output that several collectors need, computed once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.methods.layers.top_activations import Peaks

Value = TypeVar("Value")

_shared: ContextVar[tuple[Tensor | None, dict[Hashable, Any]]] = ContextVar("shared", default=(None, {}))


@contextmanager
def shared(output: Tensor) -> Iterator[None]:
    """Share what is computed from an output inside the block; the output must not change in it."""
    before = _shared.set((output, {}))
    try:
        yield
    finally:
        _shared.reset(before)


def once(output: Tensor, name: Hashable, compute: Callable[[], Value]) -> Value:
    """Return the result of `compute`; for a shared output it is computed only once for each name."""
    current, values = _shared.get()
    if current is not output:
        return compute()
    if name not in values:
        values[name] = compute()
    value: Value = values[name]
    return value


def shared_peaks(output: Tensor, each: int = 1) -> Peaks:
    """Return the `each` largest outputs of each channel for each image, as `peaks` does."""
    from auditor.methods.layers.top_activations import peaks

    return once(output, ("peaks", each), lambda: peaks(output, each))

"""The operators of a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Pair = tuple[int, int]


Operator = Callable[[Sequence[Any], int], Any]  # computes a value from the inputs, for a number of images


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """The images."""

    def __call__(self, inputs: Sequence[Any], count: int) -> Any:
        raise TypeError("the images are given, not computed")


@dataclass(frozen=True, eq=False, slots=True)
class Sliding:
    """An operator whose output places each depend on a window of the input. Pairs are rows, then columns.

    Attributes:
        padding: Before the first row and column. The last window may reach over the end by any number.
        outside: The value of the padding.
    """

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    outside: float

    def span(self, axis: int) -> int:
        """Return the number of places that the window spans along an axis."""
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        raise NotImplementedError

    def valid(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        """Compute the output for windows inside the input, without padding."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, slots=True)
class Convolution(Sliding):
    """A convolution.

    Attributes:
        around: The padding as PyTorch accepts it, on all four sides.
    """

    weight: Tensor
    bias: Tensor | None
    groups: int
    around: Pair | str

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return self._convolved(inputs[0], self.around)

    def valid(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return self._convolved(inputs[0], (0, 0))

    def _convolved(self, maps: Tensor, padding: Pair | str) -> Tensor:
        return functional.conv2d(maps, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


@dataclass(frozen=True, eq=False, slots=True)
class MaxPool(Sliding):
    ceil: bool

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return functional.max_pool2d(inputs[0], self.kernel, self.stride, self.padding, self.dilation, self.ceil)

    def valid(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return functional.max_pool2d(inputs[0], self.kernel, self.stride, 0, self.dilation)


@dataclass(frozen=True, eq=False, slots=True)
class AveragePool(Sliding):
    """The mean of each window, including zeros beyond the border."""

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return functional.avg_pool2d(inputs[0], self.kernel, self.stride, self.padding)

    def valid(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return functional.avg_pool2d(inputs[0], self.kernel, self.stride)


@dataclass(frozen=True, eq=False, slots=True)
class Placewise:
    """An operator whose output places each depend on the same place of the inputs: activations, sums, products.

    Attributes:
        over: The same operator, written over the first input; None if there is none.
    """

    function: Callable[[Sequence[Tensor]], Tensor]
    over: Callable[[Sequence[Tensor]], Tensor] | None = None

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return self.function(inputs)

    def written_over(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        """Compute the output in the memory of the first input, if possible."""
        return self.function(inputs) if self.over is None else self.over(inputs)


@dataclass(frozen=True, eq=False, slots=True)
class Affine:
    """A factor and an offset for each channel, `[1, c, 1, 1]`, like those of a batch norm in eval mode."""

    factor: Tensor
    offset: Tensor

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return torch.addcmul(self.offset, inputs[0], self.factor)

    def written_over(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return torch.addcmul(self.offset, inputs[0], self.factor, out=inputs[0])


@dataclass(frozen=True, eq=False, slots=True)
class Concatenation:
    """Concatenated channels.

    Attributes:
        places: Numbers of the inputs, of which one can occur several times.
    """

    places: Sequence[int]

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return torch.cat([inputs[place] for place in self.places], 1)


@dataclass(frozen=True, eq=False, slots=True)
class Padding:
    """Constant padding: before the first column, after the last, above the first row, below the last."""

    widths: tuple[int, int, int, int]
    outside: float

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return functional.pad(inputs[0], self.widths, value=self.outside)

    def before(self, axis: int) -> int:
        return self.widths[0 if axis else 2]


@dataclass(frozen=True, slots=True)
class Slot:
    """Placeholder in the arguments for an input."""

    index: int


@dataclass(frozen=True, slots=True)
class Number:
    """Placeholder in the arguments for an integer that depends on the number of images."""

    of: Callable[[int], int]


@dataclass(frozen=True, eq=False, slots=True)
class Opaque:
    """Any operator. It is unknown which places its output depends on."""

    target: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def __call__(self, inputs: Sequence[Any], count: int) -> Any:
        def filled(argument: Any) -> Any:
            if isinstance(argument, Slot):
                return inputs[argument.index]
            if isinstance(argument, Number):
                return argument.of(count)
            return [filled(one) for one in argument] if isinstance(argument, list | tuple) else argument

        options = {name: filled(argument) for name, argument in self.options.items()}
        return self.target(*map(filled, self.arguments), **options)


def exact(values: Tensor) -> Tensor:
    """Return values of a network in double precision on the CPU; not every device supports it."""
    return values.cpu().double()


def owns_its_output(operator: Operator) -> bool:
    """Return whether the operator's output is new memory, which may be written over."""
    return isinstance(operator, Sliding | Placewise | Affine | Concatenation)

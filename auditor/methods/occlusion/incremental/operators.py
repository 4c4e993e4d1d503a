"""What a node of the graph computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Pair = tuple[int, int]


Operator = Callable[[Sequence[Any], int], Any]  # makes a value of those of the inputs, for so many images


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """The images."""

    def __call__(self, inputs: Sequence[Any], count: int) -> Any:
        raise TypeError("the images are given, not computed")


@dataclass(frozen=True, eq=False, slots=True)
class Sliding:
    """A place of the output looks at a window of the input: rows, then columns.

    Attributes:
        padding: Before the first row and column; the last window may reach over the end by any number.
        outside: What stands beyond the border.
    """

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    outside: float

    def span(self, axis: int) -> int:
        """Return how many places the window spans along an axis."""
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        raise NotImplementedError

    def valid(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        """Compute where the window lies inside the input, without padding."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False, slots=True)
class Convolution(Sliding):
    """A convolution.

    Attributes:
        around: The padding as PyTorch takes it, on all four sides.
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
    """The mean of each window, zeros beyond the border included."""

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return functional.avg_pool2d(inputs[0], self.kernel, self.stride, self.padding)

    def valid(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return functional.avg_pool2d(inputs[0], self.kernel, self.stride)


@dataclass(frozen=True, eq=False, slots=True)
class Placewise:
    """Each place of the output looks at the same place of the inputs: activations, sums, products.

    Attributes:
        over: The same, written over the first input; None where there is no such operator.
    """

    function: Callable[[Sequence[Tensor]], Tensor]
    over: Callable[[Sequence[Tensor]], Tensor] | None = None

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return self.function(inputs)

    def written_over(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        """Compute the same in the memory of the first input, if that is possible."""
        return self.function(inputs) if self.over is None else self.over(inputs)


@dataclass(frozen=True, eq=False, slots=True)
class Affine:
    """A factor and an offset a channel, as batch norm is once it has been trained; each `[1, c, 1, 1]`."""

    factor: Tensor
    offset: Tensor

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return torch.addcmul(self.offset, inputs[0], self.factor)

    def written_over(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return torch.addcmul(self.offset, inputs[0], self.factor, out=inputs[0])


@dataclass(frozen=True, eq=False, slots=True)
class Concatenation:
    """Channels behind channels.

    Attributes:
        places: Of the inputs, one of which may come several times.
    """

    places: Sequence[int]

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return torch.cat([inputs[place] for place in self.places], 1)


@dataclass(frozen=True, eq=False, slots=True)
class Padding:
    """A number all around: before the first column, behind the last, above the first row, below the last."""

    widths: tuple[int, int, int, int]
    outside: float

    def __call__(self, inputs: Sequence[Tensor], count: int) -> Tensor:
        return functional.pad(inputs[0], self.widths, value=self.outside)

    def before(self, axis: int) -> int:
        return self.widths[0 if axis else 2]


@dataclass(frozen=True, slots=True)
class Slot:
    """Stands in the arguments for an input."""

    index: int


@dataclass(frozen=True, slots=True)
class Number:
    """Stands in the arguments for a whole number that depends on how many images there are."""

    of: Callable[[int], int]


@dataclass(frozen=True, eq=False, slots=True)
class Opaque:
    """Any operator; nothing is known of which places it looks at."""

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
    """Return numbers of a network in double precision, on the CPU, since not every device has it."""
    return values.cpu().double()


def owns_its_output(operator: Operator) -> bool:
    """Return whether the output is memory that nothing else looks at, so that it may be written over."""
    return isinstance(operator, Sliding | Placewise | Affine | Concatenation)

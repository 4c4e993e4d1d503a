"""The stages of a forward pass: one for each resolution of the maps, then the features before the scores.

A stage is the last module whose maps have its resolution. A module inside a block that ends with the next resolution
is half of a step: it counts only if no other module has its resolution. If all maps have the same resolution, as in a
vision transformer, the stages are the blocks that follow each other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.context import Maps, tensors

if TYPE_CHECKING:
    from torch import Tensor, nn

    from auditor.context import Context, Sample
    from auditor.methods.attribution.forward_pass import Passage, Recording
    from auditor.model.network import Network

Shape = tuple[int, int, int]

MOST = 6
"""The largest number of stages: with the image, the features and the scores they fill a row of a page."""


@dataclass(frozen=True, slots=True)
class Route:
    """The modules to observe between the image and the scores.

    Attributes:
        layers: Modules in the order in which they end, at most `MOST`.
        found: Number of stages of the network, of which `layers` may be a selection.
        head: The module that computes the scores from a vector of features; None if there is none.
        trouble: Why no layers are known; empty if they are.
    """

    layers: tuple[str, ...] = ()
    found: int = 0
    head: str | None = None
    trouble: str = ""


@dataclass(frozen=True, eq=False)
class Stage:
    """The maps of `n` images at one stage of the network.

    Attributes:
        rectified: Whether the maps are the output of the rectifier behind the layer, not of the layer itself.
        shape: Channels, rows and columns.
        strength: Mean over the channels of the absolute values, `[n, rows, cols]`, zero or above.
    """

    layer: str
    rectified: bool
    shape: Shape
    strength: Maps


@dataclass(frozen=True, eq=False)
class ForwardPass:
    """The stages of `n` images, and their features, `[n, d]`: the input of the last layer, if that is a vector."""

    stages: tuple[Stage, ...]
    features: NDArray[np.float32] | None


def route(network: Network, image: Tensor) -> Route:
    """Find the stages of a network by a forward pass of one image, `[1, c, h, w]`."""
    from auditor.methods.attribution.forward_pass import survey

    try:
        seen = survey(network, image)
    except ValueError as reason:
        return Route(trouble=str(reason))
    shapes = {name: shape for name in seen.passages if (shape := _shape(network, seen, name))}
    tensors = [names for names in _makers(seen) if names[0] in shapes]
    one = len({shape[1:] for shape in shapes.values()}) == 1
    outermost = [_outermost(names) for names in tensors]
    found = blocks_in_a_row(tensors) if one else last_of_each_resolution(outermost, shapes, set(seen.passages))
    places = np.linspace(0, len(found) - 1, min(len(found), MOST)).round().astype(int)
    return Route(tuple(found[place] for place in places), len(found), _head(network, seen))


def last_of_each_resolution(names: Sequence[str], shapes: Mapping[str, Shape], ended: Collection[str]) -> list[str]:
    """Return the last module of each resolution.

    Args:
        names: One module for each stack of maps, in the order of computation.
        shapes: Shapes of all modules that return maps.
        ended: Names of all modules that ran.
    """
    sizes = {name: shape[1:] for name, shape in shapes.items()}

    def crossed(name: str) -> int:
        """Count the blocks around a module that end with the next resolution, without blocks of many resolutions."""
        parts = name.split(".")
        around = [".".join(parts[:count]) for count in range(1, len(parts))]
        blocks = [one for one in around if one in ended and sizes.get(one) != sizes[name]]
        return sum(len({size for inner, size in sizes.items() if f"{inner}.".startswith(f"{b}.")}) < 3 for b in blocks)

    by_size: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
    for name in names:
        by_size[sizes[name]].append(name)
    last = set()
    for own in by_size.values():
        counts = [crossed(name) for name in own]
        last.add([name for name, count in zip(own, counts, strict=True) if count == min(counts)][-1])
    return [name for name in names if name in last]


def blocks_in_a_row(tensors: Iterable[Sequence[str]]) -> list[str]:
    """Return the longest sequence of modules with the same parent: the blocks of a transformer.

    Args:
        tensors: For each stack of maps the modules that return it, in the order of computation.
    """
    beside: defaultdict[str, list[str]] = defaultdict(list)
    for names in tensors:
        for parent, name in {name.rpartition(".")[0]: name for name in names}.items():
            beside[parent].append(name)
    return max(beside.values(), key=len)


def forward_pass(context: Context, samples: Sequence[Sample], route: Route) -> ForwardPass:
    """Run the network on some images and keep the maps of each stage and the features."""
    from auditor.methods.attribution.forward_pass import record

    if not route.layers and route.head is None:
        return ForwardPass((), None)
    with _inputs_of(context.network, route.head) as inputs:
        seen = record(context.network, tensors(context, samples), layers=route.layers)
    return ForwardPass(tuple(_stage(seen, layer) for layer in route.layers), _vectors(inputs))


def _stage(seen: Recording, layer: str) -> Stage:
    passage = seen.passages[layer]
    behind = seen.rectifier_after(passage)
    rectified = behind is not None and behind.values.shape == passage.values.shape  # no pooling between them
    maps = seen.maps(behind if behind is not None and rectified else passage).float()  # [n, c, rows, cols]
    _, channels, rows, cols = maps.shape
    return Stage(layer, rectified, (channels, rows, cols), maps.abs().mean(1).cpu().numpy())


@contextmanager
def _inputs_of(network: Network, layer: str | None) -> Iterator[list[Tensor]]:
    """Keep the inputs of a layer, one for each time that it runs."""
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if inputs:
            kept.append(inputs[0].detach().clone())

    if layer is None:
        yield kept
        return
    handle = network.module.get_submodule(layer).register_forward_pre_hook(keep)
    try:
        yield kept
    finally:
        handle.remove()


def _vectors(inputs: Sequence[Tensor]) -> NDArray[np.float32] | None:
    """Return the last input, `[n, d]`; None if it is no vector an image."""
    if not inputs or inputs[-1].ndim < 2 or inputs[-1][0].numel() != inputs[-1].shape[1]:
        return None
    values: NDArray[np.float32] = inputs[-1].flatten(1).float().cpu().numpy()
    return values


def _shape(network: Network, seen: Recording, name: str) -> Shape | None:
    """Return channels, rows and columns of a module's output; None if that is not a stack of maps."""
    from torch.nn.modules import padding

    passage = seen.passages[name]
    if type(network.module.get_submodule(name)).__module__ == padding.__name__:
        return None  # padding is a part of the convolution behind it
    try:
        maps = seen.maps(passage)
    except ValueError:
        return None
    channels, rows, cols = maps.shape[1:]
    single = rows * cols == 1 or (passage.values.ndim == 4 and passage.values.shape[2:].numel() == 1)
    return None if single or _is_other(seen, passage.values, maps) else (channels, rows, cols)


def _is_other(seen: Recording, values: Tensor, maps: Tensor) -> bool:
    """Return whether an output that can be read as maps is something else: attention, or tokens swapped with channels.

    Args:
        values: The output of a module, of which `maps` is a view.
    """
    from auditor.methods.attribution.grid import has_square_cells

    tokens = {tuple(p.values.shape[1:]) for p in seen.passages.values() if p.values.ndim == 3}
    rows, cols = maps.shape[2:]
    if values.ndim == 3:  # the tokens almost fill a grid, and another module has as many channels
        return rows * cols != values.shape[1] and values.shape[1] in {channels for _, channels in tokens}
    if rows == cols and rows in {count for count, _ in tokens}:
        return True
    height, width = seen.images.shape[2:]
    either = (values, values.permute(0, 3, 1, 2)) if values.ndim == 4 else ()
    swapped = bool(tokens) or any(has_square_cells(one, (height, width)) for one in either)
    return swapped and not has_square_cells(maps, (height, width))


def _makers(seen: Recording) -> list[list[str]]:
    """Return for each tensor the modules that return it, without tensors whose rectifier is one of the modules."""
    makers: defaultdict[tuple[object, int], list[str]] = defaultdict(list)
    for name, passage in seen.passages.items():
        makers[_place(passage)].append(name)
    behind = {place: seen.rectifier_after(seen.passages[names[0]]) for place, names in makers.items()}
    return [names for place, names in makers.items() if (taker := behind[place]) is None or _place(taker) not in makers]


def _place(passage: Passage) -> tuple[object, int]:
    return passage.edge.node, passage.edge.output_nr


def _outermost(names: Sequence[str]) -> str:
    """Return the largest block that ends with the first of some modules."""
    return min((name for name in names if f"{names[0]}.".startswith(f"{name}.")), key=len)


def _head(network: Network, seen: Recording) -> str | None:
    """Return the last module with weights that has one output a class, or a single output for two classes."""
    for name in reversed(list(seen.passages)):
        weight = getattr(network.module.get_submodule(name), "weight", None)
        given = seen.passages[name].values[0].numel()
        if getattr(weight, "ndim", 0) >= 2 and given in {network.outputs, 1 if network.outputs == 2 else 0}:
            return name
    return None

"""Targets of an attribution: classes, or one unit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.autograd.graph import GradientEdge

from auditor.methods.attribution.forward_pass import Model, PartialRecording, Recording, record
from auditor.unit import Unit

Target = int | Sequence[int] | Tensor | Unit


class Signal(NamedTuple):
    """A place in the graph, and the signal that starts there: one number for each image, zeros elsewhere."""

    start: GradientEdge
    values: Tensor


@dataclass(frozen=True, eq=False, slots=True)
class Classes:
    """Classes as targets, `[n, k]`: the same number for each image."""

    indices: Int64[Tensor, "n k"]

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    @property
    def count(self) -> int:
        return self.indices.shape[1]

    def at(self, images: Int64[Tensor, " m"]) -> Classes:
        """Return the classes of the images with these numbers."""
        return Classes(self.indices[images.to(self.indices.device)])

    def signals(self, recording: Recording, *, activation: bool = False) -> Iterator[Signal]:
        """Yield `k` signals, each 1 at the logit of a class.

        Raises:
            IndexError: A class does not exist.
        """
        refuse_unknown(self.indices, recording.scores.shape[1])
        for column in self.indices.to(recording.scores.device).unbind(1):
            yield Signal(recording.scores_edge, torch.zeros_like(recording.scores).scatter_(1, column[:, None], 1.0))


@dataclass(frozen=True, eq=False, slots=True)
class Position:
    """A channel of a layer, and one place of its map for each image.

    Attributes:
        layer: The name of a module.
        channel: From 0.
        rows, cols: The place in each image's map, from 0.
        values: The activation at that place.
    """

    layer: str
    channel: int
    rows: Int64[Tensor, " n"]
    cols: Int64[Tensor, " n"]
    values: Float[Tensor, " n"]

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)

    @property
    def count(self) -> int:
        return 1

    def at(self, images: Int64[Tensor, " m"]) -> Position:
        """Return the positions in the images with these numbers."""
        return Position(self.layer, self.channel, self.rows[images], self.cols[images], self.values[images])

    def signals(self, recording: PartialRecording, *, activation: bool = False) -> Iterator[Signal]:
        """Yield one signal: 1 at the unit, or its activation."""
        passage = recording.passages[self.layer]
        values = torch.zeros_like(passage.values)
        places = torch.arange(len(values), device=values.device), self.channel, self.rows, self.cols
        seed = recording.maps(passage)[places] if activation else 1.0
        recording.maps(passage, values)[places] = seed
        yield Signal(passage.edge, values)


def refuse_unknown(classes: Int64[Tensor, "..."], count: int) -> None:
    """Refuse classes that a network with `count` classes does not have.

    Raises:
        IndexError: A class is negative, or too large.
    """
    if len(outside := classes[(classes < 0) | (classes >= count)]):
        raise IndexError(f"there is no class {int(outside[0])}: the network has {count}, numbered from 0")


def classes_of(target: int | Sequence[int] | Tensor, *, images: int) -> Classes:
    """Return the target classes: one for all images, one or several for each image, or several for a single image.

    Raises:
        ValueError: The target has another shape or type.
    """
    try:
        classes = torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"target is {target!r}, but has to be classes or a Unit") from None
    if classes.dtype.is_floating_point or classes.dtype.is_complex or classes.dtype == torch.bool:
        raise ValueError(f"target is {classes.dtype}, but classes have to be integers")
    if classes.ndim == 0:
        return Classes(classes.long().expand(images, 1))
    if classes.ndim == 1 and len(classes) and images == 1:
        return Classes(classes.long()[None])
    if classes.ndim == 1 and len(classes) == images:
        return Classes(classes.long()[:, None])
    if classes.ndim == 2 and len(classes) == images and classes.shape[1]:
        return Classes(classes.long())
    raise ValueError(
        f"target has the shape {tuple(classes.shape)}, but has to be one class, one or several for each of "
        f"{images} images, or several for a single image"
    )


def locate(model: Model, images: Float[Tensor, "n c h w"], unit: Unit) -> Position:
    """Return the place of a unit in each image, and its activation there.

    Returns:
        `layer` and `channel` of the unit, with `rows`, `cols` and `values`, `[n]` each.

    Raises:
        ValueError: The layer does not exist, or its output is not a stack of maps.
        IndexError: The channel or the place does not exist.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> images = torch.rand(2, 3, 8, 8)
        >>> found = methods.locate(model, images, methods.Unit("1", 3))
        >>> torch.equal(found.values, model[:2](images)[:, 3].amax((1, 2)))  # the most active place of each image
        True
    """
    return position_of(unit, record(model, images, layers=(unit.layer,)))


def position_of(unit: Unit, recording: PartialRecording) -> Position:
    """Return the place of a unit in each image: its own, or the most active one of its channel.

    Raises:
        IndexError: The layer has no such channel, row or column.
        ValueError: The layer's output is not a stack of maps.
    """
    maps = recording.maps(recording.passages[unit.layer])
    images, channels, height, width = maps.shape
    if unit.channel >= channels:
        raise IndexError(f"layer {unit.layer!r} has no channel {unit.channel}: it has {channels}, numbered from 0")
    plane = maps[:, unit.channel]
    if unit.y is None or unit.x is None:
        flat = plane.flatten(1).argmax(1)
        rows, cols = flat // width, flat % width
    elif unit.y >= height or unit.x >= width:
        raise IndexError(f"layer {unit.layer!r} has no place {unit.y}:{unit.x}: its maps are {height} x {width}")
    else:
        rows, cols = (torch.full((images,), place, device=maps.device) for place in (unit.y, unit.x))
    return Position(unit.layer, unit.channel, rows, cols, plane[torch.arange(images), rows, cols])


Aim = Classes | Position


def layers_of(target: Target | Aim) -> tuple[str, ...]:
    """Return the layers that must be watched to find the target."""
    if isinstance(target, Unit):
        return (target.layer,)
    return target.layers if isinstance(target, Classes | Position) else ()


def aim_at(target: Target | Aim, recording: Recording) -> Aim:
    """Return the classes or the position where signals for this target start.

    Raises:
        ValueError, IndexError: As `classes_of` and `position_of`.
    """
    if isinstance(target, Classes | Position):
        return target
    if isinstance(target, Unit):
        return position_of(target, recording)
    return classes_of(target, images=len(recording.images))

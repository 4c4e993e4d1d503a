"""What is asked about: classes, or one unit."""

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
    """A place in the graph, and what is sent back from it: zero but for one number an image."""

    start: GradientEdge
    values: Tensor


@dataclass(frozen=True, eq=False, slots=True)
class Classes:
    """The classes asked about, `[n, k]`: the same number for each image."""

    indices: Int64[Tensor, "n k"]

    @property
    def layers(self) -> tuple[str, ...]:
        return ()

    @property
    def count(self) -> int:
        return self.indices.shape[1]

    def at(self, images: Int64[Tensor, " m"]) -> Classes:
        """Return the same for the images at these places."""
        return Classes(self.indices[images.to(self.indices.device)])

    def signals(self, recording: Recording, *, activation: bool = False) -> Iterator[Signal]:
        """Return `k` signals, each 1 at the score of a class.

        Raises:
            IndexError: A class does not exist.
        """
        refuse_unknown(self.indices, recording.scores.shape[1])
        for column in self.indices.to(recording.scores.device).unbind(1):
            yield Signal(recording.scores_edge, torch.zeros_like(recording.scores).scatter_(1, column[:, None], 1.0))


@dataclass(frozen=True, eq=False, slots=True)
class Position:
    """A channel of a layer, and one place of its map for each image."""

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
        """Return the same for the images at these places."""
        return Position(self.layer, self.channel, self.rows[images], self.cols[images], self.values[images])

    def signals(self, recording: PartialRecording, *, activation: bool = False) -> Iterator[Signal]:
        """Return one signal: 1 at the unit, or its activation."""
        passage = recording.passages[self.layer]
        values = torch.zeros_like(passage.values)
        places = torch.arange(len(values), device=values.device), self.channel, self.rows, self.cols
        seed = recording.maps(passage)[places] if activation else 1.0
        recording.maps(passage, values)[places] = seed
        yield Signal(passage.edge, values)


def refuse_unknown(classes: Int64[Tensor, "..."], count: int) -> None:
    """Refuse classes that a network of `count` does not have.

    Raises:
        IndexError: A class is negative, or too large.
    """
    if len(outside := classes[(classes < 0) | (classes >= count)]):
        raise IndexError(f"there is no class {int(outside[0])}: the network has {count}, numbered from 0")


def classes_of(target: int | Sequence[int] | Tensor, *, images: int) -> Classes:
    """Return the classes asked about: one for all images, one or several for each, or several for a single one.

    Raises:
        ValueError: The target is none of these.
    """
    try:
        asked = torch.as_tensor(target)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"target is {target!r}, but has to be classes, or a Unit") from None
    if asked.dtype.is_floating_point or asked.dtype.is_complex or asked.dtype == torch.bool:
        raise ValueError(f"target is {asked.dtype}, but has to be whole numbers: classes")
    if asked.ndim == 0:
        return Classes(asked.long().expand(images, 1))
    if asked.ndim == 1 and len(asked) and images == 1:
        return Classes(asked.long()[None])
    if asked.ndim == 1 and len(asked) == images:
        return Classes(asked.long()[:, None])
    if asked.ndim == 2 and len(asked) == images and asked.shape[1]:
        return Classes(asked.long())
    raise ValueError(
        f"target has the shape {tuple(asked.shape)}, but has to be one class, one or several for each of "
        f"{images} images, or several for a single image"
    )


def locate(model: Model, images: Float[Tensor, "n c h w"], unit: Unit) -> Position:
    """Return where a unit lies in each image, and how active it is there.

    Raises:
        ValueError, IndexError: The layer, the channel or the place does not exist.
    """
    return position_of(unit, record(model, images, layers=(unit.layer,)))


def position_of(unit: Unit, recording: PartialRecording) -> Position:
    """Return where the unit lies in each image: where its channel is most active, unless it says so itself.

    Raises:
        IndexError: The layer has no such channel, row or column.
        ValueError: The layer's output is no stack of maps.
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
    """Return the layers that have to be watched for the target to be found."""
    if isinstance(target, Unit):
        return (target.layer,)
    return target.layers if isinstance(target, Classes | Position) else ()


def aim_at(target: Target | Aim, recording: Recording) -> Aim:
    """Return where signals start for this target.

    Raises:
        ValueError, IndexError: As `classes_of` and `position_of`.
    """
    if isinstance(target, Classes | Position):
        return target
    if isinstance(target, Unit):
        return position_of(target, recording)
    return classes_of(target, images=len(recording.images))

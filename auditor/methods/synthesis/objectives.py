"""Goals of a synthesis: a class, a channel, a single unit, or a whole layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from auditor.methods.attribution.forward_pass import Recording
from auditor.methods.attribution.targets import Signal, refuse_unknown
from auditor.unit import Unit

Goal = int | str | Unit
Goals = Goal | Sequence[Goal] | Tensor


@dataclass(frozen=True, eq=False, slots=True)
class Diversity:
    """The cost of similarity between images with the same goal.

    Attributes:
        weight: The cost of a mean similarity of 1 to the other images, in units of the score.
        layer: The layer whose Gram matrices are compared.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from dataclasses import replace
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> noisy = replace(methods.SIMONYAN, noise=0.1, steps=3)
        >>> found = methods.synthesize(
        ...     model, 5, shape=(3, 8, 8), preset=noisy, copies=2, diversity=methods.Diversity(1.0, "0")
        ... )
        >>> found.images.shape, bool((found.objectives < found.course).all())  # similarity costs something
        (torch.Size([2, 3, 8, 8]), True)
    """

    weight: float
    layer: str


def goals_of(target: Goals) -> tuple[Goal, ...]:
    """Return a goal for each image.

    Raises:
        ValueError: The target is not made of classes, units and names of layers, or it is empty.
    """
    if isinstance(target, Tensor):
        if target.ndim > 1 or target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
            raise ValueError(f"target is {target.dtype} {list(target.shape)}, but classes have to be integers [n]")
        target = target.tolist()
    goals = [target] if isinstance(target, int | str | Unit) else list(target)
    for goal in goals:
        if isinstance(goal, bool) or not isinstance(goal, int | str | Unit):
            raise ValueError(f"target is {goal!r}, but has to be a class, a Unit, or the name of a layer")
    if not goals:
        raise ValueError("target is empty, but has to have at least one class, unit or layer")
    return tuple(goals)


def layers_of(goals: Sequence[Goal], diversity: Diversity | None = None) -> tuple[str, ...]:
    """Return the layers that must be watched."""
    own = [goal if isinstance(goal, str) else goal.layer for goal in goals if not isinstance(goal, int)]
    return tuple(dict.fromkeys([*own, *([diversity.layer] if diversity else ())]))


@torch.enable_grad()
def aimed(
    goals: Sequence[Goal], recording: Recording, logits: Float[Tensor, "n k"], diversity: Diversity | None = None
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"], list[Signal]]:
    """Return the score of each image for its goal, its cost of similarity, and the signals that raise the difference.

    The score of a class is its logit, that of a unit its value, that of a channel without a place the mean of its map,
    and that of a layer the mean square of its output.

    Raises:
        IndexError: A class, channel or place does not exist.
        ValueError: The output of a unit's layer is not a stack of maps.
    """
    reached, signals = torch.zeros_like(logits[:, 0]), []
    classes = [(row, goal) for row, goal in enumerate(goals) if isinstance(goal, int)]
    if classes:
        rows, columns = torch.tensor(classes, device=logits.device).T
        refuse_unknown(columns, logits.shape[1])
        reached[rows] = logits[rows, columns]
        values = torch.zeros_like(recording.scores)
        values[rows, columns] = 1.0
        signals.append(Signal(recording.scores_edge, values))
    paid = torch.zeros_like(reached)
    for layer in layers_of(goals, diversity):
        leaf = recording.passages[layer].values.detach().clone().requires_grad_()
        rows, values = _at(layer, leaf, goals, recording)
        reached[rows] = values.detach().to(reached)
        gain = values.sum()
        if diversity and diversity.layer == layer:
            cost = diversity.weight * _likeness(recording.maps(recording.passages[layer], leaf), goals)
            paid, gain = cost.detach().to(paid), gain - cost.sum()
        if gain.requires_grad:
            signals.append(Signal(recording.passages[layer].edge, torch.autograd.grad(gain, leaf)[0]))
    return reached, paid, signals


def _at(
    layer: str, leaf: Tensor, goals: Sequence[Goal], recording: Recording
) -> tuple[Int64[Tensor, " m"], Float[Tensor, " m"]]:
    """Return which of the goals are in a layer, and their scores."""
    found = [(row, _value(goal, layer, leaf, row, recording)) for row, goal in enumerate(goals)]
    rows = [row for row, value in found if value is not None]
    values = [value for _, value in found if value is not None]
    places = torch.tensor(rows, dtype=torch.int64, device=leaf.device)
    return places, torch.stack(values) if values else leaf.new_zeros(0)


def _value(goal: Goal, layer: str, leaf: Tensor, row: int, recording: Recording) -> Tensor | None:
    if isinstance(goal, str):
        return leaf[row].square().mean() if goal == layer else None
    if isinstance(goal, int) or goal.layer != layer:
        return None
    maps = recording.maps(recording.passages[layer], leaf)
    _, channels, height, width = maps.shape
    if goal.channel >= channels:
        raise IndexError(f"layer {layer!r} has no channel {goal.channel}: it has {channels}, numbered from 0")
    if goal.y is None or goal.x is None:
        return maps[row, goal.channel].mean()
    if goal.y >= height or goal.x >= width:
        raise IndexError(f"layer {layer!r} has no place {goal.y}:{goal.x}: its maps are {height} x {width}")
    return maps[row, goal.channel, goal.y, goal.x]


def _likeness(maps: Float[Tensor, "n c h w"], goals: Sequence[Goal]) -> Float[Tensor, " n"]:
    """Return the mean cosine of an image's Gram matrix with those of its goal's other images (Olah et al. 2017)."""
    features = maps.flatten(2)
    grams = functional.normalize(torch.einsum("ncp,ndp->ncd", features, features).flatten(1))
    total = torch.zeros_like(grams[:, 0])
    for rows in _alike(goals):
        others = grams[rows] @ grams[rows].T
        total[rows] = (others.sum(1) - others.diagonal()) / max(1, len(rows) - 1)
    return total


def _alike(goals: Sequence[Goal]) -> Iterator[list[int]]:
    for goal in dict.fromkeys(goals):
        yield [row for row, other in enumerate(goals) if other == goal]

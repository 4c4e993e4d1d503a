"""Whether a network's scores of an image depend on chance, or on the other images of its batch."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auditor.model.network import Network
from auditor.model.preserve import buffers_kept
from auditor.process.dispatch import Operators
from auditor.process.isolation import surroundings
from auditor.statistics.closeness import alike


@dataclass(frozen=True, eq=False, slots=True)
class Stability:
    """What differs when the same images are given to a network again.

    Attributes:
        by_chance: Whether the scores of each image differ between two passes over the same batch, `[n]`.
        by_neighbours: Whether they differ when the image is alone, or in another order of the batch, `[n]`.
        moved: Whether the predicted class differs in any of these passes, `[n]`.
        operators: The operators of torch that draw random numbers, in the order in which they run.
    """

    by_chance: Bool[Tensor, " n"]
    by_neighbours: Bool[Tensor, " n"]
    moved: Bool[Tensor, " n"]
    operators: tuple[str, ...]


def stability(
    network: Network, images: Float[Tensor, "n c h w"], *, seed: int, batch: int = 8, several: bool = False
) -> Stability:
    """Give a network the same images twice, in another order, and one by one.

    The second pass draws other random numbers.

    Args:
        batch: Images in a batch; with 1 no image has neighbours.
        several: Whether the network tells several labels of an image, each by the sign of its score.
    """
    order = torch.arange(len(images), device=images.device).roll(1)
    with torch.no_grad(), buffers_kept(network.module):
        with _Drawing() as drawing:
            first = _scores(network, images, seed, batch)
        again = _scores(network, images, seed + 1, batch)
        others = [_scores(network, images[order], seed, batch)[order.argsort()]]
        with suppress(Exception):  # a network that takes no single image may raise any exception
            others.append(torch.cat([_scores(network, image[None], seed, 1) for image in images]))
    by_chance = _differ(first, again)
    by_neighbours = torch.stack([_differ(first, one) for one in others]).any(0)
    moved = torch.stack([_moved(first, one, several=several) for one in (again, *others)]).any(0)
    return Stability(by_chance, by_neighbours, moved & (by_chance | by_neighbours), tuple(drawing.operators))


def drawing_operators(network: Network) -> tuple[str, ...]:
    """Return the operators of torch that draw random numbers while the network runs once."""
    noise = torch.randn(2, *network.input_shape, generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad(), buffers_kept(network.module), _Drawing() as drawing:
            _scores(network, noise, 0, len(noise))
    except Exception:  # the checks report what a network does not take
        return ()
    return tuple(drawing.operators)


def _scores(network: Network, images: Tensor, seed: int, batch: int) -> Tensor:
    with surroundings(seed, "stability", network.device):
        scores = torch.cat([network.scores(part).detach() for part in images.split(batch)])
    return scores.bfloat16() if _is_coarse(network) else scores  # which is compared with the tolerance of 16 bits


def _is_coarse(network: Network) -> bool:
    return network.amp or any(p.dtype in (torch.float16, torch.bfloat16) for p in network.module.parameters())


def _moved(first: Tensor, other: Tensor, *, several: bool) -> Bool[Tensor, " n"]:
    if several:
        return ((first >= 0) != (other >= 0)).any(1)
    return first.argmax(1) != other.argmax(1)


def _differ(first: Tensor, other: Tensor) -> Bool[Tensor, " n"]:
    return torch.tensor([not alike(b[None], a[None]) for a, b in zip(first, other, strict=True)], device=first.device)


class _Drawing(Operators):
    """Notes the operators that draw random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.operators: dict[str, None] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if torch.Tag.nondeterministic_seeded in func.tags and not _is_idle(func, args):
            self.operators[func.overloadpacket.__name__.rstrip("_")] = None
        return func(*args, **(kwargs or {}))


def _is_idle(func: Any, args: Any) -> bool:
    """Return whether it is a dropout that is off, which draws nothing: of attention, with a probability of 0."""
    name = func.overloadpacket.__name__
    if "scaled_dot_product" in name or "attention" in name:
        return not any(isinstance(one, float) and one > 0 for one in args[3:6])
    return name in ("dropout", "native_dropout") and False in args[1:3]

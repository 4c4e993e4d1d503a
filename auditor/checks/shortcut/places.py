"""Places that may be a shortcut for a class, and how predictions change when they are exchanged between images.

Candidates are selected on one half of the images and tested on the other half, so that the selection does not bias
the test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.language import _
from auditor.methods.shortcuts.constancy import shared
from auditor.methods.shortcuts.exchange import Exchange, exchange

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.shortcut.class_images import Indices
    from auditor.checks.shortcut.probe import Evidence, Map, Probe

CONSTANT = 0.75


@dataclass(frozen=True, eq=False)
class Candidate:
    """A place with evidence for a class and not for the others, or with the same content in all images of the class.

    Attributes:
        place: Its pixels, `[h, w]`.
        window: Its number in the grid; None for the ring.
        evidence: Its share of the evidence for the class, 0 to 1.
        elsewhere: Its mean share of the evidence for the other classes, 0 to 1.
        constancy: How far its content is the same in all images of the class, 0 to 1.
    """

    target: int
    place: NDArray[np.bool_]
    window: int | None
    evidence: float
    elsewhere: float
    constancy: float

    @property
    def area(self) -> float:
        return float(self.place.mean())

    @property
    def description(self) -> str:
        """The place in words."""
        pixels = ~self.place if self.window is None else self.place  # of the ring what it encloses
        rows, cols = np.flatnonzero(pixels.any(1)), np.flatnonzero(pixels.any(0))
        if self.window is None:
            return _("the outer ring of {rows} rows and {cols} columns of pixels", rows=int(rows[0]), cols=int(cols[0]))
        return _(
            "the window in rows {top} to {bottom}, columns {left} to {right}",
            top=int(rows[0]),
            bottom=int(rows[-1]),
            left=int(cols[0]),
            right=int(cols[-1]),
        )


@dataclass(frozen=True, eq=False)
class PlaceExchange:
    """A place exchanged in pairs of images, one of the class and one of another class.

    Attributes:
        own: Images of the class, by index, `[n]`.
        other: Images of other classes, `[n]`.
        places: The pixels that were exchanged, `[n, h, w]`.
        outcome: How the predictions changed.
    """

    own: Indices
    other: Indices
    places: Tensor
    outcome: Exchange

    def mostly_in(self, place: NDArray[np.bool_]) -> bool:
        """Return whether in most pairs at least half of the exchanged pixels lie in a place."""
        exchanged = self.places.numpy()
        inside = (exchanged & place).sum((1, 2)) / exchanged.sum((1, 2))
        return bool((inside >= 0.5).mean() > 0.5)


def candidates(probe: Probe, own: Evidence, others: Sequence[Evidence]) -> Iterator[Candidate]:
    """Yield the windows with the most evidence by occlusion and by gradient, and the ring, if they qualify.

    A window qualifies if both methods (occlusion alone if no gradient reaches the images) give it more than an even
    share of the evidence and its content is constant. Unless it lies at the border, other classes must not have more
    than an even share there. The ring qualifies with more evidence than area, if its content is constant or the
    evidence of other classes lies inside.
    """
    import torch

    images, other = probe.seen.of(own.target)[::2], probe.seen.others(own.target)[::2]
    common = shared(probe.seen.images[images], probe.seen.images[other])
    constancy = common.by_window(probe.windows).double().numpy()
    usual = {name: np.mean([one.by_method[name] for one in others], 0) for name in own.by_method}
    even = 1 / len(probe.windows)
    eligible = (constancy >= CONSTANT) & ((usual["occlusion"] <= even) | probe.at_border())
    eligible &= np.all([shares > even for shares in own.by_method.values()], 0)
    numbers = {_strongest(shares, usual[name], eligible) for name, shares in own.by_method.items()}
    for number in sorted(n for n in numbers if n is not None):
        place = probe.windows.inside(torch.tensor([number]))[0].numpy()
        cell = np.unravel_index(number, probe.windows.grid)
        shares = float(own.occlusion[cell]), float(usual["occlusion"][cell])
        yield Candidate(own.target, place, number, *shares, float(constancy[cell]))
    ring = Candidate(
        own.target,
        probe.ring.numpy(),
        None,
        own.ring,
        float(np.mean([one.ring for one in others])),
        common.at(probe.ring),
    )
    if ring.evidence > ring.area and (ring.constancy >= CONSTANT or ring.elsewhere <= ring.area):
        yield ring


def _strongest(own: Map, usual: Map, eligible: NDArray[np.bool_]) -> int | None:
    """Return the eligible window whose evidence exceeds that of other classes most; None if none exceeds it."""
    excess = np.where(eligible, own - usual, -np.inf)
    return int(excess.argmax()) if excess.max() > 0 else None


def exchange_candidate(probe: Probe, candidate: Candidate) -> PlaceExchange:
    """Exchange a place in pairs of the half of the images on which it was not selected."""
    import torch

    own, other = probe.seen.of(candidate.target)[1::2], probe.seen.others(candidate.target)[1::2]
    places = torch.from_numpy(candidate.place).expand(len(own), -1, -1)
    windows = None if candidate.window is None else np.full(len(own), candidate.window)
    return exchange_places(probe, candidate.target, own, other, places, windows)


def exchange_places(
    probe: Probe, target: int, own: Indices, other: Indices, places: Tensor, windows: Indices | None
) -> PlaceExchange:
    """Exchange one place in each pair, in as many pairs as there are images of both kinds.

    Args:
        windows: The numbers of the windows that the places are; None for the ring, which has no second place of its
            size to compare with.
    """
    n = min(len(own), len(other))
    own, other, places = own[:n], other[:n], places[:n]
    third = probe.third(target, other)
    elsewhere = None if windows is None else probe.inside(probe.elsewhere(windows[:n]))
    image = probe.seen.images
    outcome = exchange(
        probe.context.network,
        image[own],
        image[other],
        target,
        places,
        third=image[third],
        mates=image[np.roll(own, 1)],
        elsewhere=elsewhere,
        batch=probe.context.batch_size,
    )
    return PlaceExchange(own, other, places, outcome)

"""Places that may give a class away, and what becomes of the answer when they are exchanged.

Places are sought in one half of the images and tried in the other, so that having chosen the most striking one of
many proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor.methods.shortcuts.constancy import shared
from auditor.methods.shortcuts.exchange import Exchange, exchange

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.shortcut.class_images import Places
    from auditor.checks.shortcut.probe import Evidence, Laboratory, Map

CONSTANT = 0.75


@dataclass(frozen=True, eq=False)
class Suspect:
    """A place at which the evidence of a class lies, and that of the others does not, or where a mark may be.

    Attributes:
        place: Its pixels, `[h, w]`.
        window: Its number in the grid; None for the ring.
        evidence: Its share in the evidence for the class.
        elsewhere: The same for the other classes.
        constancy: How far what lies there is the same in all images of the class, 0 to 1.
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


@dataclass(frozen=True, eq=False)
class Trial:
    """What came of exchanging a place in pairs of images.

    Attributes:
        own, other: Which images were paired.
        places: `[n, h, w]`.
    """

    own: Places
    other: Places
    places: Tensor
    exchange: Exchange

    def mostly_in(self, place: NDArray[np.bool_]) -> bool:
        """Return whether in most pairs at least half of what was exchanged lies in a place."""
        exchanged = self.places.numpy()
        inside = (exchanged & place).sum((1, 2)) / exchanged.sum((1, 2))
        return bool((inside >= 0.5).mean() > 0.5)


def suspects(lab: Laboratory, own: Evidence, others: Sequence[Evidence]) -> Iterator[Suspect]:
    """Yield the windows that occlusion and gradient find, and the ring."""
    import torch

    images, beside = lab.seen.of(own.target)[::2], lab.seen.others(own.target)[::2]
    common = shared(lab.seen.images[images], lab.seen.images[beside])
    constancy = common.by_window(lab.windows).double().numpy()
    usual = {name: np.mean([getattr(one, name) for one in others], 0) for name in ("occlusion", "gradient")}
    open_ = (constancy >= CONSTANT) & ((usual["occlusion"] <= 1 / len(lab.windows)) | lab.at_border())
    even = 1 / len(lab.windows)
    open_ &= (own.occlusion > even) & (own.gradient > even)
    numbers = {_foremost(getattr(own, name), usual[name], open_) for name in usual}
    for number in sorted(n for n in numbers if n is not None):
        place = lab.windows.inside(torch.tensor([number]))[0].numpy()
        cell = np.unravel_index(number, lab.windows.grid)
        shares = float(own.occlusion[cell]), float(usual["occlusion"][cell])
        yield Suspect(own.target, place, number, *shares, float(constancy[cell]))
    around = Suspect(
        own.target,
        lab.ring.numpy(),
        None,
        own.ring,
        float(np.mean([one.ring for one in others])),
        common.at(lab.ring),
    )
    if around.evidence > around.area and (around.constancy >= CONSTANT or around.elsewhere <= around.area):
        yield around


def _foremost(own: Map, usual: Map, open_: NDArray[np.bool_]) -> int | None:
    """Return the window with the most evidence beyond that of other classes, if that is above an even share."""
    excess = np.where(open_, own - usual, -np.inf)
    return int(excess.argmax()) if excess.max() > 0 else None


def tried(lab: Laboratory, suspect: Suspect) -> Trial:
    """Exchange a place in pairs of the half of the images in which it was not sought."""
    import torch

    own, other = lab.seen.of(suspect.target)[1::2], lab.seen.others(suspect.target)[1::2]
    places = torch.from_numpy(suspect.place).expand(len(own), -1, -1)
    numbers = None if suspect.window is None else np.full(len(own), suspect.window)
    return trial(lab, suspect.target, own, other, places, numbers)


def trial(lab: Laboratory, target: int, own: Places, other: Places, places: Tensor, numbers: Places | None) -> Trial:
    """Exchange a place in as many pairs as there are.

    Args:
        numbers: Of the windows that the places are; None for the ring, which has no like.
    """
    n = min(len(own), len(other))
    own, other, places = own[:n], other[:n], places[:n]
    third = lab.third(target, other)
    away = None if numbers is None else lab.inside(lab.away(numbers[:n]))
    image = lab.seen.images
    found = exchange(
        lab.context.network,
        image[own],
        image[other],
        target,
        places,
        third=image[third],
        mates=image[np.roll(own, 1)],
        elsewhere=away,
        batch=lab.context.batch_size,
    )
    return Trial(own, other, places, found)

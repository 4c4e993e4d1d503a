"""Places that may give a class away, and what becomes of the answer when they are exchanged.

Places are sought in one half of the images and tried in the other, so that having chosen the most striking one of
many proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.methods.constancy import shared
from auditor.methods.evidence import gradient_shares, occluded_shares, ring, share_inside
from auditor.methods.exchange import Exchange, exchange, scores_of
from auditor.methods.windows import Windows

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.class_images import ClassImages, Places
    from auditor.context import Context
    from auditor.data.filling import Filling

Map = NDArray[np.float64]

WINDOW = 1 / 4  # of the shorter side: a sixteenth of a square image
STEP = 1 / 8
RING = 1 / 8  # of each side
CONSTANT = 0.75
REST = -1
SMALLEST = 8  # pixels of a side, of which a window is a quarter


@dataclass(frozen=True, eq=False)
class Evidence:
    """Where the evidence for a class lies, over images of it.

    Attributes:
        target: The class; `REST` for all those together that are not looked at one by one.
        occlusion, gradient: The mean share of each window, `[rows, cols]`.
        ring: The mean share of the ring against all the rest.
        n: How many images were covered.
    """

    target: int
    occlusion: Map
    gradient: Map
    ring: float
    n: int

    @property
    def sound(self) -> bool:
        """Whether there is evidence, in numbers."""
        return bool(np.isfinite(self.occlusion).all() and np.isfinite(self.gradient).all() and np.isfinite(self.ring))


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


class Laboratory:
    """The images, the network and the windows that all classes are looked at with."""

    def __init__(self, context: Context, seen: ClassImages, *, explained: int, fill: Filling) -> None:
        from auditor.data.filling import filling

        self.context, self.seen, self.explained = context, seen, explained
        height, width = seen.images.shape[2:]
        side = min(height, width)
        self.windows = Windows.of(
            (height, width), window=max(1, round(WINDOW * side)), stride=max(1, round(STEP * side))
        )
        self.ring = ring((height, width), RING)
        random = context.random("shortcut.fill")
        self.fill = filling(fill, seen.images, context.preprocess, blur=self.windows.window[0] / 2, random=random)
        self.occluder = methods.Occluder(
            context.network, seen.images[:1], window=self.windows.window, stride=self.windows.stride
        )

    def evidence(self, target: int) -> Evidence:
        """Cover some images of a class, of the half in which places are sought."""
        images = self.seen.rest() if target == REST else self.seen.of(target)[::2]
        some = images[: self.explained]
        occlusion = occluded_shares(self.occluder, *self.given(some)).double().numpy()
        gradient = self.gradients(images).astype(np.float64)
        inside = share_inside(self.context.network, *self.given(some), self.ring, batch=self.context.batch_size)
        return Evidence(target, _mean(occlusion), _mean(gradient), float(_mean(inside.double().numpy())), len(some))

    def gradients(self, images: Places) -> NDArray[np.float32]:
        """Return the gradient's share of each window in each image, `[n, rows, cols]`."""
        step = self.context.batch_size
        parts = [self._gradients(images[start : start + step]) for start in range(0, len(images), step)]
        return np.concatenate([np.zeros((0, *self.windows.grid), np.float32), *parts])

    def _gradients(self, images: Places) -> NDArray[np.float32]:
        found = gradient_shares(self.context.network, *self.given(images), self.windows)
        return np.asarray(found.cpu().numpy())

    def given(self, images: Places) -> tuple[Tensor, Tensor, Tensor]:
        """Return images, what fills their windows, and their classes."""
        import torch

        return self.seen.images[images], self.fill[images], torch.from_numpy(self.seen.labels[images])

    def probabilities(self, images: Tensor) -> NDArray[np.float64]:
        """Return the probability of each class, `[n, k]`."""
        scores = scores_of(self.context.network, images, batch=self.context.batch_size)
        return np.asarray(scores.double().softmax(1).cpu().numpy())

    def suspects(self, own: Evidence, others: Sequence[Evidence]) -> Iterator[Suspect]:
        """Yield the windows that occlusion and gradient find, and the ring."""
        import torch

        images, beside = self.seen.of(own.target)[::2], self.seen.others(own.target)[::2]
        common = shared(self.seen.images[images], self.seen.images[beside])
        constancy = common.by_window(self.windows).double().numpy()
        usual = {name: np.mean([getattr(one, name) for one in others], 0) for name in ("occlusion", "gradient")}
        open_ = (constancy >= CONSTANT) & ((usual["occlusion"] <= 1 / len(self.windows)) | self._at_border())
        even = 1 / len(self.windows)
        open_ &= (own.occlusion > even) & (own.gradient > even)
        numbers = {self._foremost(getattr(own, name), usual[name], open_) for name in usual}
        for number in sorted(n for n in numbers if n is not None):
            place = self.windows.inside(torch.tensor([number]))[0].numpy()
            cell = np.unravel_index(number, self.windows.grid)
            shares = float(own.occlusion[cell]), float(usual["occlusion"][cell])
            yield Suspect(own.target, place, number, *shares, float(constancy[cell]))
        around = Suspect(
            own.target,
            self.ring.numpy(),
            None,
            own.ring,
            float(np.mean([one.ring for one in others])),
            common.at(self.ring),
        )
        if around.evidence > around.area and (around.constancy >= CONSTANT or around.elsewhere <= around.area):
            yield around

    def _at_border(self) -> NDArray[np.bool_]:
        cells = np.zeros(self.windows.grid, dtype=bool)
        cells[[0, -1]] = cells[:, [0, -1]] = True
        return cells

    def _foremost(self, own: Map, usual: Map, open_: NDArray[np.bool_]) -> int | None:
        """Return the window with the most evidence beyond that of other classes, if that is above an even share."""
        excess = np.where(open_, own - usual, -np.inf)
        return int(excess.argmax()) if excess.max() > 0 else None

    def tried(self, suspect: Suspect) -> Trial:
        """Exchange a place in pairs of the half of the images in which it was not sought."""
        import torch

        own, other = self.seen.of(suspect.target)[1::2], self.seen.others(suspect.target)[1::2]
        places = torch.from_numpy(suspect.place).expand(len(own), -1, -1)
        numbers = None if suspect.window is None else np.full(len(own), suspect.window)
        return self.trial(suspect.target, own, other, places, numbers)

    def trial(self, target: int, own: Places, other: Places, places: Tensor, numbers: Places | None) -> Trial:
        """Exchange a place in as many pairs as there are.

        Args:
            numbers: Of the windows that the places are; None for the ring, which has no like.
        """
        n = min(len(own), len(other))
        own, other, places = own[:n], other[:n], places[:n]
        third = self._third(target, other)
        away = None if numbers is None else self.inside(self._away(numbers[:n]))
        image = self.seen.images
        found = exchange(
            self.context.network,
            image[own],
            image[other],
            target,
            places,
            third=image[third],
            mates=image[np.roll(own, 1)],
            elsewhere=away,
            batch=self.context.batch_size,
        )
        return Trial(own, other, places, found)

    def inside(self, numbers: Places) -> Tensor:
        """Return the pixels of windows, `[n, h, w]`."""
        import torch

        return self.windows.inside(torch.from_numpy(numbers))

    def _third(self, target: int, other: Places) -> Places:
        """Return for each of the other images one of yet another class, where there is one."""
        pool = self.seen.others(target)
        labels = self.seen.labels
        chosen = []
        for turn, one in enumerate(other):
            strange = pool[labels[pool] != labels[one]]
            strange = strange if len(strange) else pool[pool != one]
            chosen.append(strange[turn % len(strange)] if len(strange) else one)
        return np.array(chosen, np.int64)

    def _away(self, numbers: Places) -> Places:
        """Return for each window another one, drawn from those that don't overlap it."""
        import torch

        random = np.random.default_rng(int(torch.randint(2**31, (), generator=self.context.random("shortcut.away"))))
        cols = len(self.windows.cols)
        rows_of, cols_of = np.array(self.windows.rows), np.array(self.windows.cols)
        every = np.arange(len(self.windows))
        down, right = self.windows.window
        drawn = []
        for number in numbers:
            apart = (abs(rows_of[every // cols] - rows_of[number // cols]) >= down) | (
                abs(cols_of[every % cols] - cols_of[number % cols]) >= right
            )
            drawn.append(random.choice(every[apart]))
        return np.array(drawn, np.int64)


def _mean(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean over the images, without those that hold no evidence; NaN where none does."""
    sound = np.isfinite(values).reshape(len(values), -1).all(1)
    if not sound.any():
        return np.full(values.shape[1:], np.nan)
    return np.asarray(values[sound].mean(0))

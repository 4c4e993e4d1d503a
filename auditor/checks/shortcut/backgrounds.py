"""The background of each class: how it is predicted alone, and behind objects of other classes.

No candidate is selected by its effect: backgrounds and objects are separated in each image by itself, so all images of
a class are used for the test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from auditor.checks.shortcut.places import exchange_places
from auditor.methods.sanity.faithfulness import cells_of, ranked_cells
from auditor.methods.shortcuts.background import Background, background, least, mirrored
from auditor.methods.shortcuts.exchange import pasted
from auditor.methods.shortcuts.sufficient_subset import sufficient

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.shortcut.class_images import Indices
    from auditor.checks.shortcut.probe import Probe
    from auditor.methods.shortcuts.exchange import Exchange


@dataclass(frozen=True, eq=False)
class ClassBackground:
    """The background of a class, tested alone and behind objects of other classes.

    Attributes:
        own: Images of the class, `[n]`.
        other: Images of other classes, whose objects were pasted on the backgrounds of `own`, `[n]`.
        background: How the predictions changed.
        ring: The same for an exchange of the outer ring: whether the background matters where it lies.
    """

    target: int
    own: Indices
    other: Indices
    background: Background
    ring: Exchange

    @property
    def p_value(self) -> float:
        """The probability of such results if the class did not depend on its background, an upper bound."""
        return max(self.background.chance, self.ring.chance_of_score)

    @property
    def counts(self) -> dict[str, int]:
        """In how many of `n` pairs the class is predicted, on its own backgrounds and on those of controls."""
        found = self.background
        names = ("alone", "alone_control", "around", "around_control")
        return {"n": found.n, **{name: int(getattr(found, name).sum()) for name in names}}


class Backgrounds:
    """The probed images without their objects, and the objects without their backgrounds."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        every = np.arange(len(probe.seen.images))
        self._shares = torch.from_numpy(probe.gradients(every)).nan_to_num(0)  # without evidence all are equal
        self._corners = least(torch.from_numpy(probe.gradients_by_cell(every)).nan_to_num(0), probe.cells)
        self._objects: dict[int, Tensor] = {}

    def of(self, target: int) -> ClassBackground:
        """Test the backgrounds of a class alone, and behind the objects of as many images of other classes."""
        probe = self._probe
        own, other = probe.seen.of(target), probe.seen.others(target)
        n = min(len(own), len(other))
        own, other = own[:n], other[:n]
        found = background(
            probe.context.network,
            self.alone(own),
            self.alone(other),
            self.alone(probe.third(target, other)),
            probe.seen.images[other],
            self.objects(other),
            target,
            batch=probe.context.batch_size,
        )
        ring = exchange_places(probe, target, own, other, probe.ring.expand(n, -1, -1), None)
        return ClassBackground(target, own, other, found, ring.outcome)

    def alone(self, images: Indices) -> Tensor:
        """Return the backgrounds of images, spread over the whole image, `[n, c, h, w]`."""
        return mirrored(self._probe.seen.images[images], self._probe.cells, self._corners[images])

    def around(self, objects: Indices, images: Indices) -> Tensor:
        """Return the objects of some images on the backgrounds of others, `[n, c, h, w]`."""
        return pasted(self.alone(images), self._probe.seen.images[objects], self.objects(objects))

    def objects(self, images: Indices) -> Tensor:
        """Return the pixels that suffice for the prediction of each image, `[n, h, w]`."""
        new = [place for place in images.tolist() if place not in self._objects]
        if new:
            self._objects.update(zip(new, self._sufficient(new), strict=True))
        return torch.stack([self._objects[place] for place in images.tolist()])

    def _sufficient(self, images: Sequence[int]) -> Tensor:
        probe = self._probe
        given = probe.given(np.array(images))
        cells = cells_of(probe.windows.image, probe.windows.stride[0])
        maps = probe.windows.spread(self._shares[images])
        orders = ranked_cells(maps, cells, probe.context.random("shortcut.cells"))
        return sufficient(probe.context.network, *given, orders, cells, batch=probe.context.batch_size)

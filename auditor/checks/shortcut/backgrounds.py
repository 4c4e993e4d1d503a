"""What surrounds the objects of each class, and what is answered when it is all that is left, or lies around others.

Nothing is chosen here by what it does: surroundings and objects are told in each image by itself, so that all images
of a class may decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from auditor.checks.shortcut.places import trial
from auditor.methods.sanity.faithfulness import cells_of, ranked_cells
from auditor.methods.shortcuts.background import Background, background, least, mirrored
from auditor.methods.shortcuts.exchange import pasted
from auditor.methods.shortcuts.sufficient_subset import sufficient

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.checks.shortcut.class_images import Places
    from auditor.checks.shortcut.probe import Laboratory
    from auditor.methods.shortcuts.exchange import Exchange


@dataclass(frozen=True, eq=False)
class Ground:
    """What came of the surroundings of a class.

    Attributes:
        own: Images of the class.
        other: As many of other classes, whose objects were laid on the surroundings of `own`.
        ring: What came of exchanging the outer ring: whether surroundings matter where they are.
    """

    target: int
    own: Places
    other: Places
    background: Background
    ring: Exchange

    @property
    def chance(self) -> float:
        """How probable all of this is at most, if the class were not given away."""
        return max(self.background.chance, self.ring.chance_of_score)

    @property
    def counts(self) -> dict[str, int]:
        """In how many of `n` pairs the class is answered, and in how many it is for the controls."""
        found = self.background
        told = ("alone", "alone_control", "around", "around_control")
        return {"n": found.n, **{name: int(getattr(found, name).sum()) for name in told}}


class Grounds:
    """The images of the laboratory without their objects, and the objects without what surrounds them."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab
        every = np.arange(len(lab.seen.images))
        self._shares = torch.from_numpy(lab.gradients(every)).nan_to_num(0)  # without evidence all are as little
        self._corners = least(torch.from_numpy(lab.gradients_by_cell(every)).nan_to_num(0), lab.cells)
        self._objects: dict[int, Tensor] = {}

    def tried(self, target: int) -> Ground:
        """Look at the surroundings of a class alone, and around the objects of as many images of other classes."""
        lab = self._lab
        own, other = lab.seen.of(target), lab.seen.others(target)
        n = min(len(own), len(other))
        own, other = own[:n], other[:n]
        found = background(
            lab.context.network,
            self.alone(own),
            self.alone(other),
            self.alone(lab.third(target, other)),
            lab.seen.images[other],
            self.objects(other),
            target,
            batch=lab.context.batch_size,
        )
        ring = lab.ring.expand(n, -1, -1)
        return Ground(target, own, other, found, trial(lab, target, own, other, ring, None).exchange)

    def alone(self, images: Places) -> Tensor:
        """Return what surrounds the objects, over whole images."""
        return mirrored(self._lab.seen.images[images], self._lab.cells, self._corners[images])

    def around(self, objects: Places, images: Places) -> Tensor:
        """Return the objects of some images on what surrounds those of others."""
        return pasted(self.alone(images), self._lab.seen.images[objects], self.objects(objects))

    def objects(self, images: Places) -> Tensor:
        """Return the pixels that are enough for the answer to each image, `[n, h, w]`."""
        new = [place for place in images.tolist() if place not in self._objects]
        if new:
            self._objects.update(zip(new, self._enough(new), strict=True))
        return torch.stack([self._objects[place] for place in images.tolist()])

    def _enough(self, images: Sequence[int]) -> Tensor:
        lab = self._lab
        given = lab.given(np.array(images))
        cells = cells_of(lab.windows.image, lab.windows.stride[0])
        maps = lab.windows.spread(self._shares[images])
        orders = ranked_cells(maps, cells, lab.context.random("shortcut.cells"))
        return sufficient(lab.context.network, *given, orders, cells, batch=lab.context.batch_size)

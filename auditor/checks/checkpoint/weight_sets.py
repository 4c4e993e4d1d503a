"""Compare the audited set of weights with the others in the file, on the same images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods
from auditor.data.sampling import spread
from auditor.statistics.paired import difference, mcnemar

if TYPE_CHECKING:
    from auditor.context import Context

MOST = 200  # images
FEWEST = 20
_MOST_SETS = 4


@dataclass(frozen=True, slots=True)
class Compared:
    """Another set of weights, compared with the audited one.

    Attributes:
        distance: Distance of the parameters, relative to the norm of the audited ones.
        both, lost, gained, neither: Numbers of images that both sets classify correctly, only the audited one, only
            the other one, and neither.
        p: McNemar's p-value, corrected for the number of sets.
    """

    name: str
    distance: float
    both: int = 0
    lost: int = 0
    gained: int = 0
    neither: int = 0
    p: float = 1.0

    @property
    def n(self) -> int:
        """Number of images."""
        return self.both + self.lost + self.gained + self.neither

    @property
    def gain(self) -> float:
        """Accuracy of the other set minus that of the audited one."""
        return (self.gained - self.lost) / self.n

    @property
    def accuracies(self) -> tuple[float, float]:
        """Top-1 accuracy of the audited set and of the other one."""
        return (self.both + self.lost) / self.n, (self.both + self.gained) / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the gain."""
        return difference(self.both, self.lost, self.gained, self.neither)


def compared(context: Context) -> list[Compared]:
    """Return the other sets, nearest first in the order of the file, compared on labelled images if there are enough.

    The network has its own weights again afterwards.
    """
    from auditor.model.substitution import distance, fitting, substituted

    module, prefix = context.network.module, context.checkpoint.metadata.get("prefix", "")
    chosen = _chosen(context)
    own = _right(context, chosen) if len(chosen) >= FEWEST else None
    found = list[Compared]()
    for name, tensors in list(context.checkpoint.others.items())[:_MOST_SETS]:
        named = fitting(module, tensors, prefix=prefix)
        one = Compared(name, distance(module, named))
        if own is not None and len(own) >= FEWEST:
            with substituted(module, named):
                one = _counted(one, own, _right(context, chosen))
        found.append(one)
    return _corrected(found)


def _chosen(context: Context) -> list[int]:
    """Return labelled images, spread over the classes, without duplicates of a file."""
    if context.images is None:
        return []
    labels, copies = context.data.labels.indices, context.data.listing.duplicates
    known = [i for i, label in enumerate(labels) if isinstance(label, int) and i not in copies]
    return [known[place] for place in spread([labels[i] for i in known], MOST, context.seed)]


def _right(context: Context, chosen: Sequence[int]) -> Mapping[int, bool]:
    """Return by image whether the network classifies it correctly, without those that can't be read."""
    import torch

    found = dict[int, bool]()
    for start in range(0, len(chosen), context.batch_size):
        samples = [context.data[i] for i in chosen[start : start + context.batch_size]]
        read = [(one.index, one.tensor, one.label) for one in samples if one.tensor is not None]
        if not read:
            continue
        with torch.no_grad():
            scores = context.network.scores(torch.stack([tensor for _, tensor, _ in read])).cpu().numpy()
        predicted = np.where(np.isfinite(scores).all(1), scores.argmax(1), -1)
        found |= {index: bool(p == label) for (index, _, label), p in zip(read, predicted, strict=True)}
    return found


def _counted(one: Compared, own: Mapping[int, bool], other: Mapping[int, bool]) -> Compared:
    return replace(
        one,
        both=sum(right and other[i] for i, right in own.items()),
        lost=sum(right and not other[i] for i, right in own.items()),
        gained=sum(not right and other[i] for i, right in own.items()),
        neither=sum(not right and not other[i] for i, right in own.items()),
    )


def _corrected(found: Sequence[Compared]) -> list[Compared]:
    chances = methods.holm([mcnemar(one.lost, one.gained) if one.n else 1.0 for one in found])
    return [replace(one, p=float(p)) for one, p in zip(found, chances, strict=True)]

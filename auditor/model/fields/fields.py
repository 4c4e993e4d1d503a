"""The part of the image that the positions of a tensor see: rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from auditor.model.fields.axes import Reach, blind, image_axis


@dataclass(frozen=True, slots=True)
class Sight:
    """The part of the image that is seen through one path to a tensor: rows and columns."""

    rows: Reach
    cols: Reach

    @property
    def axes(self) -> frozenset[int]:
        """The dimensions of the tensor along which positions differ in their place in the image."""
        return self.rows.axes | self.cols.axes

    def each(self, change: Callable[[Reach], Reach]) -> Sight:
        """Return the sight with both reaches changed in the same way."""
        return Sight(change(self.rows), change(self.cols))

    def union(self, other: Sight) -> Sight:
        """Return the union of both at each position."""
        return Sight(self.rows.union(other.rows), self.cols.union(other.cols))

    def covers(self, other: Sight) -> bool:
        """Return whether each position sees everything that any position of the other sees."""
        return self.rows.covers(other.rows) and self.cols.covers(other.cols)


@dataclass(frozen=True, slots=True)
class Field:
    """The part of the image that each position of a tensor sees.

    Attributes:
        sights: One sight; several if they lie along different dimensions, as in a query times a key.
        gated: Each position also sees the whole image through a gate, which `sights` leave out.
    """

    sights: tuple[Sight, ...]
    gated: bool = False

    @classmethod
    def of_image(cls, image: Tensor) -> Field:
        """Return the field of an image `[n, c, h, w]`."""
        return cls((Sight(image_axis(image.shape[2], 2), image_axis(image.shape[3], 3)),))

    @classmethod
    def blind(cls, ndim: int) -> Field:
        """Return the field of a tensor that does not depend on the image."""
        return cls((Sight(blind(ndim), blind(ndim)),))

    @property
    def reaches(self) -> tuple[Reach, ...]:
        """The rows and the columns of all sights."""
        return tuple(reach for sight in self.sights for reach in (sight.rows, sight.cols))

    @property
    def ndim(self) -> int:
        """The number of dimensions of the tensor."""
        return self.sights[0].rows.place.ndim

    @property
    def axes(self) -> frozenset[int]:
        """The dimensions of the tensor along which positions differ in their place in the image."""
        return frozenset().union(*(sight.axes for sight in self.sights))

    def each(self, change: Callable[[Reach], Reach]) -> Field:
        """Return the field with each reach changed in the same way."""
        return Field(tuple(sight.each(change) for sight in self.sights), self.gated)

    def pooled(self, dims: Sequence[int]) -> Field:
        """Return the field after pooling over `dims`, which keep size 1."""
        return _met([self.each(lambda reach: reach.pooled(dims))])


def joined(fields: Sequence[Field], ndim: int) -> Field:
    """Return the union of `fields` at each position."""
    distinct = list({id(field): field for field in fields}.values())
    if len(distinct) == 1 and distinct[0].ndim == ndim:
        return distinct[0]
    return _met([field.each(lambda reach: reach.aligned(ndim)) for field in distinct])


def _met(fields: Sequence[Field]) -> Field:
    """Merge the sights of several fields.

    A *gate* is the same for all positions and sees everything that another sight sees: the mean of a channel that is
    multiplied with its map, or the keys of an attention. It is left out, so that the local path remains. Sights
    along different dimensions (a query's and a key's) stay separate until one of them is pooled.
    """
    kept: list[Sight] = []
    gated = any(field.gated for field in fields)
    for sight in sorted((s for field in fields for s in field.sights), key=lambda s: -len(s.axes)):
        wider = next((i for i, other in enumerate(kept) if sight.axes <= other.axes), None)
        if wider is None:
            kept.append(sight)
        elif kept[wider].axes and not sight.axes and sight.covers(kept[wider]):
            gated = True
        else:
            kept[wider] = kept[wider].union(sight)
    return Field(tuple(kept), gated)

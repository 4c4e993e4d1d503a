"""What distinguishes images from plain upright ones of 8 bits, counted over the data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from auditor.data.decoding.stored import Stored


@dataclass(frozen=True, slots=True)
class Traits:
    """The number of images with each trait.

    Attributes:
        counts: By trait, in no order.
        peak: The highest value of the images of 16 bits, as a share of their range.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    peak: float = 0.0

    @classmethod
    def of(cls, images: Iterable[Stored]) -> Traits:
        """Return the traits of some images."""
        seen = [(one.traits, one.peak) for one in images]
        counts = Counter[str](trait for traits, _peak in seen for trait in traits)
        return cls(dict(counts), max((peak for _traits, peak in seen), default=0.0))

    def __add__(self, other: Traits) -> Traits:
        """Return the traits of both."""
        return Traits(dict(Counter(self.counts) + Counter(other.counts)), max(self.peak, other.peak))

    def __contains__(self, trait: str) -> bool:
        return self.counts.get(trait, 0) > 0

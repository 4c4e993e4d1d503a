"""The classes that the network gets wrong most often."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from auditor.results import Audit


@dataclass(frozen=True, slots=True)
class ClassAccuracy:
    """How many images of a class were classified correctly."""

    name: str
    right: int
    images: int


def worst_classes(audit: Audit, most: int = 3) -> tuple[ClassAccuracy, ...]:
    """Return up to `most` classes with a misclassified image: the least accurate first, then those with more images."""
    names = audit.provenance.data.classes
    known = [one for one in audit.recorded.answers if one.label is not None and one.label < len(names)]
    images = Counter(one.label for one in known)
    right = Counter(one.label for one in known if one.answer == one.label)
    found = [ClassAccuracy(names[label], right[label], n) for label, n in images.items() if label is not None]
    wrong = [one for one in found if one.right < one.images]
    return tuple(sorted(wrong, key=lambda one: (one.right / one.images, -one.images, one.name))[:most])

"""The predictions of two networks on the images that both audits share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from auditor.comparison.pair import Pair
from auditor.language import _, marked
from auditor.results import Answer

Flags = NDArray[np.bool_]

_OLD = marked("the baseline has no predictions per image: audit it again with this version of auditor")
_SEVERAL = marked("one class an image is needed, and in one of the audits an image may have several labels")
_NONE = marked("no check read all images, so there are no predictions")


@dataclass(frozen=True)
class Common:
    """The images that both audits have predictions for, with the same file name and contents.

    Attributes:
        left_out: Number of other images by the reason why they are left out. The reasons are not translated yet.
    """

    before: tuple[Answer, ...]
    after: tuple[Answer, ...]
    classes: tuple[tuple[str, ...], tuple[str, ...]]
    left_out: Counter[str]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Name of the labelled class by image; empty if it is unknown or differs between the audits."""
        named = [[_name(a.label, k) for a in s] for s, k in zip((self.before, self.after), self.classes, strict=True)]
        return tuple(one if one == other else "" for one, other in zip(*named, strict=True))

    @cached_property
    def labelled(self) -> Flags:
        """Which images have the same label in both audits."""
        return np.array([label != "" for label in self.labels], bool)

    @cached_property
    def by_class(self) -> dict[str, NDArray[np.intp]]:
        """Indices of the labelled images by name of the class."""
        names, place, counts = np.unique(np.array(self.labels, str), return_inverse=True, return_counts=True)
        parts = np.split(np.argsort(place, kind="stable"), np.cumsum(counts)[:-1])
        return {str(name): part for name, part in zip(names, parts, strict=True) if name}

    @cached_property
    def predicted(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the predicted classes, before and after."""
        before, after = self.classes
        return tuple(_name(a.answer, before) for a in self.before), tuple(_name(a.answer, after) for a in self.after)

    @cached_property
    def confidences(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Confidence of each prediction from 0 to 1, before and after."""
        before, after = (np.array([a.confidence for a in answers], np.float64) for answers in (self.before, self.after))
        return before, after

    @cached_property
    def correct(self) -> tuple[Flags, Flags]:
        """Which images are labelled and correctly classified, before and after."""
        first, second = (np.array([a == t for a, t in zip(x, self.labels, strict=True)], bool) for x in self.predicted)
        return first & self.labelled, second & self.labelled


def common(pair: Pair) -> Common:
    """Return the images that both audits have predictions for."""
    before, after = ({answer.file: answer for answer in audit.recorded.answers} for audit in pair.audits)
    shared = [name for name in after if name in before]
    same = [name for name in shared if _is_same(before[name], after[name])]
    left_out = Counter(
        {
            marked("{count} only in the baseline"): len(before) - len(shared),
            marked("{count} not in the baseline"): len(after) - len(shared),
        }
    )
    left_out[marked("{count} with the same name but different contents")] = len(shared) - len(same)
    first, second = (audit.provenance.data.classes for audit in pair.audits)
    return Common(tuple(before[n] for n in same), tuple(after[n] for n in same), (first, second), +left_out)


def _is_same(one: Answer, other: Answer) -> bool:
    return not (one.digest and other.digest) or one.digest == other.digest


def _name(place: int | None, classes: tuple[str, ...]) -> str:
    return classes[place] if place is not None and place < len(classes) else ""


def missing(pair: Pair) -> str:
    """Return why no predictions can be compared; empty if they can."""
    before, after = (bool(audit.recorded.answers) for audit in pair.audits)
    if before and after:
        return ""
    if "multilabel" in {audit.provenance.data.task for audit in pair.audits}:
        return _(_SEVERAL)
    swept = pair.before.audit.provenance.data.images and not before and after
    return _(_OLD) if swept else _(_NONE)

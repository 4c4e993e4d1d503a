"""Map the labels of folders and manifests to the indices of the network's outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from auditor.data import misfits
from auditor.data.assumption import Assumption
from auditor.data.label_cells import Several
from auditor.data.label_places import is_index, numbered, places_of
from auditor.data.levels import Level
from auditor.data.listing import Listing
from auditor.data.orders import Alternative, alternatives
from auditor.errors import DataError
from auditor.language import _, chained, many

_SPLITS: Final = 5
_FIRST: Final = 5


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of an image that may have several, as indices of outputs.

    Attributes:
        present: The labels that apply.
        unknown: The labels of which it is not known whether they apply.
    """

    present: tuple[int, ...]
    unknown: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """The label of each image, as the index of an output.

    Attributes:
        indices: By image; None if unknown.
        classes: A name for every output of the network.
        problem: Why the folders don't fit, with both lists; every index is then None.
        names_source: The source of the names: `class names`, `folders`, `labels` or `numbers`.
        sets: By image its labels, where images may have several; None if nothing is known. Every index is then None.
        partial: Whether an image may have labels that its set does not name.
        several: The number of images that are unlabelled because they have several labels.
        assumptions: What was assumed to match the labels.
        alternatives: Other orders that labels which are numbers may have.
    """

    indices: tuple[int | None, ...]
    classes: tuple[str, ...]
    problem: str = ""
    names_source: str = "class names"
    sets: tuple[LabelSet | None, ...] = ()
    partial: bool = False
    several: int = 0
    assumptions: tuple[Assumption, ...] = field(default=(), compare=False)
    alternatives: tuple[Alternative, ...] = field(default=(), compare=False)

    @property
    def known(self) -> int:
        """The number of images with labels."""
        return sum(one is not None for one in self.sets or self.indices)

    @property
    def groups(self) -> Sequence[int | None]:
        """What a sample is spread over: the class of each image, or its label that the fewest images have."""
        counts = Counter(label for one in self.sets if one for label in one.present)
        rarest = [min(one.present, key=lambda c: (counts[c], c), default=-1) if one else None for one in self.sets]
        return rarest if self.sets else self.indices

    def targets(self, image: int) -> NDArray[np.int8] | None:
        """Return for each label whether it applies to an image, `[k]`: 1, 0, or -1 if unknown; None for one class."""
        if not self.sets:
            return None
        one = self.sets[image]
        found = np.full(len(self.classes), -1 if one is None or self.partial else 0, np.int8)
        if one is not None:
            found[list(one.unknown)] = -1
            found[list(one.present)] = 1
        return found


def fit(listing: Listing, *, outputs: int, names: Sequence[str] | None) -> Labels:
    """Match labels with the network's outputs.

    With class names, labels are matched by name; case does not matter, and `_` counts as a space. If
    no name matches, numbers are indices. Without class names, as many folders as outputs are the classes
    in sorted order, as in torchvision's `ImageFolder`. ImageNet's WordNet ids are known, some of them or all.
    If the folders of the first level don't match, those of a deeper level are tried.
    Folders that do not match are a `problem`; a label in a manifest that does not match is an error.

    Raises:
        DataError: There are more or fewer class names than outputs, or a label of a manifest is
            not a class.
    """
    if names is not None and len(names) != outputs:
        raise DataError(f"there are {len(names)} class names, but the network has {outputs} outputs")
    fitted = _fitted(listing, outputs, names)
    if not fitted.problem:
        return fitted
    deeper = [(level, _at(level, listing, outputs, names)) for level in listing.inner]
    fitting = [(level, below) for level, below in deeper if not below.problem and _labelled(below)]
    if not fitting:
        return fitted
    level, below = max(fitting, key=lambda one: _labelled(one[1]))
    return replace(below, assumptions=(_level_said(level), *below.assumptions))


def _at(level: Level, listing: Listing, outputs: int, names: Sequence[str] | None) -> Labels:
    return _fitted(replace(listing, labels=level.labels, folders=level.folders, inner=()), outputs, names)


def _labelled(fitted: Labels) -> int:
    return sum(index is not None for index in fitted.indices)


def _fitted(listing: Listing, outputs: int, names: Sequence[str] | None) -> Labels:
    each = [None if isinstance(label, Several) else label for label in listing.labels]
    found = _distinct(each)
    classes, source = _classes(found, listing, outputs, names)
    kind = "folder" if listing.folders else "label"
    try:
        places, said = places_of(found, classes, kind, source, listing.numbers)
    except DataError as misfit:
        if not listing.folders:
            raise
        hints = misfits.hint_unseen(listing, found, outputs), _hint_below(listing, outputs, names)
        problem = chained(str(misfit), *(hint for hint in hints if hint))
        return Labels((None,) * len(each), classes, problem, source)
    indices = tuple(None if label is None else places[label] for label in each)
    assumptions = (*_order_said(listing, found, classes, source), *said)
    others = () if source == "class names" else alternatives(places, outputs)
    return Labels(indices, classes, "", source, assumptions=assumptions, alternatives=others)


def _level_said(level: Level) -> Assumption:
    """Return what to tell of a level; that other folders hold the same classes could mean that they are splits."""
    example = level.folders[0]
    if level.place and level.parents and min(level.parents) > 1:
        return Assumption(
            _(
                "the folders of level {level}, such as {folder!r}, are the classes; several folders above have the "
                "same ones, and all are taken: if they are splits, choose one with --split",
                level=level.place,
                folder=example,
            ),
            guess=True,
        )
    if not level.place:
        return Assumption(_("the folders that the images lie in, such as {folder!r}, are the classes", folder=example))
    return Assumption(
        _("the folders of level {level}, such as {folder!r}, are the classes", level=level.place, folder=example)
    )


def _order_said(
    listing: Listing, found: Sequence[str | int], classes: Sequence[str], source: str
) -> Iterator[Assumption]:
    """Yield what is assumed of the order of classes that have no names of their own."""
    if source not in ("folders", "labels"):
        return
    empty = [folder for folder in listing.folders if folder not in classes]
    if source == "folders" and empty:
        yield Assumption(
            many(
                "the folder {folders} has no images and is no class",
                "the folders {folders} have no images and are no classes",
                len(empty),
                folders=misfits.listed(empty),
            )
        )
    if listing.numbers:
        return
    if all(name.isdecimal() for name in classes) and list(classes) != sorted(classes, key=int):
        yield Assumption(
            _("the names of the classes are numbers, sorted as text: {names}", names=", ".join(classes[:_FIRST]))
        )
    else:
        yield Assumption(_("the classes are the names in sorted order: {name!r} is 0", name=classes[0]))


def _hint_below(listing: Listing, outputs: int, names: Sequence[str] | None) -> str:
    """Return a hint to a subfolder that matches, if there is one; one called "train" is tried last."""
    if len(listing.folders) > _SPLITS:
        return ""
    for folder in sorted(listing.folders, key=lambda folder: "train" in folder.casefold()):
        inside = [name.removeprefix(f"{folder}/") for name in listing.names if name.startswith(f"{folder}/")]
        found = tuple(name.partition("/")[0] if "/" in name else None for name in inside)
        classes = tuple(sorted({label for label in found if label is not None}))
        below = Listing(listing.root / folder, (), tuple(inside), found, classes)
        if classes and not fit(below, outputs=outputs, names=names).problem:
            return _("the folders in {folder!r} fit; give --data {path}", folder=folder, path=below.root)
    return ""


def _distinct(labels: Iterable[str | int | None]) -> list[str | int]:
    found = {label for label in labels if label is not None}
    return sorted(found, key=lambda label: (isinstance(label, str), label))


def _classes(
    found: Sequence[str | int], listing: Listing, outputs: int, names: Sequence[str] | None
) -> tuple[tuple[str, ...], str]:
    """Return a name for each output, and where the names come from."""
    if names is not None:
        return tuple(names), "class names"
    if listing.numbers:
        by_number = {place: str(name) for name, place in numbered(listing.numbers, outputs).items()}
        complete = len(by_number) == outputs and set(by_number) == set(range(outputs))
        return tuple(by_number.get(i, f"class {i}") for i in range(outputs)), "labels" if complete else "numbers"
    with_images = tuple(folder for folder in listing.folders if folder in set(found))
    for spelled in (listing.folders, with_images):
        if spelled and len(spelled) == outputs:
            return spelled, "folders"
    words = tuple(label for label in found if isinstance(label, str)) if not listing.folders else ()
    if len(words) == outputs and not all(is_index(name, outputs) for name in words):
        return words, "labels"
    return tuple(f"class {i}" for i in range(outputs)), "numbers"

"""Map the labels of folders and manifests to the indices of the network's outputs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from auditor.data.listing import Listing
from auditor.errors import DataError, did_you_mean
from auditor.language import _, chained, many, marked

_WORDNET: Final = re.compile(r"n\d{8}", re.ASCII)
_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)
_SHOWN: Final = 6
_SPLITS: Final = 5


@dataclass(frozen=True, slots=True)
class Labels:
    """The label of each image, as the index of an output.

    Attributes:
        indices: By image; None if unknown.
        classes: A name for every output of the network.
        problem: Why the folders don't fit, with both lists; every index is then None.
        names_source: The source of the names: `class names`, `folders`, `labels` or `numbers`.
    """

    indices: tuple[int | None, ...]
    classes: tuple[str, ...]
    problem: str = ""
    names_source: str = "class names"


def fit(listing: Listing, *, outputs: int, names: Sequence[str] | None) -> Labels:
    """Match labels with the network's outputs.

    With class names, labels are matched by name; case does not matter, and `_` counts as a space. If
    no name matches, numbers are indices. Without class names, as many folders as outputs are the classes
    in sorted order, as in torchvision's `ImageFolder`; the same holds for all of ImageNet's WordNet ids.
    Folders that do not match are a `problem`; a label in a manifest that does not match is an error.

    Raises:
        DataError: There are more or fewer class names than outputs, or a label of a manifest is
            not a class.
    """
    names, listing = _declared(listing, names, outputs)
    if names is not None and len(names) != outputs:
        raise DataError(f"there are {len(names)} class names, but the network has {outputs} outputs")
    found = _distinct(listing.labels)
    classes, source = _classes(found, listing.folders, outputs, names)
    try:
        places = _places(found, _spelled(listing.folders, classes), "folder" if listing.folders else "label", source)
    except DataError as misfit:
        if not listing.folders:
            raise
        problem = f"{misfit}{_hint_below(listing, outputs, names)}"
        return Labels((None,) * len(listing.labels), classes, problem, source)
    return Labels(tuple(None if label is None else places[label] for label in listing.labels), classes, "", source)


def _declared(listing: Listing, names: Sequence[str] | None, outputs: int) -> tuple[Sequence[str] | None, Listing]:
    """Return the class names, and the labels by which they are matched, of data that name their classes by number.

    The names of the data serve a network without names. Where both have names, the labels are matched by name if all
    of them can be; otherwise the numbers count.
    """
    given = listing.class_names
    if names is None:
        return (given if len(given) == outputs else None), listing
    known = {_plain(name) for name in names}
    used = [given[label] for label in _distinct(listing.labels) if isinstance(label, int) and 0 <= label < len(given)]
    if not used or not all(_plain(name) in known for name in used):
        return names, listing
    named = dict(enumerate(given))
    labels = tuple(named.get(label, label) if isinstance(label, int) else label for label in listing.labels)
    return names, replace(listing, labels=labels)


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
            return "; " + _("the folders in {folder!r} fit; give --data {path}", folder=folder, path=below.root)
    return ""


def _distinct(labels: Iterable[str | int | None]) -> list[str | int]:
    found = {label for label in labels if label is not None}
    return sorted(found, key=lambda label: (isinstance(label, str), label))


def _classes(
    found: Sequence[str | int], folders: Sequence[str], outputs: int, names: Sequence[str] | None
) -> tuple[tuple[str, ...], str]:
    if names is not None:
        return tuple(names), "class names"
    spelled = tuple(folders) or tuple(label for label in found if isinstance(label, str))
    if len(spelled) == outputs and (folders or not all(_is_index(name, outputs) for name in spelled)):
        return spelled, "folders" if folders else "labels"
    return tuple(f"class {i}" for i in range(outputs)), "numbers"


def _spelled(folders: Sequence[str], classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the classes in the folders: class names, or WordNet ids in the order of the outputs."""
    by_id = len(folders) == len(classes) and all(_WORDNET.fullmatch(folder) for folder in folders)
    return tuple(folders) if by_id and not set(folders) <= set(classes) else classes


def _places(found: Sequence[str | int], classes: tuple[str, ...], kind: str, source: str) -> dict[str | int, int]:
    """Return the index of every label.

    Raises:
        DataError: A label is not a class, or the name of two classes.
    """
    exact, alike = _positions(classes), _positions(map(_plain, classes))
    words = [label for label in found if isinstance(label, str)]
    named = {word: exact.get(word) or alike.get(_plain(word), []) for word in words}
    for label, positions in named.items():
        if len(positions) > 1:
            raise DataError(_ambiguous(kind, label, positions))
    places: dict[str | int, int] = {label: positions[0] for label, positions in named.items() if positions}
    if not places:
        places = {label: int(label) for label in found if _is_index(label, len(classes))}
    places |= {label: label for label in found if isinstance(label, int) and 0 <= label < len(classes)}
    strangers = [label for label in found if label not in places]
    if strangers:
        raise DataError(_misfit(kind, strangers, found, classes, source))
    return places


def _positions(names: Iterable[str]) -> dict[str, list[int]]:
    positions: defaultdict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        positions[name].append(index)
    return positions


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _is_index(label: str | int, outputs: int) -> bool:
    return bool(_NUMBER.fullmatch(str(label))) and int(label) < outputs


def _ambiguous(kind: str, label: str, positions: Sequence[int]) -> str:
    if kind == "folder":
        message = marked("the folder {label!r} is ambiguous: it is the name of the classes {classes}")
    else:
        message = marked("the label {label!r} is ambiguous: it is the name of the classes {classes}")
    return _(message, label=label, classes=_and(positions))


def _misfit(
    kind: str, strangers: Sequence[str | int], found: Sequence[str | int], classes: Sequence[str], source: str
) -> str:
    hint = did_you_mean(str(strangers[0]), classes)
    if source == "numbers":
        expected = _(
            "its {n} outputs have no names: use 0 to {last}, or give --classes FILE",
            n=len(classes),
            last=len(classes) - 1,
        )
    else:
        expected = _("its {n} classes are: {classes}", n=len(classes), classes=_and(classes))
    met = _no_classes(kind, strangers)
    labels = (
        many("found {count} folder: {labels}", "found {count} folders: {labels}", len(found), labels=_and(found))
        if kind == "folder"
        else many("found {count} label: {labels}", "found {count} labels: {labels}", len(found), labels=_and(found))
    )
    return chained(met, labels, expected) + hint


def _no_classes(kind: str, strangers: Sequence[str | int]) -> str:
    labels = _and(strangers)
    if kind == "folder":
        return many(
            "the folder {labels} is not a class of the network",
            "the folders {labels} are not classes of the network",
            len(strangers),
            labels=labels,
        )
    return many(
        "the label {labels} is not a class of the network",
        "the labels {labels} are not classes of the network",
        len(strangers),
        labels=labels,
    )


def _and(items: Sequence[str | int]) -> str:
    """Return a list for a sentence, shortened in the middle."""
    if len(items) <= _SHOWN:
        return ", ".join(map(repr, items))
    first = ", ".join(map(repr, items[: _SHOWN - 2]))
    return _("{first} ... {last!r} ({n} in all)", first=first, last=items[-1], n=len(items))

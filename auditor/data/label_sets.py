"""Match the labels of images that may have several with the network's outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from auditor.data import labels
from auditor.data.label_cells import UNKNOWN, Several
from auditor.data.label_places import is_index, plain
from auditor.data.labels import Labels, LabelSet
from auditor.data.listing import Listing
from auditor.errors import DataError, did_you_mean
from auditor.language import some

_SEPARATORS: Final[Sequence[str | None]] = ("|", ";", ",", None)  # None is white space

Label = str | int | Several | None


@dataclass(frozen=True, slots=True)
class LabelLists:
    """The labels of the images, before it is known whether an image has one or several.

    Attributes:
        each: By image; a cell that lists several labels is `Several`.
        names: The names of the outputs, if class names or columns give them.
        listed: Whether the data list labels, so that a label that is not named does not apply.
    """

    listing: Listing
    each: tuple[Label, ...]
    names: Sequence[str] | None
    listed: bool

    @property
    def example(self) -> str:
        """The first image with several labels, as `file: label, label`; empty if there is none."""
        for name, label in zip(self.listing.names, self.each, strict=True):
            if isinstance(label, Several) and len(label.present) > 1:
                return f"{name}: {some(label.present, 4)}"
        return ""

    @property
    def labelled(self) -> bool:
        """Whether anything is known of any image."""
        return any(label is not None and label != UNKNOWN for label in self.each)


def read(listing: Listing, *, outputs: int, names: Sequence[str] | None) -> LabelLists:
    """Find the images with several labels.

    A cell is taken apart at `|`, `;`, commas or white space if it is no class, and its parts are.
    """
    asked = next((label.asked for label in listing.labels if isinstance(label, Several) and label.asked), ())
    if names is None and len(asked) == outputs:
        names = asked
    each = listing.labels if listing.folders else _taken_apart(listing.labels, outputs, names)
    each = _by_position(each, outputs)
    return LabelLists(listing, each, names, any(isinstance(label, Several) for label in each))


def _taken_apart(each: Sequence[Label], outputs: int, names: Sequence[str] | None) -> tuple[Label, ...]:
    """Return the labels, with the cells that list several taken apart."""
    cells = {label for label in each if isinstance(label, str)} - {UNKNOWN}
    is_class = _classes(cells, outputs, names)
    whole = {cell for cell in cells if is_class(cell)}
    for separator in _SEPARATORS:
        lists = {cell: _parts(cell, separator) for cell in cells - whole}
        several = [parts for parts in lists.values() if len(parts) > 1]
        if several and _are_labels(lists.values(), whole, is_class, outputs, names):
            return tuple(Several(lists[label]) if label in lists else label for label in each)
    return tuple(each)


def _parts(cell: str, separator: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.split(separator) if part.strip())


def _are_labels(
    lists: Iterable[Sequence[str]],
    whole: set[str],
    is_class: Callable[[str], bool],
    outputs: int,
    names: Sequence[str] | None,
) -> bool:
    """Return whether parts of cells are labels: known classes, or as many different ones as the network has outputs."""
    lists = list(lists)
    if any(all(map(is_class, parts)) for parts in lists if len(parts) > 1):
        return True
    return names is None and len({part for parts in lists for part in parts} | whole) == outputs


def _classes(cells: set[str], outputs: int, names: Sequence[str] | None) -> Callable[[str], bool]:
    """Return a function that says whether a text names a class."""
    if names is None:
        whole = cells if len(cells) == outputs else set()
        return lambda cell: cell in whole or is_index(cell, outputs)
    known = set(map(plain, names))
    by_number = not any(plain(cell) in known for cell in cells)
    return lambda cell: plain(cell) in known or (by_number and is_index(cell, outputs))


def _by_position(each: Sequence[Label], outputs: int) -> tuple[Label, ...]:
    """Replace lists of 0 and 1 with a number for each output by the numbers of the outputs that are 1."""
    lists = [label.present for label in each if isinstance(label, Several) and not label.asked]
    numbers = [[_number(item) for item in one] for one in lists]
    fit = all(len(one) == outputs and set(one) <= {0, 1, -1} for one in numbers)
    if not numbers or not fit or (outputs == 2 and all(one == [0, 1] for one in numbers)):
        return tuple(each)
    found = iter(numbers)
    return tuple(_marked(next(found)) if isinstance(label, Several) and not label.asked else label for label in each)


def _number(item: str | int) -> int | None:
    return item if isinstance(item, int) else int(item) if item in ("0", "1", "-1") else None


def _marked(numbers: Sequence[int | None]) -> Several:
    applying, unknown = ([place for place, one in enumerate(numbers) if one == mark] for mark in (1, -1))
    return Several(tuple(applying), tuple(unknown))


def single(found: LabelLists, *, outputs: int) -> Labels:
    """Return the class of each image; an image with several labels, or with none, has no usable one.

    Raises:
        DataError: As `labels.fit`.
    """
    each = tuple(_only(label) if isinstance(label, Several) else label for label in found.each)
    each = tuple(None if label == UNKNOWN and UNKNOWN not in (found.names or ()) else label for label in each)
    fitted = labels.fit(replace(found.listing, labels=each), outputs=outputs, names=found.names)
    several = sum(isinstance(label, Several) and len(label.present) > 1 for label in found.each)
    return replace(fitted, several=several)


def _only(label: Several) -> str | int | None:
    return label.present[0] if len(label.present) == 1 else None


def fit(found: LabelLists, *, outputs: int, complete: bool) -> Labels:
    """Return the labels of each image.

    Args:
        complete: Whether a label that is not named does not apply, even if the data name one label for each image.

    Raises:
        DataError: A label is no class of the network.
    """
    if not found.listed:
        one = single(found, outputs=outputs)
        sets = tuple(None if label is None else LabelSet((label,)) for label in one.indices)
        known = any(sets)
        sets = tuple(LabelSet(()) if complete and known and _is_none(found, i) else each for i, each in enumerate(sets))
        return replace(one, indices=(None,) * len(sets), sets=sets, partial=known and not complete)
    columns = {name for label in found.each if isinstance(label, Several) for name in label.asked}
    places = _places(found, outputs, columns)
    classes = tuple(found.names or _sorted_names(found, outputs) or (f"class {i}" for i in range(outputs)))
    source = "class names" if found.names else "labels" if classes[0] != "class 0" else "numbers"
    sets = tuple(_set_of(label, places, outputs) for label in found.each)
    return Labels((None,) * len(sets), classes, "", source, sets)


def _is_none(found: LabelLists, place: int) -> bool:
    """Return whether an image of a manifest has no label, which says that none applies."""
    return found.each[place] is None and not found.listing.folders


def _set_of(label: Label, places: dict[str | int, int], outputs: int) -> LabelSet | None:
    if label == UNKNOWN and UNKNOWN not in places:
        return None
    if not isinstance(label, Several):
        return LabelSet(() if label is None else (places[label],))
    if UNKNOWN in label.present and UNKNOWN not in places:
        return None
    of = [tuple(sorted({places[one] for one in part if one in places})) for part in (label.present, label.unknown)]
    return None if len(of[1]) == outputs else LabelSet(*of)


def _sorted_names(found: LabelLists, outputs: int) -> Sequence[str]:
    """Return the labels in sorted order, if there are as many as outputs and they are no numbers."""
    every = sorted({str(one) for one in _every(found)} - {UNKNOWN})
    return every if len(every) == outputs and not all(one.isdecimal() for one in every) else ()


def _every(found: LabelLists) -> Iterable[str | int]:
    for label in found.each:
        if isinstance(label, Several):
            yield from label.present
        elif label is not None:
            yield label


def _places(found: LabelLists, outputs: int, columns: set[str]) -> dict[str | int, int]:
    """Return the output of each label.

    Raises:
        DataError: A label is no class of the network, or a class has no column.
    """
    every = dict.fromkeys(label for label in [*_every(found), *sorted(columns)] if label != UNKNOWN)
    names = found.names or _sorted_names(found, outputs)
    by_name = {plain(name): place for place, name in enumerate(names)}
    places: dict[str | int, int] = {one: by_name[plain(str(one))] for one in every if plain(str(one)) in by_name}
    named = any(isinstance(one, str) for one in places)
    rest = [one for one in every if one not in places]
    places |= {one: int(one) for one in rest if _is_place(one, outputs) and (isinstance(one, int) or not named)}
    strangers = [one for one in every if one not in places and one not in columns]
    without = [name for name in names if columns and plain(name) not in map(plain, columns)]
    if strangers or without or (columns and not places):
        raise DataError(_misfit(found, strangers, without, sorted(columns), outputs, names))
    return places


def _is_place(label: str | int, outputs: int) -> bool:
    return is_index(label, outputs)


def _misfit(
    found: LabelLists,
    strangers: Sequence[str | int],
    without: Sequence[str],
    columns: Sequence[str],
    outputs: int,
    names: Sequence[str],
) -> str:
    known = f"its {outputs} classes are: {some(names, 6)}" if names else f"its {outputs} outputs have no names"
    if without and not strangers:
        return f"the class {without[0]!r} of the network has no column of labels; the columns are: {some(columns, 6)}"
    if not strangers:
        return f"there are {len(columns)} columns of labels ({some(columns, 6)}), but {known}; give --classes FILE"
    hint = did_you_mean(str(strangers[0]), names) if names else f"; use 0 to {outputs - 1}, or give --classes FILE"
    return f"the label {strangers[0]!r} is not a class of the network; {known}{hint}"

"""Which columns of a table name the image, its label or labels, and its part of the data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from auditor.data import label_cells, suffixes
from auditor.errors import did_you_mean

PATHS: Final = (
    *("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name"),
    *("image_file", "image_filename", "img", "img_path", "img_name", "img_file", "imagename", "fname", "relpath"),
    *("relative_path", "picture", "photo", "image_id", "img_id", "id", "id_code", "image_index", "uri"),
)
"""The usual names of the column of paths, the likeliest first."""

LABELS: Final = (
    *("label", "class", "class_name", "label_name", "classname", "target", "category", "category_name", "y"),
    *("labels", "classes", "class_label", "target_name", "species", "ground_truth", "gt"),
    *("class_id", "label_id", "category_id", "class_idx", "label_idx", "class_index", "label_index"),
)
"""The usual names of the column of labels, the likeliest first."""

SPLITS: Final = ("split", "subset", "partition", "set", "fold_name", "dataset", "usage")
"""The usual names of the column that says which images are for training, validation and test."""

_NUMBER: Final = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table, by their place.

    Attributes:
        path: The column of paths, or of identifiers of the images.
        label: The column of labels; None if there is none, or one for each class.
        number: The column with the number of the class that `label` names, if there are both.
        hot: One column for each class, with 1 for the classes of an image and 0 for the others; () if there are none.
        classes: The names of these columns.
        split: The column that says which images are for training, validation and test.
        eliminated: The name of the column of labels, if it was only taken because no other was left.
    """

    path: int
    label: int | None = None
    number: int | None = None
    hot: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    split: int | None = None
    eliminated: str = ""


def plain(name: str) -> str:
    """Return the name of a column without upper case, spaces and hyphens."""
    return re.sub(r"[\s\-]+", "_", name.strip().casefold())


def is_header(row: Sequence[str]) -> bool:
    """Return whether a first row names columns."""
    names = {plain(cell) for cell in row}
    return bool(names & {*PATHS, *LABELS}) and not any(is_image(cell) for cell in row)


def columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    """Return the columns of a table with a header.

    Args:
        rows: The first rows below the header, which tell columns of 0 and 1 from others.

    Raises:
        LookupError: There is no column of paths or of labels; the message says which, and what comes near.
    """
    names = [plain(name) for name in header]
    path = _first(names, PATHS)
    if path is None:
        path = _by_content(names, rows)
    split = next((i for name in SPLITS for i, met in enumerate(names) if met == name and i != path), None)
    rest = [i for i in range(len(names)) if i not in (path, split) and names[i]]
    label = next((i for name in LABELS for i in rest if names[i] == name), None)
    if label is not None:
        label, number = _named_and_numbered([i for i in rest if names[i] in LABELS], label, rows)
        return Columns(path, label, number, split=split)
    if hot := _hot(rest, rows):
        return Columns(path, hot=hot, classes=tuple(header[i].strip() for i in hot), split=split)
    if not rest:
        return Columns(path, split=split)
    hint = next((near for i in rest if (near := did_you_mean(names[i], LABELS[:10]))), "")
    if len(rest) > 1 or hint:
        raise LookupError(f"'label'; its columns are: {', '.join(names)}{hint or _WITHOUT}")
    return Columns(path, rest[0], split=split, eliminated=header[rest[0]].strip())


_WITHOUT: Final = "; without labels, give only the paths"


def is_image(cell: str) -> bool:
    """Return whether a text is the name of an image file."""
    _, dot, suffix = cell.rstrip().rpartition(".")  # a Path for each of a million files takes seconds
    return bool(dot) and f".{suffix.lower()}" in suffixes.readable()


def _first(names: Sequence[str], usual: Iterable[str]) -> int | None:
    return next((names.index(name) for name in usual if name in names), None)


def _by_content(names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return the only column that holds the names of image files.

    Raises:
        LookupError: There is none, or there are several.
    """
    found = [i for i in range(len(names)) if rows and all(is_image(row[i]) for row in rows if i < len(row))]
    if len(found) != 1:
        raise LookupError(f"'path'; its columns are: {', '.join(names)}")
    return found[0]


def _named_and_numbered(places: Sequence[int], label: int, rows: Sequence[Sequence[str]]) -> tuple[int, int | None]:
    """Return the column that names the classes, and the one that numbers them if there are both."""
    numbers = [i for i in places if rows and all(_NUMBER.fullmatch(_cell(row, i)) for row in rows)]
    named = next((i for i in (label, *places) if i not in numbers), None)
    if named is None or not numbers:
        return label, None
    return named, numbers[0]


def _hot(rest: Sequence[int], rows: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Return the columns that hold marks of 0 and 1 only, if there are at least two."""
    marked = tuple(place for place in rest if label_cells.are_marks([_cell(row, place) for row in rows]))
    return marked if len(marked) > 1 else ()


def _cell(row: Sequence[str], place: int) -> str:
    return row[place].strip().lower() if place < len(row) else ""

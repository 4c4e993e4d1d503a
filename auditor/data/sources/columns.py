"""The columns of a table that hold the images and their labels."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from auditor.data.label_cells import of_value
from auditor.data.manifest import Label
from auditor.errors import DataError
from auditor.language import _

_IMAGES: Final = ("image", "img", "images", "picture", "jpg", "jpeg", "png", "bytes", "image_bytes", "content", "data")
_LABELS: Final = ("label", "labels", "class", "class_name", "target", "category", "fine_label", "cls", "y")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a data set.

    Attributes:
        image: The column with the images.
        inside: The field of the column with their bytes; empty if the column is the bytes.
        label: The column with the labels; None if there is none.
        class_names: The names of the classes by number; () if the table does not name them.
    """

    image: str
    inside: str
    label: str | None
    class_names: tuple[str, ...] = ()

    @property
    def leaf(self) -> str:
        """The path of the column that has the bytes."""
        return f"{self.image}.{self.inside}" if self.inside else self.image


def columns(schema: Any, what: str) -> Columns:
    """Return the columns of a schema of Arrow, by their types, their names, and what `datasets` wrote about them.

    Raises:
        DataError: No column has images, or the labels are neither numbers nor names, nor lists of them.
    """
    features, names = _features(schema), list(schema.names)
    images = [name for name in names if _bytes_field(schema.field(name).type) is not None]
    declared = [name for name in images if _kind(features, name) == "Image"]
    image = _first(declared or images, _IMAGES)
    if image is None:
        listed = ", ".join(f"{name} ({schema.field(name).type})"[:60] for name in names[:8])
        raise DataError(f"{what} has no column of image bytes; its columns are: {listed}")
    rest = [name for name in names if name != image]
    named = {name: found for name in rest if (found := _class_names(features.get(name, {}))) is not None}
    label = _first(list(named), _LABELS) or next((name for name in _LABELS if name in rest), None)
    if label is not None:
        _refuse_other_labels(schema.field(label).type, label, what)
    class_names = named.get(label or "", ())
    return Columns(image, _bytes_field(schema.field(image).type) or "", label, class_names)


def labels(values: Iterable[Any], known: dict[Any, Label]) -> Iterable[Label]:
    """Yield labels as this package has them: each class is one object, and a missing one is None.

    Args:
        known: The labels seen so far.
    """
    for value in values:
        key = tuple(value) if isinstance(value, list) else value
        if key not in known:
            known[key] = _label(value)
        yield known[key]


def _label(value: Any) -> Label:
    if isinstance(value, list):
        return of_value([_text(item) for item in value])
    text = _text(value)
    return None if text in (None, "", -1) else text


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def bytes_of(value: Any) -> bytes:
    """Return the bytes of one row.

    Raises:
        OSError: It has none.
    """
    found = value.as_py()
    if found is None:
        raise OSError(errno.ENODATA, _("the row has no image bytes"))
    return bytes(found)


def _features(schema: Any) -> Mapping[str, Mapping[str, Any]]:
    """Return what `datasets` wrote about the columns; nothing if another library wrote the table."""
    try:
        said = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        described = {str(name): _described(about) for name, about in said.items()}
        return {name: about for name, about in described.items() if isinstance(about, dict)}
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


def _described(about: Any) -> Any:
    """Return what is written about a column; older releases write a list of the one for lists."""
    return {"_type": "List", "feature": about[0]} if isinstance(about, list) and about else about


def _kind(features: Mapping[str, Mapping[str, Any]], name: str) -> str:
    return str(features.get(name, {}).get("_type", ""))


def _class_names(about: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the names of the classes of a column of `datasets`, or of a list of them; None for another column."""
    inside = about.get("feature")
    if about.get("_type") in ("Sequence", "List", "LargeList") and isinstance(inside, dict):
        return _class_names(inside)
    if about.get("_type") != "ClassLabel":
        return None
    names = about.get("names")
    return tuple(map(str, names)) if isinstance(names, list) else ()


def _bytes_field(kind: Any) -> str | None:
    """Return the field of a struct that has bytes, an empty text for a column of bytes, None for another column."""
    text = str(kind)
    if text in ("binary", "large_binary", "binary_view"):
        return ""
    if text.startswith("struct<") and kind.get_field_index("bytes") >= 0:
        return "bytes" if _bytes_field(kind.field("bytes").type) == "" else None
    return None


def _first(names: list[str], preferred: tuple[str, ...]) -> str | None:
    return next((name for name in preferred if name in names), names[0] if names else None)


def _refuse_other_labels(kind: Any, name: str, what: str) -> None:
    text = str(kind)
    if text.startswith(("list<", "large_list<", "fixed_size_list<", "dictionary<")):
        text = str(kind.value_type)
    if not text.startswith(("int", "uint", "string", "large_string", "binary", "large_binary", "null")):
        raise DataError(
            f"{what}: the labels in column {name!r} are {str(kind)[:60]}; expected a number, a name, or a list of them"
        )

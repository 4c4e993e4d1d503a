"""Why labels don't match the classes of the network, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from auditor.data.listing import Listing
from auditor.errors import did_you_mean
from auditor.language import _, chained, many, marked

_SHOWN: Final = 6


def ambiguous(kind: str, label: str, positions: Sequence[int]) -> str:
    if kind == "folder":
        message = marked("the folder {label!r} is ambiguous: it is the name of the classes {classes}")
    else:
        message = marked("the label {label!r} is ambiguous: it is the name of the classes {classes}")
    return _(message, label=label, classes=listed(positions))


def misfit(
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
        expected = _("its {n} classes are: {classes}", n=len(classes), classes=listed(classes))
    met = _no_classes(kind, strangers)
    labels = (
        many("found {count} folder: {labels}", "found {count} folders: {labels}", len(found), labels=listed(found))
        if kind == "folder"
        else many("found {count} label: {labels}", "found {count} labels: {labels}", len(found), labels=listed(found))
    )
    return chained(met, labels, expected) + hint


def _no_classes(kind: str, strangers: Sequence[str | int]) -> str:
    labels = listed(strangers)
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


def listed(items: Sequence[str | int]) -> str:
    """Return a list for a sentence, shortened in the middle."""
    if len(items) <= _SHOWN:
        return ", ".join(map(repr, items))
    first = ", ".join(map(repr, items[: _SHOWN - 2]))
    return _("{first} ... {last!r} ({n} in all)", first=first, last=items[-1], n=len(items))


def hint_unseen(listing: Listing, found: Sequence[str | int], outputs: int) -> str:
    """Return a hint to folders that are hidden or have no images, where these explain the number of classes."""
    empty = [folder for folder in listing.folders if folder not in found]
    if empty:
        return many(
            "the folder {folders} has no images",
            "the folders {folders} have no images",
            len(empty),
            folders=listed(empty),
        )
    if listing.hidden and len(listing.folders) < outputs <= len(listing.folders) + len(listing.hidden):
        return _(
            "a hidden folder would make {n}: was {folder} there in training?",
            n=len(listing.folders) + 1,
            folder=listing.hidden[0],
        )
    return ""

"""Images inside of tar and zip archives: class folders, a manifest, or samples with their labels beside them.

A WebDataset is one or more tar archives. Members whose names differ only after the first dot are one sample: an image,
and its label as `.cls` (a number), `.json` (an object) or `.txt` (a name).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from auditor.data import manifest
from auditor.data.manifest import Label
from auditor.data.names import Names
from auditor.data.sources import layout, tar
from auditor.data.sources import zip as zipped
from auditor.data.sources.archive_images import ArchiveImages
from auditor.data.sources.archive_index import ArchiveIndex
from auditor.data.sources.inventory import Inventory
from auditor.data.sources.location import Location, exactly
from auditor.data.sources.member import Member
from auditor.data.sources.sample_labels import sample_key
from auditor.errors import DataError

_LARGEST_MANIFEST: Final = 2**28


def of_zips(locations: Sequence[Location], what: str, *, split: str | None) -> Inventory:
    """Return the images of zip archives, which are one data set.

    Args:
        what: Names the archives in messages.

    Raises:
        DataError: An archive can't be read, or there are no images.
    """
    return _arranged(ArchiveIndex.of(locations, zipped.members, zipped.content, labelled=False), what, split=split)


def of_tars(locations: Sequence[Location], what: str, *, split: str | None) -> Inventory:
    """Return the images of tar archives, which are one data set.

    Args:
        what: Names the archives in messages.

    Raises:
        DataError: An archive can't be read, or there are no images.
    """
    kept = ArchiveIndex.of(locations, tar.members, _stored, labelled=True)
    if kept.beside:
        return _samples(kept)
    return _arranged(kept, what, split=split)


def _stored(location: Location, member: Member) -> bytes:
    return exactly(location, member.start, member.size)


def _samples(kept: ArchiveIndex) -> Inventory:
    """Return the samples of a WebDataset, in the order of the shards.

    Of several images of one sample, as an image and its mask, the one is meant whose name has one suffix.
    """
    order: Sequence[int] = range(len(kept.names))
    if not all(map(_is_simple, kept.names)):
        simple = {sample_key(name) for name in kept.names if _is_simple(name)}
        order = [i for i, name in enumerate(kept.names) if _is_simple(name) or sample_key(name) not in simple]
    source = kept.images(order)
    labels = [kept.beside.get(index) for index in order]
    return Inventory(source, shown(source), labels, skipped=kept.left_out(()))


def _is_simple(name: str) -> bool:
    return name.rpartition("/")[2].count(".") == 1


def _arranged(kept: ArchiveIndex, what: str, *, split: str | None) -> Inventory:
    """Return the images of archives that hold class folders, or a manifest.

    Raises:
        DataError: There are no images.
    """
    if not kept.names:
        raise DataError(layout.no_images(what, kept.suffixes))
    order, replaced = _last_of_each(kept)
    names = kept.names if order == range(len(kept.names)) else kept.names.take(order)
    if listed := _manifest(kept, what, names):
        source = kept.images([order[index] for index, _label in listed])
        labels = [label for _index, label in listed]
        return Inventory(source, shown(source), labels, skipped=kept.left_out((), replaced))
    found = layout.class_folders(names, kept.folders, what, split=split)
    source = kept.images(order if found.chosen == range(len(order)) else [order[index] for index in found.chosen])
    skipped = kept.left_out(set(found.folders), replaced)
    return Inventory(source, shown(source), found.labels, found.folders, skipped=skipped)


def _last_of_each(kept: ArchiveIndex) -> tuple[Sequence[int], Sequence[str]]:
    """Return the images in the order of their names, and the names of those that a later member replaces.

    Of several members of one name in one archive the last one counts, as it does where the archive is unpacked.
    """
    order, names = kept.names.order(), kept.names
    if isinstance(order, range):
        return order, ()
    again = [a for a, b in pairwise(order) if names[a] == names[b] and kept.archive(a) == kept.archive(b)]
    if not again:
        return order, ()
    left_out = set(again)
    return [place for place in order if place not in left_out], [names[place] for place in again]


def shown(source: ArchiveImages) -> Sequence[str]:
    """Return the names for the report: of several archives with the name of the archive."""
    if len(source.locations) == 1:
        return source.names
    archives = [location.path.name for location in source.locations]
    return Names(f"{archives[which]}/{name}" for which, name in zip(source.which.tolist(), source.names, strict=True))


def _manifest(kept: ArchiveIndex, what: str, names: Sequence[str]) -> list[tuple[int, Label]]:
    """Return the images of a manifest in an archive, with their labels; none if it has no manifest.

    Raises:
        DataError: The manifest can't be read, or it names an image that the archive lacks.
    """
    depth = min((member.name.count("/") for _where, member in kept.manifests), default=0)
    top = [(where, member) for where, member in kept.manifests if member.name.count("/") == depth]
    if len(top) != 1 or (depth and len({name.partition("/")[0] for name in names}) > 1):
        return []
    location, member = top[0]
    if member.problem or max(member.size, member.whole) > _LARGEST_MANIFEST:
        raise DataError(f"{what}: its manifest {member.name} can't be read: {member.problem or 'too large'}")
    try:
        found = kept.read(location, member)
    except OSError as error:
        raise DataError(f"{what}: its manifest {member.name} can't be read: {error.strerror}") from error
    return _listed(manifest.read(location.path / member.name, found=found).entries, member.name, what, names)


def _listed(entries: Sequence[manifest.Entry], own: str, what: str, names: Sequence[str]) -> list[tuple[int, Label]]:
    places, folder = {name: index for index, name in enumerate(names)}, own.rpartition("/")[0]
    listed = []
    for entry in entries:
        inside = "/".join(part for part in entry.path.replace("\\", "/").split("/") if part not in ("", "."))
        place = places.get(f"{folder}/{inside}" if folder else inside)
        if place is None:
            raise DataError(f"{what}: its manifest {own} names {entry.path!r}, which the archive does not have")
        listed.append((place, entry.label))
    return listed

"""Images in Parquet files, one a row.

A file is divided into groups of rows, and a group can be read only from its beginning. It is read in parts of a few
rows, so that the memory does not depend on how large the groups are.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from auditor.data.manifest import Label
from auditor.data.names import Names
from auditor.data.sources.columns import Columns, bytes_of, columns, labels
from auditor.data.sources.inventory import Inventory
from auditor.data.sources.library import library
from auditor.data.sources.location import Location, unreadable
from auditor.data.sources.window import Window
from auditor.errors import DataError
from auditor.language import _

_ROWS: Final = 32  # of a part
_LARGEST: Final = 2**30  # bytes of a part
_LARGEST_RATIO: Final = 100  # of the unpacked bytes of a group to its bytes in the file
_MOST: Final = 2**31  # rows


class _Part(NamedTuple):
    """Some rows of a group, and what gives the next ones."""

    rows: Any
    following: Iterator[Any]


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows of Parquet files, as images.

    Attributes:
        groups: File, number inside of the file, and first row of each group of rows, `[n, 3]`.
        count: The number of rows.
    """

    locations: tuple[Location, ...]
    columns: Columns
    groups: NDArray[np.int64]
    count: int
    window: Any = field(compare=False)

    def __len__(self) -> int:
        return self.count

    def path(self, index: int) -> Path:
        """Return the path of a row, through its file."""
        location, row = self._place(index)
        return location.path / str(row)

    def _place(self, index: int) -> tuple[Location, int]:
        file, _group, _first = self._group(index)
        first = self.groups[self.groups[:, 0] == file][0, 2]
        return self.locations[file], index - int(first)

    def _group(self, index: int) -> list[int]:
        place = int(np.searchsorted(self.groups[:, 2], index, side="right")) - 1
        found: list[int] = self.groups[place].tolist()
        return found

    def content(self, index: int, *, most: int) -> bytes:
        """Return the bytes of the image in a row.

        Raises:
            OSError: They can't be read, or there are more than `most`.
        """
        file, group, first = self._group(index)
        part, row = divmod(index - first, _ROWS)

        def read(key: tuple[int, int, int] | None, held: _Part | None) -> _Part:
            goes_on = key is not None and held is not None and key[:2] == (file, group) and key[2] < part
            following = held.following if goes_on and held else self._parts(file, group)
            skipped = part - key[2] - 1 if goes_on and key else part
            return _next(following, skipped)

        found = self.window.part((file, group, part), read)
        if row >= len(found.rows):
            raise OSError(errno.EIO, _("damaged: the table has fewer rows than it declares"))
        content = bytes_of(found.rows[row])
        if len(content) > most:
            raise OSError(errno.EFBIG, _("larger than {most:,} bytes", most=most))
        return content

    def _parts(self, file: int, group: int) -> Iterator[Any]:
        with _opened(self.locations[file]) as table:
            _refuse_bomb(table.metadata.row_group(group), self.columns.leaf)
            for batch in table.iter_batches(_ROWS, row_groups=[group], columns=[self.columns.leaf], use_threads=False):
                column = batch.column(0)
                yield column.field(self.columns.inside) if self.columns.inside else column

    def stamp(self) -> str:
        """Return what is different after a file was written again."""
        return " ".join(location.stamp() for location in self.locations)


def _refuse_bomb(group: Any, leaf: str) -> None:
    """Refuse a group of rows before it is unpacked, if its column of bytes was made to take all memory.

    A large group by itself is read in parts. But images are compressed already: what becomes many times larger is none.

    Raises:
        OSError: It unpacks to too much.
    """
    for place in range(group.num_columns):
        about = group.column(place)
        whole, packed = about.total_uncompressed_size, about.total_compressed_size
        if about.path_in_schema == leaf and whole > max(_LARGEST, _LARGEST_RATIO * packed):
            reason = _("its group of rows unpacks from {packed:,} to {whole:,} bytes", packed=packed, whole=whole)
            raise OSError(errno.EFBIG, reason)


def _next(following: Iterator[Any], skipped: int) -> _Part:
    """Return the next part, after some that are not needed.

    Raises:
        OSError: The file is damaged, or the part is too large.
    """
    try:
        for _number in range(skipped):
            next(following, None)
        rows = next(following, ())
    except Exception as error:  # the library raises many kinds for a damaged file
        if isinstance(error, OSError) and error.errno == errno.EFBIG:
            raise
        raise OSError(errno.EIO, _damaged(error)) from error
    if getattr(rows, "nbytes", 0) > _LARGEST:
        raise OSError(errno.EFBIG, _("its {n} rows have more than {most:,} bytes", n=_ROWS, most=_LARGEST))
    return _Part(rows, following)


def of_parquet(locations: Sequence[Location], what: str) -> Inventory:
    """Return the images of Parquet files, which are one data set.

    Raises:
        DataError: A file can't be read, or its columns don't fit.
    """
    groups, names, found, first = list[tuple[int, int, int]](), Names(), list[Label](), 0
    chosen, known = None, dict[Any, Label]()
    for number, location in enumerate(locations):
        own, sizes, own_labels = _index(location, what, known)
        chosen = chosen or own
        if own != chosen:
            raise DataError(f"{what}: {location.path.name} has other columns than {locations[0].path.name}")
        found += own_labels
        names.extend(f"{location.path.name}/{row}" for row in range(sum(sizes)))
        for group, size in enumerate(sizes):
            if size:
                groups.append((number, group, first))
            first += size
    if not first or chosen is None:
        raise DataError(f"{what} has no rows; expected images")
    source = Tables(tuple(locations), chosen, np.array(groups, np.int64), first, Window())
    return Inventory(source, names, found, class_names=chosen.class_names)


def _index(location: Location, what: str, known: dict[Any, Label]) -> tuple[Columns, list[int], list[Label]]:
    """Return the columns of a file, the number of rows of each group, and the labels of all rows.

    Raises:
        DataError: The file can't be read, or its columns don't fit.
    """
    try:
        with _opened(location) as table:
            chosen, about = columns(table.schema_arrow, what), table.metadata
            sizes = [about.row_group(group).num_rows for group in range(about.num_row_groups)]
            if not all(size >= 0 for size in sizes) or sum(sizes) > _MOST:
                raise unreadable("Parquet file", location, f"it declares {sum(sizes):,} rows")
            found = _labels(table, chosen, sum(sizes), known)
    except DataError:
        raise
    except Exception as error:  # the library raises many kinds for a damaged file
        reason = error if isinstance(error, OSError) and error.strerror else _damaged(error)
        raise unreadable("Parquet file", location, reason) from error
    if len(found) != sum(sizes):
        raise unreadable("Parquet file", location, "its columns have different lengths")
    return chosen, sizes, found


@contextmanager
def _opened(location: Location) -> Iterator[Any]:
    parquet = library("pyarrow.parquet", extra="parquet", what=f"{location.path} is a Parquet file, which")
    with location.open() as file:
        yield parquet.ParquetFile(file, pre_buffer=False, buffer_size=2**20)


def _labels(table: Any, chosen: Columns, rows: int, known: dict[Any, Label]) -> list[Label]:
    if chosen.label is None:
        return [None] * rows
    batches = table.iter_batches(65536, columns=[chosen.label], use_threads=False)
    return [label for batch in batches for label in labels(batch.column(0).to_pylist(), known)]


def _damaged(error: Exception) -> str:
    first_line = str(error).partition("\n")[0][:100]
    return _("damaged: {reason}", reason=first_line or type(error).__name__)

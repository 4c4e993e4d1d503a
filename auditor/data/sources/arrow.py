"""Images in Arrow files, as `datasets` saves a data set on the disk: batches of rows, one after the other."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from auditor.data.manifest import Label
from auditor.data.names import Names
from auditor.data.sources import layout
from auditor.data.sources.columns import Columns, bytes_of, columns, labels
from auditor.data.sources.inventory import Inventory
from auditor.data.sources.library import library
from auditor.data.sources.location import LocalFile, unreadable
from auditor.data.sources.window import Window
from auditor.errors import DataError
from auditor.language import _
from auditor.process.regular_files import content, opened

DATASET: Final = "state.json"
DATASETS: Final = "dataset_dict.json"

_LARGEST: Final = 2**30  # bytes of a batch
_LARGEST_STATE: Final = 2**24


@dataclass(frozen=True, slots=True)
class Batches:
    """The rows of Arrow files, as images.

    Attributes:
        batches: File, first byte, end, and first row of each batch, `[n, 4]`.
        count: The number of rows.
    """

    locations: tuple[LocalFile, ...]
    columns: Columns
    batches: NDArray[np.int64]
    count: int
    window: Any = field(compare=False)

    def __len__(self) -> int:
        return self.count

    def path(self, index: int) -> Path:
        """Return the path of a row, through its file."""
        file = self._batch(index)[0]
        first = self.batches[self.batches[:, 0] == file][0, 3]
        return self.locations[file].path / str(index - int(first))

    def _batch(self, index: int) -> list[int]:
        place = int(np.searchsorted(self.batches[:, 3], index, side="right")) - 1
        found: list[int] = self.batches[place].tolist()
        return found

    def content(self, index: int, *, most: int) -> bytes:
        """Return the bytes of the image in a row.

        Raises:
            OSError: They can't be read, or there are more than `most`.
        """
        file, start, end, first = self._batch(index)
        if end - start > _LARGEST:
            raise OSError(errno.EFBIG, _("its batch of rows has more than {most:,} bytes", most=_LARGEST))
        rows = self.window.part((file, start), lambda _key, _held: self._rows(file, start))
        if index - first >= len(rows):
            raise OSError(errno.EIO, _("changed while it was audited"))
        found = bytes_of(rows[index - first])
        if len(found) > most:
            raise OSError(errno.EFBIG, _("larger than {most:,} bytes", most=most))
        return found

    def _rows(self, file: int, start: int) -> Any:
        """Return the column of bytes of one batch, after its offsets were found to lie inside of it."""
        try:
            ipc = _library(self.locations[file].path)
            with opened(self.locations[file].path) as handle:
                schema = ipc.open_stream(handle).schema
                handle.seek(start)
                batch = ipc.read_record_batch(ipc.read_message(handle), schema)
            column = batch.column(batch.schema.get_field_index(self.columns.image))
            column.validate(full=True)
            return column.field(self.columns.inside) if self.columns.inside else column
        except OSError as error:
            if error.strerror:
                raise
            raise OSError(errno.EIO, _damaged(error)) from error
        except Exception as error:  # the library raises many kinds for a damaged file
            raise OSError(errno.EIO, _damaged(error)) from error

    def stamp(self) -> str:
        """Return what is different after a file was written again."""
        return " ".join(location.stamp() for location in self.locations)


def of_folder(folder: Path, *, split: str | None) -> Inventory:
    """Return the images of a folder that `datasets` saved: one data set, or several splits.

    Raises:
        DataError: The folder can't be read, or no split is chosen.
    """
    what = f"data set {folder}"
    if (folder / DATASETS).exists():
        names = _json(folder / DATASETS).get("splits")
        splits = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
        if not splits or any(not _is_plain(name) for name in splits):
            raise DataError(f"{what} names no splits in {DATASETS}")
        folder = folder / layout.chosen_split(splits, what, split=split)
    elif split is not None:
        raise DataError(f"{what} has no splits, but --split {split} was given; leave it out")
    listed = _json(folder / DATASET).get("_data_files")
    files = [one.get("filename") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    if not files or any(not isinstance(name, str) or not _is_plain(name) for name in files):
        raise DataError(f"{what} names no files of its folder in {DATASET}")
    return of_arrow([LocalFile(folder / str(name)) for name in files], what)


def of_arrow(locations: Sequence[LocalFile], what: str) -> Inventory:
    """Return the images of Arrow files, which are one data set.

    Raises:
        DataError: A file can't be read, or its columns don't fit.
    """
    batches, names, found, known, first = list[list[int]](), Names(), list[Label](), dict[Any, Label](), 0
    chosen: Columns | None = None
    for number, location in enumerate(locations):
        own, places, own_labels = _index(location, what, known)
        chosen = chosen or own
        if own != chosen:
            raise DataError(f"{what}: {location.path.name} has other columns than {locations[0].path.name}")
        rows = sum(count for _start, _end, count in places)
        names.extend(f"{location.path.name}/{row}" for row in range(rows))
        found += own_labels or [None] * rows
        for start, end, count in places:
            if count:
                batches.append([number, start, end, first])
            first += count
    if not first or chosen is None:
        raise DataError(f"{what} has no rows; expected images")
    source = Batches(tuple(locations), chosen, np.array(batches, np.int64), first, Window())
    return Inventory(source, names, found, class_names=chosen.class_names)


def _index(
    location: LocalFile, what: str, known: dict[Any, Label]
) -> tuple[Columns, list[tuple[int, int, int]], list[Label]]:
    """Return the columns of a file, where each batch lies with its number of rows, and the labels.

    Raises:
        DataError: The file can't be read, or its columns don't fit.
    """
    places, found = list[tuple[int, int, int]](), list[Label]()
    try:
        size, ipc = location.size(), _library(location.path)
        with library("pyarrow", extra="parquet", what=what).memory_map(str(location.path)) as mapped:
            reader = ipc.open_stream(mapped)
            chosen = columns(reader.schema, what)
            while mapped.tell() < size:
                start = mapped.tell()
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    break
                places.append((start, mapped.tell(), batch.num_rows))
                if chosen.label is not None:
                    column = batch.column(batch.schema.get_field_index(chosen.label))
                    column.validate(full=True)
                    found += labels(column.to_pylist(), known)
    except DataError:
        raise
    except Exception as error:  # the library raises many kinds for a damaged file
        reason = error if isinstance(error, OSError) and error.strerror else _damaged(error)
        raise unreadable("Arrow file", location, reason) from error
    return chosen, places, found


def _library(path: Path) -> Any:
    return library("pyarrow.ipc", extra="parquet", what=f"{path} is an Arrow file, which")


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(content(path, most=_LARGEST_STATE))
    except OSError as error:
        raise DataError(f"data set {path.parent}: {path.name} can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"data set {path.parent}: {path.name} is not JSON: {error}") from error
    return found if isinstance(found, dict) else {}


def _is_plain(name: str) -> bool:
    return bool(name) and name not in (".", "..") and not set(name) & set("/\\\0")


def _damaged(error: Exception) -> str:
    first_line = str(error).partition("\n")[0][:100]
    return _("damaged: {reason}", reason=first_line or type(error).__name__)

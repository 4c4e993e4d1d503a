"""The images of a loader or a data set, one by one: in its order, and by index where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from types import SimpleNamespace
from typing import Any

from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, RandomSampler, SequentialSampler

from auditor.data.loaders import batch
from auditor.data.loaders.batch import Item
from auditor.errors import DataError

ORDERED = "give it in a fixed order (shuffle=False), without random augmentation: it is read several times"

_COMPARED = 32  # images at the beginning of a second pass


class Items:
    """The images of a loader or a data set.

    It holds one batch at most. The next image in order comes from the loader, with its worker processes. Any other is
    asked for by its index, if the loader goes through a data set in order; else the loader is gone through again.

    Raises:
        DataError: It can be read only once, or it is shuffled.
    """

    def __init__(self, data: Any) -> None:
        _refuse_unordered(data)
        self._data = data
        self._by_index = _by_index(data)
        # A namespace, as in `Window`: reading on is no change made by a check.
        self._now = SimpleNamespace(ahead=iter(()), place=-1, item=None)

    def __iter__(self) -> Iterator[Item]:
        for given in _every(self._data):
            yield from batch.items(given)

    def __getitem__(self, index: int) -> Item:
        """Return the image at an index.

        Raises:
            DataError: The data end before it.
        """
        now = self._now
        if index == now.place:
            found: Item = now.item
            return found
        if self._by_index is not None and index > 0 and index != now.place + 1:
            return self._by_index(index)
        if index < now.place or now.place < 0:
            now.ahead, now.place = iter(self), -1
        return self._reach(index)

    def _reach(self, index: int) -> Item:
        now = self._now
        for item in now.ahead:
            now.place, now.item = now.place + 1, item
            if now.place == index:
                found: Item = item
                return found
        count, now.place = now.place + 1, -1
        raise DataError(f"the data end at image {count} in a later pass; {ORDERED}")

    def verify(self, same: Callable[[int, Item], bool], count: int) -> None:
        """Begin a second pass, and ask for some images by their index.

        Args:
            same: Whether an image is the one that the first pass had at this index.
            count: The number of images of the first pass.

        Raises:
            DataError: A later pass gives other images.
        """
        for index, item in enumerate(islice(iter(self), min(count, _COMPARED))):
            if not same(index, item):
                raise DataError(f"the data give another image {index} in a second pass; {ORDERED}")
        if self._by_index is not None and not all(self._gives(same, i) for i in {count - 1, count // 2}):
            self._by_index = None

    def _gives(self, same: Callable[[int, Item], bool], index: int) -> bool:
        assert self._by_index is not None  # noqa: S101 - the caller has looked
        try:
            return same(index, self._by_index(index))
        except Exception:  # other people's code: a list of batches has no image at this index, some sets know keys only
            return False


def _refuse_unordered(data: Any) -> None:
    name = type(data).__name__
    if not hasattr(data, "__iter__") and not hasattr(data, "__getitem__"):
        raise DataError(f"data is a {name}; expected a path, a DataLoader, a list of batches, or a Dataset")
    if isinstance(data, Iterator):
        raise DataError(f"data is a {name}, which can be read only once; give the DataLoader or a list of its batches")
    if isinstance(data, DataLoader) and isinstance(data.sampler, RandomSampler):
        raise DataError(f"data is a DataLoader that shuffles; {ORDERED}")


def _every(data: Any) -> Iterable[Any]:
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        count: int = len(data)  # type: ignore[arg-type]
        return (data[index] for index in range(count))
    given: Iterable[Any] = data
    return given


def _by_index(data: Any) -> Callable[[int], Item] | None:
    """Return what may give an image by its index; `verify` tries it."""
    if isinstance(data, DataLoader):
        collate, dataset = data.collate_fn, data.dataset
        return (lambda index: _only(collate([dataset[index]]))) if is_in_order(data) else None
    if isinstance(data, IterableDataset) or not (hasattr(data, "__getitem__") and hasattr(data, "__len__")):
        return None
    return lambda index: _only(data[index])


def is_in_order(loader: DataLoader[Any]) -> bool:
    """Return whether a loader goes through its data set by index, from the first to the last."""
    return (
        not isinstance(loader.dataset, IterableDataset)
        and type(loader.sampler) is SequentialSampler
        and type(loader.batch_sampler) is BatchSampler
    )


def _only(given: Any) -> Item:
    (item,) = batch.items(given)
    return item

"""The images of an audit, from files to batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int8, Int64
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from auditor.data.class_names import class_names
from auditor.data.decoding.stored import MAX_PIXELS, Refused, Stored
from auditor.data.decoding.traits import Traits
from auditor.data.image import LARGEST, Unreadable, load
from auditor.data.labels import Labels, fit
from auditor.data.listing import Listing, listing
from auditor.data.preprocessing import Preprocess
from auditor.data.resizing import resized_size
from auditor.data.sources.source import Decoded
from auditor.data.workers import batches
from auditor.language import many

__all__ = [
    "ImageData",
    "Labels",
    "Listing",
    "Loaded",
    "Sample",
    "class_names",
    "fit",
    "listing",
    "loader",
]

UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Sample:
    """One preprocessed image; if it can't be read, `tensor` is None and `reason` says why.

    Attributes:
        traits: What distinguishes it from a plain upright image of 8 bits.
    """

    index: int
    tensor: Float[Tensor, "c h w"] | None
    label: int | None
    reason: str = ""
    traits: Traits = field(default_factory=Traits)


class Loaded(NamedTuple):
    """A batch of images.

    Attributes:
        indices: The index of each image in the listing.
        labels: The index of its class, -1 if unknown.
        unreadable: The files that could not be read, with the reason.
        traits: What distinguishes images from plain upright ones of 8 bits.
        targets: Where an image may have several labels, for each whether it applies: 1, 0, or -1 if unknown.
    """

    indices: Int64[Tensor, " n"]
    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    unreadable: list[tuple[str, str]]
    traits: Traits = Traits()  # noqa: RUF012, RUF100 - it is never changed
    targets: Int8[Tensor, "n k"] | None = None


class ImageData(Dataset[Sample]):
    """The images of a listing, decoded and preprocessed one by one."""

    def __init__(self, listing: Listing, labels: Labels, preprocess: Preprocess) -> None:
        self.listing = listing
        self.labels = labels
        self.preprocess = preprocess

    def __len__(self) -> int:
        return len(self.listing.names)

    def __getitem__(self, index: int) -> Sample:
        label = self.labels.indices[index]
        try:
            stored = self.stored(index)
            return Sample(index, self._tensor(index, stored), label, traits=Traits.of([stored]))
        except Unreadable as error:
            return Sample(index, None, label, error.reason)

    def stored(self, index: int) -> Stored:
        """Return an image as it is in its file.

        Raises:
            Unreadable: The file can't be read, or it is not the one that was listed.
        """
        source, bands = self.listing.source, self.preprocess.bands
        path, read = source.path(index), partial(source.content, index, most=LARGEST)
        if isinstance(source, Decoded):
            stored = _in_memory(source, index)
        else:
            stored = load(path, bands=bands, digest=self.listing.digests[index], read=read)
        if bands is not None and stored.bands != bands:
            raise Unreadable(path, _wrong_bands(stored.bands, bands))
        return stored

    def decoded(self, index: int) -> Image.Image:
        """Return an image in RGB and in its own size, as the report shows it.

        Raises:
            Unreadable: As from `stored`.
        """
        try:
            return self.preprocess.picture(self.stored(index))
        except Refused as error:
            raise Unreadable(self.listing.source.path(index), str(error)) from error

    def _tensor(self, index: int, stored: Stored) -> Float[Tensor, "c h w"]:
        path = self.listing.source.path(index)
        old = stored.size(exif=self.preprocess.exif)
        width, height = resized_size(old, self.preprocess.resize)
        if width * height * (1 if stored.bands <= 4 else stored.bands) > MAX_PIXELS or not min(width, height):
            raise Unreadable(path, f"too large after resizing: {old[0]} x {old[1]} pixels become {width} x {height}")
        try:
            return self.preprocess.prepared(stored)
        except Refused as error:
            raise Unreadable(path, str(error)) from error

    def collate(self, samples: Sequence[Sample]) -> Loaded:
        """Return samples as one batch; it has no images if none could be read."""
        read = [(s.index, s.tensor, UNKNOWN if s.label is None else s.label) for s in samples if s.tensor is not None]
        return Loaded(
            torch.tensor([index for index, _, _ in read], dtype=torch.int64),
            torch.stack([tensor for _, tensor, _ in read]) if read else torch.empty(0, *self.preprocess.input_shape),
            torch.tensor([label for _, _, label in read], dtype=torch.int64),
            [(self.listing.names[s.index], s.reason) for s in samples if s.tensor is None],
            sum((s.traits for s in samples), Traits()),
            self._targets([index for index, _, _ in read]),
        )

    def _targets(self, indices: Sequence[int]) -> Int8[Tensor, "n k"] | None:
        rows = [row for index in indices if (row := self.labels.targets(index)) is not None]
        if not self.labels.sets:
            return None
        return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, len(self.labels.classes), dtype=torch.int8)


def _in_memory(source: Decoded, index: int) -> Stored:
    try:
        return source.stored(index)
    except Refused as error:
        raise Unreadable(source.path(index), str(error)) from error


def _wrong_bands(found: int, expected: int) -> str:
    return many(
        "has {count} channel; the network takes {expected}",
        "has {count} channels; the network takes {expected}",
        found,
        expected=expected,
    )


def loader(
    data: ImageData,
    *,
    batch_size: int,
    workers: int = 0,
    pin: bool = False,
    indices: Sequence[int] | None = None,
    first: int = 0,
    every: int = 1,
    note: Callable[[str], None] = lambda sentence: None,
) -> Iterable[Loaded]:
    """Return the batches, in the order of the listing or of `indices`.

    Args:
        workers: The number of processes that decode; 0 decodes in this process. They are started by a
            server process without threads and GPU, so a script that uses them needs Python's usual
            `if __name__ == "__main__":`.
        pin: Put batches into pinned memory, from which a GPU copies faster.
        indices: Load only these images.
        first, every: Load only the batch number `first` and every `every`-th batch after it.
        note: Called with a sentence if the batches are loaded otherwise than asked.
    """
    chosen: Sequence[int] = range(len(data)) if indices is None else list(indices)
    starts = range(first * batch_size, len(chosen), every * batch_size)
    parts = [list(chosen[start : start + batch_size]) for start in starts]
    return batches(data, parts, workers=workers, pin=pin, note=note)


@dataclass(frozen=True, slots=True)
class Loading:
    """How images are loaded.

    Attributes:
        batch_size: Images in a batch.
        workers: The number of processes that decode; 0 decodes in this process.
        pin: Put batches into pinned memory, from which a GPU copies faster.
    """

    batch_size: int
    workers: int
    pin: bool

"""A loader or a data set as a listing of images: gone through once, for labels, digests and the range of values."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image

from auditor.data.decoding.stored import Refused, Stored, stored_array
from auditor.data.listing import Listing, of_inventory
from auditor.data.loaders.batch import Item, Raw
from auditor.data.loaders.described import classes_of, name_of, names_of
from auditor.data.loaders.items import ORDERED, Items
from auditor.data.loaders.labels import labels_of
from auditor.data.preprocessing import Preprocess, preset
from auditor.data.sources import Inventory
from auditor.errors import DataError, UsageError
from auditor.language import _, marked

_DEEP: Final = ("I", "F")  # Pillow's modes of more than 8 bits
_SHOWING: Final = ("mean", "std", "scale", "color", "channels", "show", "invert")

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the first pass found.

    Attributes:
        shape: Channels, rows and columns of tensors; None for pictures, which the audit preprocesses.
        low, high: The lowest and the highest value of the tensors.
    """

    name: str
    listing: Listing
    shape: Shape | None
    low: float = 0.0
    high: float = 1.0

    def preprocess(self, asked: Mapping[str, Any] | str | None) -> Preprocess | None:
        """Return the preprocessing of tensors: none is left to do, and mean and std serve the pictures.

        Args:
            asked: The settings of the user, who may give the mean and std that the loader applies.

        Raises:
            UsageError: They ask for steps that the loader has already made.
        """
        if self.shape is None:
            return None
        keys = preset(asked).settings() if isinstance(asked, str) else dict(asked or {})
        made = [key for key in keys if key not in _SHOWING] if not isinstance(asked, str) else []
        if made:
            raise UsageError(
                f"preprocess has the key {made[0]!r}, but the data give tensors, which are used unchanged; for the "
                f"pictures it may have: {', '.join(_SHOWING)}"
            )
        showing: dict[str, Any] = {key: keys[key] for key in _SHOWING if key in keys}
        return self._shown(showing, bool(showing.keys() & {"mean", "std"}))

    def _shown(self, showing: Mapping[str, Any], normalised: bool) -> Preprocess:
        assert self.shape is not None  # noqa: S101 - the caller has looked
        channels, *sides = self.shape
        own = {} if "color" in showing else {"channels": channels}
        found = replace(Preprocess.of({**own, **showing, "resize": None, "crop": sides}), applied=True)
        if len(found.mean) != channels:
            raise UsageError(f"preprocess is for {len(found.mean)} channels, but the data give {channels}")
        if normalised:
            return replace(found, source=marked("applied by the data; the pictures are shown by mean and std"))
        low, high = (0.0, 1.0) if self.low >= 0 and self.high <= 1 else (self.low, self.high)
        width = (high - low) or 1.0
        said = _("applied by the data; the pictures show {low:.3g} as black, {high:.3g} as white", low=low, high=high)
        return replace(found, scale=1, mean=(-low / width,) * channels, std=(1 / width,) * channels, source=said)


@dataclass
class _Survey:
    """The first pass."""

    labels: list[Any] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    shape: Shape | None = None
    low: float = math.inf
    high: float = -math.inf

    def see(self, item: Item) -> None:
        image = _ready(item.image)
        shape = None if isinstance(image, Image.Image) else (image.shape[0], image.shape[1], image.shape[2])
        if self.digests and shape != self.shape:
            raise DataError(
                f"the data give images of {_size(self.shape)} and of {_size(shape)}; expected one size, as the network "
                "takes it"
            )
        self.shape = shape
        self.labels.append(item.label)
        self.digests.append(digest(image))
        if not isinstance(image, Image.Image) and image.numel():
            low, high = (float(value) for value in torch.aminmax(image))
            if math.isfinite(low) and math.isfinite(high):
                self.low, self.high = min(self.low, low), max(self.high, high)


def loaded(data: Any, *, several: bool = False, seen: Callable[[int], None] | None = None) -> Loaded:
    """Go through a loader or a data set once, and return its images as a listing.

    Args:
        data: A DataLoader, any other iterable of batches that can be read again, or a Dataset.
        several: An image may have several labels.
        seen: Called with each number of images that were read.

    Raises:
        DataError: It can't be read again in the same order, or what it gives are no images of one size.
    """
    items, survey = Items(data), _Survey()
    for item in items:
        survey.see(item)
        if seen:
            seen(1)
    if not survey.digests:
        raise DataError(f"data is a {name_of(data)} without images")
    count = len(survey.digests)
    items.verify(lambda index, item: digest(_ready(item.image)) == survey.digests[index], count)
    names = names_of(data, count)
    source = LoadedImages(items, names, survey.digests)
    inventory = Inventory(source, names, labels_of(survey.labels, several=several), class_names=classes_of(data))
    found = Loaded(name_of(data), of_inventory(name_of(data), inventory), survey.shape)
    return found if math.isinf(survey.low) else replace(found, low=survey.low, high=survey.high)


class LoadedImages:
    """The images of a loader as a source: each is compared with the one of the first pass."""

    def __init__(self, items: Items, names: Sequence[str], digests: Sequence[str]) -> None:
        self._items, self._names = items, names
        self.digests = tuple(digests)

    def __len__(self) -> int:
        return len(self._names)

    def path(self, index: int) -> Path:
        return Path(self._names[index])

    def content(self, index: int, *, most: int) -> bytes:
        return _bytes(self._image(index))

    def stored(self, index: int) -> Stored:
        """Return an image as the data give it.

        Raises:
            Refused: It has values that are not finite.
            DataError: It is not the one of the first pass.
        """
        image = self._image(index)
        if not isinstance(image, Image.Image):
            values = image.permute(1, 2, 0).numpy()
            if not np.isfinite(values).all():
                raise Refused(_("has pixels that are NaN or infinite"))
            return Stored(values=values)
        if image.mode in _DEEP or image.mode.startswith("I;"):
            return stored_array(np.asarray(image)[..., None])
        return Stored(picture=image)

    def _image(self, index: int) -> Raw:
        image = _ready(self._items[index].image)
        if digest(image) != self.digests[index]:
            raise DataError(f"the data give another image {index} in a later pass; {ORDERED}")
        return image


def digest(image: Raw) -> str:
    """Return SHA-256 over the values of an image."""
    return hashlib.sha256(_bytes(image)).hexdigest()


def _bytes(image: Raw) -> bytes:
    if isinstance(image, Image.Image):
        return f"{image.mode} {image.size}".encode() + image.tobytes()
    return image.contiguous().numpy().tobytes()


def _ready(image: Raw) -> Raw:
    """Return a tensor in float32 on the CPU; a picture is returned unchanged.

    Raises:
        DataError: The values are no floats.
    """
    if isinstance(image, Image.Image):
        return image
    if not image.is_floating_point():
        raise DataError(
            f"the data give images of {str(image.dtype).removeprefix('torch.')}; expected floats that are preprocessed "
            "as the network takes them, or pictures of Pillow"
        )
    return image.detach().to("cpu", torch.float32)


def _size(shape: Shape | None) -> str:
    return "pictures" if shape is None else " x ".join(map(str, shape))

"""What a loader or a data set gives at once, taken apart into single images and their labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from auditor.errors import DataError
from auditor.language import short

IMAGES: Final = ("pixel_values", "image", "images", "img", "x", "inputs")
LABELS: Final = ("labels", "label", "target", "targets", "y", "class")

_EXPECTED: Final = "expected images, (images, labels), or a dict with such keys as 'pixel_values' and 'labels'"

Raw = Tensor | Image.Image


class Item(NamedTuple):
    """One image, `[c, h, w]` or a picture, and its label: a number, a name, a row of marks, or None."""

    image: Raw
    label: Any


def items(given: Any) -> Iterator[Item]:
    """Yield the images of a batch; what is a single image gives one.

    Raises:
        DataError: It has no images, or another number of labels.
    """
    images, labels = _parts(given)
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(images)
    if isinstance(images, Image.Image) or (isinstance(images, Tensor) and images.ndim == 3):
        yield Item(images, _plain(labels))
        return
    if not isinstance(images, list | tuple) and not (isinstance(images, Tensor) and images.ndim == 4):
        raise DataError(f"the data give {_named(images)} for images; expected a tensor [n, c, h, w] or [c, h, w]")
    each = _each(labels, len(images))
    yield from (Item(_image(image), _plain(label)) for image, label in zip(images, each, strict=True))


def _image(one: Any) -> Raw:
    found = torch.from_numpy(one) if isinstance(one, np.ndarray) else one
    if isinstance(found, Image.Image) or (isinstance(found, Tensor) and found.ndim == 3):
        return found
    raise DataError(f"the data give {_named(found)} for an image; expected a tensor [c, h, w] or a picture of Pillow")


def _parts(given: Any) -> tuple[Any, Any]:
    """Return the images and the labels, None for none."""
    if isinstance(given, Tensor | np.ndarray | Image.Image):
        return given, None
    if isinstance(given, Mapping):
        return _by_key(given)
    if isinstance(given, list | tuple) and given and all(isinstance(one, Image.Image) for one in given):
        return given, None
    if isinstance(given, list | tuple) and len(given) == 1:
        return given[0], None
    if isinstance(given, list | tuple) and len(given) == 2:
        return given[0], given[1]
    raise DataError(f"the data give {_named(given)}; {_EXPECTED}")


def _by_key(given: Mapping[str, Any]) -> tuple[Any, Any]:
    image = next((key for key in IMAGES if key in given), None)
    if image is None:
        raise DataError(f"the data give a dict with the keys {short(', '.join(map(str, given)), 80)}; {_EXPECTED}")
    label = next((key for key in LABELS if key in given), None)
    return given[image], None if label is None else given[label]


def _each(labels: Any, count: int) -> Sequence[Any]:
    """Return a label for each image."""
    if labels is None:
        return [None] * count
    if not isinstance(labels, Tensor | np.ndarray | list | tuple) or len(labels) != count:
        raise DataError(f"the data give {_named(labels)} for the labels of {count} images; expected one for each")
    return list(labels)


def _plain(label: Any) -> Any:
    """Return a label as a number, a name, or a list of numbers or names."""
    found = label.detach().cpu().tolist() if isinstance(label, Tensor) else label
    found = found.tolist() if isinstance(found, np.ndarray | np.generic) else found
    return found[0] if isinstance(found, list) and len(found) == 1 else found


def _named(given: Any) -> str:
    if isinstance(given, Tensor | np.ndarray):
        return f"an array of the shape {list(given.shape)}"
    size = f" of {len(given)}" if isinstance(given, list | tuple) else ""
    return f"a {type(given).__name__}{size}"

"""Alternative preprocessing: the usual ways that differ from the declared one, and those that the files call for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from auditor.data.decoding.traits import Traits
from auditor.data.preprocess_keys import BANDS
from auditor.data.preprocessing import Preprocess
from auditor.data.resizing import AREA
from auditor.language import marked

_PLAIN: Final = Traits()
_SAME = 0.02  # of the range from black to white
_TWELVE_BITS: Final = (0.0, 4095.0)
_REFLECTANCE: Final = (0.0, 10000.0)  # as in the products of Sentinel-2
_SIXTEEN_BITS: Final = (0.0, 65535.0)


@dataclass(frozen=True, slots=True)
class Alternative:
    """One alternative preprocessing.

    Attributes:
        name: Its difference from the declared one, to be translated.
        of_files: The files themselves call for it: they have an orientation, transparency or 16 bits.
    """

    name: str
    preprocess: Preprocess
    of_files: bool = False


def alternatives(declared: Preprocess, traits: Traits = _PLAIN) -> tuple[Alternative, ...]:
    """Return the usual alternatives, each of which differs from the declared preprocessing in one respect.

    They differ in what is made of the files' orientation, transparency and range, in the range of the values, their
    inversion, the colours, or the resizing. All give images of the size that the network takes.

    Args:
        traits: What is special about the files.
    """
    found: list[Alternative] = []
    ways = (*_of_files(declared, traits), *_of_numbers(declared), _inverted(declared), *_of_colours(declared))
    for one in (*ways, *_of_sizes(declared)):
        if not any(_same(one.preprocess, other) for other in (declared, *(one.preprocess for one in found))):
            found.append(one)
    return tuple(found)


def _of_files(declared: Preprocess, traits: Traits) -> Iterator[Alternative]:
    if "orientation" in traits:
        left = marked("images left as stored, not turned by their orientation")
        upright = marked("images turned upright by their orientation")
        yield Alternative(left if declared.exif else upright, replace(declared, exif=not declared.exif), True)
    if "transparency" in traits and declared.color != BANDS:
        yield Alternative(marked("transparency dropped"), replace(declared, alpha="drop"), True)
        yield Alternative(marked("transparent pixels on black"), replace(declared, alpha="black"), True)
        yield Alternative(marked("transparent pixels on white"), replace(declared, alpha="white"), True)
    if "16 bits" in traits and declared.scale in (1, 255):
        yield Alternative(marked("range 0 to 4,095, as of 12 bits"), replace(declared, limits=_TWELVE_BITS), True)
        reflectance = replace(declared, limits=_REFLECTANCE)
        yield Alternative(marked("range 0 to 10,000, as of reflectances"), reflectance, True)
        yield Alternative(marked("range 0 to 65,535, as of 16 bits"), replace(declared, limits=_SIXTEEN_BITS), True)
        stored = _with(replace(declared, limits=_SIXTEEN_BITS), scale=65535, mean=0.0, std=1.0)
        yield Alternative(marked("values of 16 bits as they are, without mean and std"), stored, True)


def _of_numbers(declared: Preprocess) -> Iterator[Alternative]:
    yield Alternative(marked("0 to 255, without mean and std"), _with(declared, scale=255, mean=0.0, std=1.0))
    yield Alternative(marked("0 to 1, without mean and std"), _with(declared, scale=1, mean=0.0, std=1.0))
    if declared.color != BANDS:
        yield Alternative(marked("0 to 1, then ImageNet's mean and std"), _with(declared, scale=1))
    yield Alternative(marked("-1 to 1"), _with(declared, scale=1, mean=0.5, std=0.5))
    if declared.color == "gray":
        mnist = _with(declared, scale=1, mean=0.1307, std=0.3081)
        yield Alternative(marked("0 to 1, then the mean and std of MNIST"), mnist)
    elif declared.color != BANDS:
        usual = Preprocess.of({"color": "bgr", "scale": 255})
        caffe = replace(declared, color="bgr", scale=255, mean=usual.mean, std=(1.0,) * 3)
        yield Alternative(marked("BGR, 0 to 255 minus ImageNet's mean, as in Caffe"), caffe)


def _with(declared: Preprocess, **numbers: int | float) -> Preprocess:
    kept = {key: value for key, value in declared.settings().items() if key not in ("mean", "std")}
    return Preprocess.of(kept | numbers)


def _inverted(declared: Preprocess) -> Alternative:
    """Return the negative: digits are white on black in some data sets, and black on white in others."""
    name = marked("pixel values not inverted") if declared.invert else marked("pixel values inverted, as in a negative")
    return Alternative(name, replace(declared, invert=not declared.invert))


def _of_colours(declared: Preprocess) -> Iterator[Alternative]:
    other = {"rgb": "bgr", "bgr": "rgb"}.get(declared.color)
    if other:
        turned = replace(declared, color=other, mean=declared.mean[::-1], std=declared.std[::-1])
        name = marked("BGR instead of RGB") if other == "bgr" else marked("RGB instead of BGR")
        yield Alternative(name, turned)
        # This happens if one library decodes in training and another one later, with the same mean and std.
        exchanged = marked("red and blue exchanged, mean and std unchanged")
        yield Alternative(exchanged, replace(declared, color=other))


def _of_sizes(declared: Preprocess) -> Iterator[Alternative]:
    crop = declared.crop
    yield Alternative(marked("the whole image squashed, no crop"), replace(declared, resize=crop))
    yield Alternative(marked("shorter side resized to the crop"), replace(declared, resize=max(crop)))
    wider = replace(declared, resize=round(max(crop) / 0.875))
    yield Alternative(marked("shorter side resized to 8/7 of the crop"), wider)
    if declared.resize is None:
        return  # without a resize nothing is interpolated
    if declared.interpolation == "bilinear":
        yield Alternative(marked("bicubic interpolation"), replace(declared, interpolation="bicubic"))
    else:
        yield Alternative(marked("bilinear interpolation"), replace(declared, interpolation="bilinear"))
    usual = replace(declared, interpolation="bilinear")
    if declared.antialias:
        unfiltered = marked("bilinear interpolation without antialiasing, as in OpenCV")
        yield Alternative(unfiltered, replace(usual, antialias=False))
    else:
        yield Alternative(marked("bilinear interpolation with antialiasing"), replace(usual, antialias=True))
    nearest = marked("nearest-neighbour interpolation")
    yield Alternative(nearest, replace(declared, interpolation="nearest", antialias=True))
    yield Alternative(marked("area interpolation"), replace(declared, interpolation=AREA, antialias=True))


def _same(first: Preprocess, second: Preprocess) -> bool:
    """Return whether two preprocessings give nearly the same values."""
    if any(getattr(first, key) != getattr(second, key) for key in _APART):
        return False
    levels, others = _black_and_white(first), _black_and_white(second)
    return bool(np.abs(levels - others).max() <= _SAME * np.ptp(others, axis=0).min())


_APART: Final = ("resize", "crop", "color", "interpolation", "limits", "exif", "alpha", "antialias")


def _black_and_white(preprocess: Preprocess) -> NDArray[np.float64]:
    """Return the values of black and of full intensity, `[2, c]`."""
    levels = np.array([[0.0], [preprocess.scale]])[:: -1 if preprocess.invert else 1]
    return np.asarray((levels - np.array(preprocess.mean)) / np.array(preprocess.std))

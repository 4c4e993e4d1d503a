"""Preprocessing: from a decoded image to the network's input, and exactly back.

The order of the steps is torchvision's: colour, resize, centre crop, optional inversion, scale, mean and std.
With the settings of a torchvision or timm network the tensor is equal to theirs bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from auditor.data.resizing import Box, centre_crop, crop_offset, resized_size
from auditor.errors import UsageError, did_you_mean
from auditor.language import _, marked

INTERPOLATIONS: Final = {mode.name.lower(): mode for mode in Image.Resampling}
COLORS: Final = ("rgb", "bgr", "gray")
LARGEST_SIDE: Final = 8192
LARGEST_INPUT: Final = 2**26  # bytes of one image in float32: 2,364 pixels square in three channels
_LARGEST_SCALE: Final = 1e6  # of mean and std, and the inverse of the smallest std

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_KEYS = ("resize", "crop", "mean", "std", "scale", "color", "interpolation", "invert")


@dataclass(frozen=True, slots=True)
class Preprocess:
    """The steps before the network.

    Attributes:
        resize: The shorter side in pixels, `(rows, columns)` exactly, or None to leave the size.
        crop: `(rows, columns)` from the centre, padded with black if the image is smaller.
        mean, std: By channel, in the network's order, for pixels from 0 to `scale`.
        scale: The value of full intensity before mean and std, 1 or 255.
        color: `rgb`, `bgr`, or `gray` (one channel, ITU-R 601 luma).
        invert: Dark and light are exchanged, as in a negative, before mean and std.
        source: Where these values come from.
        assumed: The values are not declared anywhere; they are the usual ones.
    """

    resize: int | tuple[int, int] | None = 256
    crop: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = _MEAN
    std: tuple[float, ...] = _STD
    scale: int = 1
    color: str = "rgb"
    interpolation: str = "bilinear"
    invert: bool = False
    source: str = ""
    assumed: bool = False

    @classmethod
    def of(cls, mapping: Mapping[str, Any], *, source: str = "", assumed: bool = False) -> Preprocess:
        """Return the preprocessing that the keys of `[preprocess]` describe.

        Missing keys have the values of ImageNet: a crop of 224, which is 7/8 of the resized shorter side, and
        mean and std in the chosen scale and channel order. With `resize` alone the crop is the whole square.

        Raises:
            UsageError: A key is unknown, or its value has the wrong type, length or size.
        """
        for key in mapping:
            if key not in _KEYS:
                raise UsageError(f"preprocess has no key {key!r}; it has: {', '.join(_KEYS)}{did_you_mean(key, _KEYS)}")
        color = _one_of("color", mapping.get("color", "rgb"), COLORS)
        scale = _one_of("scale", mapping.get("scale", 1), (1, 255))
        resize, crop = _sizes(mapping)
        mean, std = _usual(color, scale)
        _refuse_large(crop, len(mean))
        return cls(
            resize=resize,
            crop=crop,
            mean=_channels("mean", mapping.get("mean", mean), len(mean)),
            std=_positive("std", _channels("std", mapping.get("std", std), len(std))),
            scale=int(scale),
            color=color,
            interpolation=_one_of("interpolation", mapping.get("interpolation", "bilinear"), tuple(INTERPOLATIONS)),
            invert=_flag("invert", mapping.get("invert", False)),
            source=source,
            assumed=assumed,
        )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the network's input."""
        return (len(self.mean), *self.crop)

    @property
    def bounds(self) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
        """The input values of the lowest and of the highest intensity, `[c]` each."""
        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        return -mean / std, (self.scale - mean) / std

    def settings(self) -> dict[str, Any]:
        """Return the keys of `[preprocess]`, `invert` only if set; `of` gives the same preprocessing for them."""
        return {key: getattr(self, key) for key in _KEYS if key != "invert" or self.invert}

    def crop_of(self, image: Image.Image) -> Image.Image:
        """Return the 8-bit pixels that the network sees: RGB, or L where `color` is gray."""
        image = image.convert("L" if self.color == "gray" else "RGB")
        width, height = resized_size(image.size, self.resize)
        if (width, height) != image.size:
            image = image.resize((width, height), INTERPOLATIONS[self.interpolation])
        return centre_crop(image, self.crop)

    def tensor(self, image: Image.Image) -> Float[Tensor, "c h w"]:
        """Return the network's input for a decoded image."""
        levels = np.array(self.crop_of(image))  # h w 3, or h w
        if self.invert:
            levels = 255 - levels
        channels = torch.from_numpy(np.atleast_3d(levels)).permute(2, 0, 1).contiguous()
        if self.color == "bgr":
            channels = channels.flip(0)
        scaled = channels.float() / 255 if self.scale == 1 else channels.float()
        return scaled.sub_(_column(self.mean)).div_(_column(self.std))

    def pixels(self, images: Float[Tensor, "n c h w"]) -> UInt8[np.ndarray, "n h w 3"]:
        """Return the RGB pixels of input tensors: the inverse of `tensor` after the crop."""
        mean, std = _column(self.mean, torch.float64), _column(self.std, torch.float64)
        scaled = images.detach().cpu().double() * std + mean
        levels = (scaled * (255 / self.scale)).round().clamp(0, 255).to(torch.uint8)
        if self.invert:
            levels = 255 - levels
        rgb = levels.flip(1) if self.color == "bgr" else levels.expand(-1, 3, -1, -1)
        return rgb.permute(0, 2, 3, 1).contiguous().numpy()

    def box_in_original(self, size: tuple[int, int], box: Box) -> Box:
        """Return the box in the decoded image for a box in the network's input.

        Args:
            size: Width and height of the decoded image.
            box: Left, top, right, bottom in pixels of the input; edges, not pixel centres.
        """
        resized = resized_size(size, self.resize)
        (left, top), (across, down) = crop_offset(resized, self.crop), (size[0] / resized[0], size[1] / resized[1])
        return ((box[0] + left) * across, (box[1] + top) * down, (box[2] + left) * across, (box[3] + top) * down)


IMAGENET: Final = Preprocess(source=marked("ImageNet's usual preprocessing"))

_PRESETS: Final = {
    "imagenet": IMAGENET,
    "imagenet-inception": replace(IMAGENET, mean=(0.5,) * 3, std=(0.5,) * 3),
    "raw255": replace(IMAGENET, mean=(0.0,) * 3, std=(1.0,) * 3, scale=255),
    "unit": replace(IMAGENET, mean=(0.0,) * 3, std=(1.0,) * 3),
}


def preset(name: str) -> Preprocess:
    """Return the preprocessing of a preset.

    Raises:
        UsageError: There is no preset of that name.
    """
    if name not in _PRESETS:
        hint = did_you_mean(name, _PRESETS)
        raise UsageError(f"there is no preset {name!r}; the presets are: {', '.join(_PRESETS)}{hint}")
    return replace(_PRESETS[name], source=_("preset {name}", name=name))


def _usual(color: str, scale: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return ImageNet's mean and std for this scale and order of channels."""
    mean, std = np.array(_MEAN) * scale, np.array(_STD) * scale
    if color == "gray":
        mean, std = mean.mean(keepdims=True), std.mean(keepdims=True)
    order = -1 if color == "bgr" else 1
    return tuple(mean[::order].tolist()), tuple(std[::order].tolist())


def _sizes(mapping: Mapping[str, Any]) -> tuple[int | tuple[int, int] | None, tuple[int, int]]:
    resize = _resize(mapping["resize"]) if "resize" in mapping else None
    crop = _crop(mapping["crop"]) if mapping.get("crop") is not None else None
    if crop is None:
        crop = (224, 224) if resize is None else _pair(resize)
    if "resize" not in mapping:
        resize = round(max(crop) / 0.875)
    if resize is not None and any(c > r for c, r in zip(crop, _pair(resize), strict=True)):
        raise UsageError(f"preprocess.crop {_shown(crop)} is larger than preprocess.resize {_shown(resize)}")
    return resize, crop


def _resize(value: Any) -> int | tuple[int, int] | None:
    if value is None or value is False or value == "none":
        return None
    return _side("resize", value) if isinstance(value, int) else _sides("resize", value)


def _crop(value: Any) -> tuple[int, int]:
    return _pair(_side("crop", value)) if isinstance(value, int) else _sides("crop", value)


def _sides(key: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) not in (1, 2):
        raise UsageError(f"preprocess.{key} is {value!r}, but has to be a number of pixels or [rows, columns]")
    return _side(key, value[0]), _side(key, value[-1])


def _side(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= LARGEST_SIDE:
        raise UsageError(f"preprocess.{key} is {value!r}, but has to be a whole number from 1 to {LARGEST_SIDE}")
    return value


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _refuse_large(crop: tuple[int, int], channels: int) -> None:
    size = crop[0] * crop[1] * channels * 4
    if size > LARGEST_INPUT:
        raise UsageError(
            f"preprocess.crop {_shown(crop)} takes {size:,} bytes for each image; expected at most {LARGEST_INPUT:,}"
        )


def _shown(size: int | tuple[int, int]) -> str:
    return " x ".join(map(str, _pair(size)))


def _channels(key: str, value: Any, channels: int) -> tuple[float, ...]:
    numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if len(numbers) not in (1, channels) or not all(_is_number(number) for number in numbers):
        wanted = "a number" if channels == 1 else f"{channels} numbers, one a channel, or one for all"
        raise UsageError(f"preprocess.{key} is {value!r}, but has to be {wanted}")
    return tuple(float(number) for number in numbers) * (channels // len(numbers))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST_SCALE


def _positive(key: str, values: tuple[float, ...]) -> tuple[float, ...]:
    if min(values) < 1 / _LARGEST_SCALE:
        raise UsageError(f"preprocess.{key} is {list(values)}, but has to be over 0: every channel is divided by it")
    return values


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"preprocess.{key} is {value!r}, but has to be true or false")
    return value


def _one_of(key: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    if value not in allowed or isinstance(value, bool):
        hint = did_you_mean(value, map(str, allowed)) if isinstance(value, str) else ""
        raise UsageError(f"preprocess.{key} is {value!r}, but has to be {' or '.join(map(repr, allowed))}{hint}")
    return value


def _column(values: tuple[float, ...], dtype: torch.dtype = torch.float32) -> Float[Tensor, "c 1 1"]:
    return torch.tensor(values, dtype=dtype).view(-1, 1, 1)

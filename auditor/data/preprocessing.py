"""Preprocessing: from a stored image to the network's input, and exactly back.

The order of the steps is torchvision's: orientation, transparency, colour, resize, centre crop, optional inversion,
scale, mean and std. With the settings of a torchvision or timm network the tensor is equal to theirs bit for bit.
Images of 8 bits stay in 8 bits up to the crop, as there. All others are computed in float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image
from torch import Tensor

from auditor.data import channels
from auditor.data.decoding.stored import Alpha, Stored
from auditor.data.preprocess_keys import BANDS, KEYS, MEAN, STD, fields
from auditor.data.resizing import Box, centre_crop, crop_offset, resized, resized_planes, resized_size
from auditor.errors import UsageError, did_you_mean
from auditor.language import _, marked

_ALWAYS: Final = ("resize", "crop", "mean", "std", "scale", "color", "interpolation")
_LEFT_OUT: Final = {"invert": False, "show": (), "range": None, "exif": True, "alpha": "white", "antialias": True}


@dataclass(frozen=True, slots=True)
class Preprocess:
    """The steps before the network.

    Attributes:
        resize: The shorter side in pixels, `(rows, columns)` exactly, or None to leave the size.
        crop: `(rows, columns)` from the centre, padded with black if the image is smaller.
        mean, std: By channel, in the network's order, for pixels from 0 to `scale`.
        scale: The value of full intensity before mean and std: 1, 255, or its value in the file.
        color: `rgb`, `bgr`, `gray` (one channel, ITU-R 601 luma), or `bands` for another number of channels.
        invert: Dark and light are exchanged, as in a negative, before mean and std.
        show: The channels that are red, green and blue in pictures, or one that is grey; () for the usual ones.
        limits: The values of black and of full intensity in files of other types than 8 bits; None for those of the
            type.
        exif: The image is turned upright.
        alpha: What transparent pixels are put on, or `drop` for the colours that they have in the file.
        antialias: Pixels are averaged when the image is shrunk, as Pillow does and OpenCV does not.
        white: The share of full intensity that is white in pictures.
        source: Where these values come from.
        assumed: The values are not declared anywhere; they are the usual ones.
        applied: The data are tensors that are preprocessed already. They are used unchanged; mean, std and scale serve
            the pictures only.
    """

    resize: int | tuple[int, int] | None = 256
    crop: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    scale: int = 1
    color: str = "rgb"
    interpolation: str = "bilinear"
    invert: bool = False
    show: tuple[int, ...] = ()
    limits: tuple[float, float] | None = None
    exif: bool = True
    alpha: Alpha = "white"
    antialias: bool = True
    white: float = 1.0
    source: str = ""
    assumed: bool = False
    applied: bool = False

    @classmethod
    def of(cls, mapping: Mapping[str, Any], *, source: str = "", assumed: bool = False) -> Preprocess:
        """Return the preprocessing that the keys of `[preprocess]` describe.

        Missing keys have the values of ImageNet: a crop of 224, which is 7/8 of the resized shorter side, and
        mean and std in the chosen scale and channel order. With `resize` alone the crop is the whole square.
        For other channels than grey and colours, mean is 0 and std is 1.

        Raises:
            UsageError: A key is unknown, or its value has the wrong type, length or size.
        """
        return cls(**fields(mapping), source=source, assumed=assumed)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of the network's input."""
        return (len(self.mean), *self.crop)

    @property
    def bands(self) -> int | None:
        """The number of bands that a file must have; None for grey and colours, which are made of each other."""
        return len(self.mean) if self.color == BANDS else None

    @property
    def shown(self) -> tuple[int, ...]:
        """The channels that are red, green and blue in pictures, or the one that is grey."""
        usual = {"gray": (0,), "rgb": (0, 1, 2), "bgr": (2, 1, 0)}.get(self.color)
        return self.show or usual or ((0, 1, 2) if len(self.mean) > 2 else (0,))

    @property
    def bounds(self) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
        """The input values of the lowest and of the highest intensity, `[c]` each."""
        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        return -mean / std, (self.scale - mean) / std

    def settings(self) -> dict[str, Any]:
        """Return the keys of `[preprocess]`, the rare ones only if set; `of` gives the same preprocessing for them."""
        if self.applied:
            return {"applied": True, **self._settings()}
        return self._settings()

    def _settings(self) -> dict[str, Any]:
        every = {key: self.limits if key == "range" else getattr(self, key, None) for key in KEYS}
        kept = {key: value for key, value in every.items() if key in _ALWAYS or value != _LEFT_OUT.get(key)}
        if self.color == BANDS:
            del kept["color"]
            kept["channels"] = len(self.mean)
        return kept

    def prepared(self, stored: Stored) -> Float[Tensor, "c h w"]:
        """Return the network's input for an image as it is stored.

        Raises:
            Refused: Nothing says what full intensity is in the file.
        """
        if self.applied:
            return torch.from_numpy(np.ascontiguousarray(stored.array.transpose(2, 0, 1)))
        if (picture := self._picture(stored)) is not None:
            return self.tensor(picture)
        planes = channels.of_network(self._planes(stored), self.color, alpha=stored.alpha, ground=self.alpha)
        size = resized_size((planes.shape[2], planes.shape[1]), self.resize)
        planes = resized_planes(planes, size, self.interpolation, antialias=self.antialias)
        cropped = torch.from_numpy(channels.cropped(planes, self.crop))
        return self._normalised((1 - cropped if self.invert else cropped) * self.scale)

    def picture(self, stored: Stored) -> Image.Image:
        """Return an image in RGB, in its own size, as the report shows it.

        Raises:
            Refused: As from `prepared`.
        """
        if self.applied:
            return Image.fromarray(self.pixels(self.prepared(stored)[None])[0])
        if stored.picture is not None and self.color != BANDS and not self.show:
            return stored.photograph(exif=self.exif, alpha=self.alpha)
        planes = channels.of_network(self._planes(stored), self.color, alpha=stored.alpha, ground=self.alpha)
        return Image.fromarray(np.ascontiguousarray(self._levels(planes[None])[0]))

    def _picture(self, stored: Stored) -> Image.Image | None:
        """Return the picture of 8 bits that is resized; None if the image is computed in float32."""
        if stored.picture is None:
            return None
        if self.color != BANDS:
            return stored.photograph(exif=self.exif, alpha=self.alpha)
        return stored.turned(stored.plain, exif=self.exif)

    def _planes(self, stored: Stored) -> Float32[np.ndarray, "c h w"]:
        upright = channels.turned(stored.shares(self.limits), stored.orientation if self.exif else 1)
        return np.ascontiguousarray(upright.transpose(2, 0, 1))

    def crop_of(self, image: Image.Image) -> Image.Image:
        """Return the 8-bit pixels that the network sees: RGB, L where `color` is gray, or all bands of the image."""
        if self.color != BANDS:
            image = image.convert("L" if self.color == "gray" else "RGB")
        size = resized_size(image.size, self.resize)
        return centre_crop(resized(image, size, self.interpolation, antialias=self.antialias), self.crop)

    def tensor(self, image: Image.Image) -> Float[Tensor, "c h w"]:
        """Return the network's input for a picture of 8 bits."""
        levels = np.array(self.crop_of(image))  # h w 3, or h w
        if self.invert:
            levels = 255 - levels
        planes = torch.from_numpy(np.atleast_3d(levels)).permute(2, 0, 1).contiguous()
        if self.color == "bgr":
            planes = planes.flip(0)
        if self.scale == 255:
            return self._normalised(planes.float())
        return self._normalised(planes.float() / 255 * self.scale if self.scale != 1 else planes.float() / 255)

    def _normalised(self, scaled: Float[Tensor, "c h w"]) -> Float[Tensor, "c h w"]:
        return scaled.sub_(_column(self.mean)).div_(_column(self.std))

    def pixels(self, images: Float[Tensor, "n c h w"]) -> UInt8[np.ndarray, "n h w 3"]:
        """Return the RGB pixels of input tensors: the inverse of `tensor` after the crop, of the shown channels."""
        mean, std = _column(self.mean, torch.float64), _column(self.std, torch.float64)
        scaled = images.detach().cpu().double() * std + mean
        shares = (scaled / self.scale).numpy()
        return self._levels(1 - shares if self.invert else shares)

    def _levels(self, shares: Float[np.ndarray, "n c h w"]) -> UInt8[np.ndarray, "n h w 3"]:
        """Return the shown channels as RGB pixels."""
        seen = shares[:, list(self.shown)] / self.white
        levels = np.rint(seen * 255).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(levels, (len(levels), 3, *levels.shape[2:])).transpose(0, 2, 3, 1))

    def box_in_original(self, size: tuple[int, int], box: Box) -> Box:
        """Return the box in the decoded image for a box in the network's input.

        Args:
            size: Width and height of the decoded image.
            box: Left, top, right, bottom in pixels of the input; edges, not pixel centres.
        """
        old = resized_size(size, self.resize)
        (left, top), (across, down) = crop_offset(old, self.crop), (size[0] / old[0], size[1] / old[1])
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


def _column(values: tuple[float, ...], dtype: torch.dtype = torch.float32) -> Float[Tensor, "c 1 1"]:
    return torch.tensor(values, dtype=dtype).view(-1, 1, 1)

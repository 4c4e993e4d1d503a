"""Preprocessing of other channels, transparency and orientation, and ways of shrinking, beside other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from auditor.data.decoding.stored import Stored
from auditor.data.image import load
from auditor.data.preprocessing import Preprocess
from auditor.errors import UsageError
from auditor.process.torchvision import torchvision

RANDOM = np.random.default_rng(0)
PHOTOGRAPH = np.asarray(Image.effect_noise((150, 100), 80).convert("RGB").resize((150, 100))) // 2 + 40
PLAIN = {"resize": [33, 47], "mean": 0, "std": 1, "scale": 255}


def levels(how: dict[str, Any], image: np.ndarray = PHOTOGRAPH) -> np.ndarray:
    return Preprocess.of(PLAIN | how).tensor(Image.fromarray(image)).permute(1, 2, 0).numpy()


@pytest.mark.parametrize(
    ("how", "opencv"),
    [
        ({"antialias": False}, cv2.INTER_LINEAR),
        ({"antialias": False, "interpolation": "bicubic"}, cv2.INTER_CUBIC),
        ({"antialias": False, "interpolation": "nearest"}, cv2.INTER_NEAREST),
        ({"interpolation": "area"}, cv2.INTER_AREA),
    ],
)
@pytest.mark.parametrize("size", [(33, 47), (50, 75), (120, 300)])
def test_images_are_resized_as_opencv_does(how: dict[str, Any], opencv: int, size: tuple[int, int]) -> None:
    expected = cv2.resize(PHOTOGRAPH.astype(np.uint8), size[::-1], interpolation=opencv)
    found = levels(how | {"resize": list(size)}, PHOTOGRAPH.astype(np.uint8))
    assert np.abs(found - expected).max() <= 1


def test_without_antialiasing_it_is_as_torchvisions_tensors_once_were() -> None:
    tensor = torch.from_numpy(PHOTOGRAPH.astype(np.uint8)).permute(2, 0, 1)
    expected = torchvision.transforms.functional.resize(tensor, [33, 47], antialias=False)
    assert np.array_equal(levels({"antialias": False}, PHOTOGRAPH.astype(np.uint8)), expected.permute(1, 2, 0).numpy())


def test_four_channels_of_8_bits_equal_torchvision_bit_for_bit() -> None:
    """Pillow shrinks colours weighted by their opacity, and so does everything that is made of it."""
    image = Image.fromarray(RANDOM.integers(0, 256, (60, 80, 4), np.uint8), "RGBA")
    functional = torchvision.transforms.functional
    expected = functional.to_tensor(functional.center_crop(functional.resize(image, 40), [32, 32]))
    ours = Preprocess.of({"channels": 4, "resize": 40, "crop": 32})
    assert torch.equal(ours.prepared(Stored(picture=image)), expected)


@pytest.mark.parametrize("bands", [1, 2, 5])
def test_bands_of_any_type_are_resized_like_pictures_without_rounding(bands: int) -> None:
    image = RANDOM.integers(0, 65536, (60, 80, bands), np.uint16)
    ours = Preprocess.of({"channels": bands, "resize": 40, "crop": [36, 40], "mean": 0, "std": 1})
    found = ours.prepared(Stored(values=image, limits=(0.0, 65535.0)))
    for plane, band in zip(found, image.transpose(2, 0, 1), strict=True):
        eight = Preprocess.of({"color": "gray", "resize": 40, "crop": [36, 40], "mean": 0, "std": 1})
        rounded = eight.tensor(Image.fromarray((band >> 8).astype(np.uint8)))[0]
        assert (plane - rounded).abs().max() < 0.01


def test_mean_and_std_of_bands_and_values_as_they_are() -> None:
    image = RANDOM.integers(0, 10_000, (8, 8, 2), np.uint16)
    ours = Preprocess.of(
        {
            "channels": 2,
            "resize": 8,
            "range": [0, 10_000],
            "scale": 10_000,
            "mean": [1353.7, 1117.2],
            "std": [65.3, 154.0],
        }
    )
    found = ours.prepared(Stored(values=image, limits=(0.0, 65535.0))).permute(1, 2, 0).numpy()
    assert np.abs(found - (image - [1353.7, 1117.2]) / [65.3, 154.0]).max() < 1e-3


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        ({"channels": 1}, (0,)),
        ({"channels": 2}, (0,)),
        ({"channels": 4}, (0, 1, 2)),
        ({"channels": 13}, (0, 1, 2)),
        ({"channels": 13, "show": [3, 2, 1]}, (3, 2, 1)),
        ({"channels": 13, "show": 7}, (7,)),
        ({"color": "bgr"}, (2, 1, 0)),
    ],
)
def test_pictures_show_the_channels_that_are_chosen(keys: dict[str, Any], shown: tuple[int, ...]) -> None:
    ours = Preprocess.of({**keys, "resize": 4, "mean": 0, "std": 1})
    images = torch.rand(2, *ours.input_shape)
    expected = (images[:, list(shown)].expand(-1, 3, -1, -1) * 255).round().permute(0, 2, 3, 1).numpy()
    assert np.array_equal(ours.pixels(images), expected)


@pytest.mark.parametrize(
    "keys", [{"channels": 13, "show": [3, 2, 1], "range": [0, 4095]}, {"exif": False}, {"alpha": "drop"}]
)
def test_the_settings_describe_the_preprocessing(keys: dict[str, Any]) -> None:
    ours = Preprocess.of(keys)
    assert Preprocess.of(ours.settings()) == ours
    assert not set(ours.settings()) & {"exif", "alpha", "antialias", "range", "show"} - set(keys)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"channels": 0}, "preprocess.channels is 0, but has to be a whole number from 1 to 1024"),
        ({"channels": 4, "color": "bgr"}, "preprocess.channels is 4, but color 'bgr' has 3; leave out one of the two"),
        ({"channels": 4, "mean": [0.1, 0.2]}, r"preprocess.mean is \[0.1, 0.2\], but has to be 4 numbers"),
        ({"mean": [0.1] * 13}, "has to be 3 numbers, one a channel, or one for all; or set channels = 13"),
        ({"channels": 13, "std": [1] * 12}, "preprocess.std is .*, but has to be 13 numbers"),
        ({"channels": 13, "show": [13, 2, 1]}, "preprocess.show is .* each from 0 to 12"),
        ({"show": [1, 2]}, r"preprocess.show is \[1, 2\], but has to be \[red, green, blue\] or one channel"),
        ({"range": [1, 0]}, r"preprocess.range is \[1, 0\], but has to be \[black, white\]: two numbers, ascending"),
        ({"range": [0, 4095], "scale": 4096}, "preprocess.scale is 4096, .* or the upper end of range, 4095"),
        ({"alpha": "grey"}, "preprocess.alpha is 'grey', but has to be 'white' or 'black' or 'drop'"),
        ({"exif": 0}, "preprocess.exif is 0, but has to be true or false"),
        (
            {"antialias": False, "interpolation": "lanczos"},
            "preprocess.antialias is false, but interpolation is 'lanczos'",
        ),
        ({"channels": 1024, "crop": 8192}, "takes 274,877,906,944 bytes for each image"),
    ],
)
def test_a_key_that_can_not_be_gets_one_clear_line(keys: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line) as caught:
        Preprocess.of(keys)
    assert "\n" not in str(caught.value)


def prepared(path: Path, **keys: Any) -> np.ndarray:
    steps = Preprocess.of({"resize": "none", "crop": [1, 2], "mean": 0, "std": 1, "scale": 255, **keys})
    return steps.prepared(load(path)).permute(1, 2, 0).numpy()[0]


@pytest.mark.parametrize(("alpha", "seen"), [("white", [255, 255, 255]), ("black", [0, 0, 0]), ("drop", [10, 20, 30])])
@pytest.mark.parametrize("deep", [False, True])
def test_transparent_pixels_are_what_is_asked(tmp_path: Path, alpha: str, seen: list[int], deep: bool) -> None:
    image = np.array([[[10, 20, 30, 0], [10, 20, 30, 255]]], np.uint16)
    values = image * 257 if deep else image.astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), values[..., [2, 1, 0, 3]])
    found = prepared(tmp_path / "a.png", alpha=alpha)
    assert np.abs(found - [seen, [10, 20, 30]]).max() < 1e-3


def test_an_orientation_is_left_as_it_is_if_training_did(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.array([[0, 200]], np.uint8)).save(tmp_path / "a.png", exif=exif)
    assert prepared(tmp_path / "a.png")[:, 0].tolist() == [200, 0]
    assert prepared(tmp_path / "a.png", exif=False)[:, 0].tolist() == [0, 200]

"""Equal to torchvision's and timm's transforms to the last bit, and invertible."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from auditor.data.filling import filling
from auditor.data.image import decode
from auditor.data.preprocessing import IMAGENET, Preprocess, preset
from auditor.errors import UsageError
from auditor.process.torchvision import torchvision

SHIPPED = Path(skimage.__file__).parent / "data"
PHOTOGRAPHS = [
    decode(SHIPPED / name)
    for name in ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "camera.png", "text.png", "horse.png")
]
ODD = [Image.effect_noise((w, h), 90).convert("RGB") for w, h in ((1, 1), (7, 300), (257, 255), (1000, 3), (225, 224))]


def described(transforms: Any) -> Preprocess:
    """Return the steps of a torchvision preset."""
    return Preprocess.of(
        {
            "resize": transforms.resize_size[0] if len(transforms.resize_size) == 1 else transforms.resize_size,
            "crop": transforms.crop_size[0],
            "mean": transforms.mean,
            "std": transforms.std,
            "interpolation": transforms.interpolation.value,
        }
    )


@pytest.mark.parametrize(
    ("network", "weights"),
    [
        ("resnet18", "ResNet18_Weights.IMAGENET1K_V1"),
        ("resnet50", "ResNet50_Weights.IMAGENET1K_V2"),
        ("efficientnet_b0", "EfficientNet_B0_Weights.IMAGENET1K_V1"),
        ("efficientnet_v2_s", "EfficientNet_V2_S_Weights.IMAGENET1K_V1"),
        ("vit_b_16", "ViT_B_16_Weights.IMAGENET1K_V1"),
        ("vit_b_16", "ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1"),
        ("inception_v3", "Inception_V3_Weights.IMAGENET1K_V1"),
    ],
)
def test_equals_torchvision_bit_for_bit(network: str, weights: str) -> None:
    transforms = torchvision.models.get_weight(weights).transforms()
    for image in PHOTOGRAPHS + ODD:
        assert torch.equal(described(transforms).tensor(image), transforms(image)), (network, image.size)


def test_every_classifier_of_torchvision_can_be_described() -> None:
    for name in torchvision.models.list_models(module=torchvision.models):
        for weights in torchvision.models.get_model_weights(name):
            assert described(weights.transforms()).input_shape[0] == 3


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "vit_tiny_patch16_224", "inception_v3", "mixnet_s"])
def test_equals_timms_evaluation_bit_for_bit(name: str) -> None:
    timm = pytest.importorskip("timm")
    config = timm.get_pretrained_cfg(name).to_dict()
    resolved = timm.data.resolve_data_config(pretrained_cfg=config)
    transform = timm.data.create_transform(**resolved)
    side = resolved["input_size"][1]
    ours = Preprocess.of(
        {
            "resize": int(side / resolved["crop_pct"]),
            "crop": side,
            "mean": resolved["mean"],
            "std": resolved["std"],
            "interpolation": resolved["interpolation"],
        }
    )
    for image in PHOTOGRAPHS:
        assert torch.equal(ours.tensor(image), transform(image)), image.size


def test_an_exact_size_is_rows_then_columns() -> None:
    image = PHOTOGRAPHS[2]
    ours = Preprocess.of({"resize": [100, 150]})
    resized = torchvision.transforms.functional.resize(image, [100, 150])
    assert ours.input_shape == (3, 100, 150)
    assert (np.asarray(ours.crop_of(image)) == np.asarray(resized)).all()


@pytest.mark.parametrize("crop", [[300, 100], [1000, 1000], [401, 601], [3, 5], [512, 64]])
def test_a_crop_larger_than_the_image_is_padded_as_torchvision_does(crop: list[int]) -> None:
    ours = Preprocess.of({"resize": None, "crop": crop})
    for image in PHOTOGRAPHS + ODD:
        expected = torchvision.transforms.functional.center_crop(image, crop)
        assert (np.asarray(ours.crop_of(image)) == np.asarray(expected)).all()


def test_bgr_swaps_the_channels_and_255_keeps_the_pixels() -> None:
    image = PHOTOGRAPHS[0]
    ours = Preprocess.of({"color": "bgr", "scale": 255, "mean": 0, "std": 1})
    seen = np.asarray(ours.crop_of(image))
    assert (ours.tensor(image).permute(1, 2, 0).numpy() == seen[..., ::-1]).all()


def test_gray_is_one_channel_of_pillows_luma() -> None:
    grey = PHOTOGRAPHS[0].convert("L")
    ours = Preprocess.of({"color": "gray", "mean": 0, "std": 1, "resize": None, "crop": 512})
    tensor = ours.tensor(PHOTOGRAPHS[0])
    assert tensor.shape == (1, 512, 512) == ours.input_shape
    assert torch.equal(tensor, torchvision.transforms.functional.to_tensor(grey))


def test_what_is_left_out_is_as_for_imagenet() -> None:
    assert Preprocess.of({}).settings() == IMAGENET.settings()
    assert Preprocess.of({"crop": 299}).resize == 342
    assert Preprocess.of({"resize": 128}).crop == (128, 128)
    assert Preprocess.of({"color": "bgr"}).mean == IMAGENET.mean[::-1]
    assert Preprocess.of({"scale": 255}).std == pytest.approx([255 * s for s in IMAGENET.std])
    assert Preprocess.of({"color": "gray"}).mean == pytest.approx([0.449])
    assert Preprocess.of({"mean": 0.5}).mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("name", ["imagenet", "imagenet-inception", "raw255", "unit"])
def test_a_preset_has_a_name_and_is_described_by_its_settings(name: str) -> None:
    found = preset(name)
    assert found.source == f"preset {name}"
    assert Preprocess.of(found.settings(), source=found.source) == found


LEVELS = torch.arange(256, dtype=torch.uint8)
PLANES = torch.stack([LEVELS, LEVELS.flip(0), LEVELS.roll(100)], -1).view(16, 16, 3).numpy()


@given(
    mean=st.lists(st.floats(-300, 300, width=32), min_size=3, max_size=3),
    std=st.lists(st.floats(2**-7, 300, width=32), min_size=3, max_size=3),
    scale=st.sampled_from([1, 255]),
    color=st.sampled_from(["rgb", "bgr"]),
)
@settings(deadline=None)
def test_all_256_levels_come_back_exactly(mean: list[float], std: list[float], scale: int, color: str) -> None:
    ours = Preprocess.of(
        {
            "resize": None,
            "crop": 16,
            "mean": [m * scale / 255 for m in mean],
            "std": std,
            "scale": scale,
            "color": color,
        }
    )
    tensor = ours.tensor(Image.fromarray(PLANES))
    assert (ours.pixels(tensor[None])[0] == PLANES).all()


def test_grey_levels_come_back_as_rgb() -> None:
    grey = LEVELS.view(16, 16).numpy()
    ours = Preprocess.of({"resize": None, "crop": 16, "color": "gray"})
    assert (ours.pixels(ours.tensor(Image.fromarray(grey))[None])[0] == grey[..., None]).all()


def test_values_beyond_black_and_white_are_clipped() -> None:
    assert IMAGENET.pixels(torch.tensor([-99.0, 99.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)).tolist() == [
        [[[0, 0, 0]]],
        [[[255, 255, 255]]],
    ]


@pytest.mark.parametrize(
    "mapping", [{}, {"resize": [64, 96]}, {"resize": None, "crop": 100}, {"resize": 200, "crop": [200, 100]}]
)
def test_a_box_of_the_input_is_found_again_in_the_photograph(mapping: Mapping[str, Any]) -> None:
    ours = Preprocess.of({**mapping, "mean": 0, "std": 1})
    for image in PHOTOGRAPHS[:4]:
        columns = np.broadcast_to(np.arange(image.width) * 255 / image.width, (image.height, image.width))
        rows = np.broadcast_to(np.arange(image.height)[:, None] * 255 / image.height, columns.shape)
        ramp = Image.fromarray(np.stack([columns, rows, rows], -1).astype(np.uint8))
        left, top, right, bottom = ours.box_in_original(image.size, (20.0, 30.0, 21.0, 31.0))
        across, down, _ = ours.tensor(ramp)[:, 30, 20].tolist()
        assert across * image.width == pytest.approx((left + right) / 2, abs=image.width / 100)
        assert down * image.height == pytest.approx((top + bottom) / 2, abs=image.height / 100)


def test_the_whole_input_is_the_middle_of_the_photograph() -> None:
    assert Preprocess.of({"resize": 256, "crop": 128}).box_in_original((1024, 512), (0.0, 0.0, 128.0, 128.0)) == (
        384.0,
        128.0,
        640.0,
        384.0,
    )


@pytest.mark.parametrize(
    ("mapping", "line"),
    [
        ({"sdt": 1}, "preprocess has no key 'sdt'; it has: .*; did you mean 'std'?"),
        ({"mean": [0.5, 0.5]}, r"preprocess.mean is \[0.5, 0.5\], but has to be 3 numbers"),
        ({"mean": "0.5"}, "preprocess.mean is '0.5'"),
        ({"color": "gray", "mean": [0.4, 0.4, 0.4]}, "has to be a number"),
        ({"std": [1, 0, 1]}, "has to be over 0: every channel"),
        ({"std": -1}, "has to be over 0: every channel"),
        ({"std": [True, True, True]}, "preprocess.std is"),
        ({"mean": float("nan")}, "preprocess.mean is nan"),
        ({"scale": 256}, "preprocess.scale is 256, but has to be 1 or 255"),
        ({"scale": True}, "preprocess.scale is True"),
        ({"color": "rbg"}, "has to be 'rgb' or 'bgr' or 'gray'; did you mean"),
        ({"interpolation": "bicubik"}, "did you mean 'bicubic'?"),
        ({"interpolation": ["bicubic"]}, "preprocess.interpolation is"),
        ({"crop": 0}, "preprocess.crop is 0, but has to be a whole number from 1 to 8192"),
        ({"crop": 224.5}, "preprocess.crop is 224.5"),
        ({"crop": [224, 224, 3]}, r"preprocess.crop is \[224, 224, 3\], but has to be a number of pixels or"),
        ({"resize": "256"}, "preprocess.resize is '256'"),
        ({"resize": 100000}, "preprocess.resize is 100000"),
        ({"resize": 200, "crop": 224}, "preprocess.crop 224 x 224 is larger than preprocess.resize 200 x 200"),
        ({"resize": [224, 100], "crop": [224, 224]}, "is larger than preprocess.resize 224 x 100"),
    ],
)
def test_a_setting_that_can_not_be_gets_one_clear_line(mapping: Mapping[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line) as caught:
        Preprocess.of(mapping)
    assert "\n" not in str(caught.value)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'imagenet'\?"):
        preset("imagnet")


@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
def test_a_negative_is_shown_as_it_is_in_the_file(color, random):
    steps = Preprocess.of({"resize": None, "crop": 16, "color": color, "invert": True})
    image = Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    shown = np.array(steps.crop_of(image).convert("RGB"))
    assert np.array_equal(steps.pixels(steps.tensor(image)[None])[0], shown)


def test_whether_pixels_are_inverted_is_true_or_false():
    with pytest.raises(UsageError, match=r"preprocess\.invert is 1, but has to be true or false"):
        Preprocess.of({"invert": 1})
    assert "invert" not in Preprocess.of({}).settings()


def test_what_is_filled_with_black_is_black_in_the_file():
    steps = Preprocess.of({"resize": None, "crop": 4, "invert": True})
    black = steps.tensor(Image.new("RGB", (4, 4)))[None]
    filled = filling("black", torch.zeros_like(black), steps, blur=1.0, random=torch.Generator())
    assert torch.allclose(filled, black)

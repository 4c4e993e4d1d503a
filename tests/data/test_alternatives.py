from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.data.alternatives import alternatives
from auditor.data.preprocessing import IMAGENET, Preprocess, preset

CAFFE = Preprocess.of({"color": "bgr", "scale": 255, "std": 1.0})
GRAY = Preprocess.of({"color": "gray", "resize": 28, "mean": 0.1307, "std": 0.3081})
DECLARED = {
    "imagenet": IMAGENET,
    "raw": preset("raw255"),
    "unit": preset("unit"),
    "caffe": CAFFE,
    "gray": GRAY,
    "as it is": Preprocess.of({"resize": "none", "crop": [40, 30]}),
}


@pytest.fixture
def image(random):
    return Image.fromarray(random.integers(0, 256, (61, 90, 3), dtype=np.uint8))


@pytest.mark.parametrize("declared", DECLARED.values(), ids=DECLARED)
def test_each_gives_what_the_network_takes_and_other_numbers_than_all_others(declared, image):
    found = alternatives(declared)
    tensors = [declared.tensor(image), *(one.preprocess.tensor(image) for one in found)]
    assert {tensor.shape for tensor in tensors} == {declared.input_shape}
    assert not any(torch.equal(a, b) for i, a in enumerate(tensors) for b in tensors[:i])
    assert len({one.name for one in found}) == len(found)


@pytest.mark.parametrize("trained", ["imagenet", "raw", "unit", "caffe"])
@pytest.mark.parametrize("declared", ["imagenet", "raw", "unit"])
def test_the_usual_ways_are_alternatives_to_each_other(trained, declared, image):
    ways = [DECLARED[declared], *(one.preprocess for one in alternatives(DECLARED[declared]))]
    tensors = [way.tensor(image) for way in ways]
    assert any(torch.allclose(DECLARED[trained].tensor(image), tensor, atol=1e-4) for tensor in tensors)


def test_the_other_colours_keep_their_own_mean_and_std(image):
    (turned,) = [one.preprocess for one in alternatives(IMAGENET) if "BGR instead" in one.name]
    assert torch.equal(turned.tensor(image), IMAGENET.tensor(image).flip(0))
    assert any(one.preprocess.settings() == IMAGENET.settings() for one in alternatives(turned))


def test_red_and_blue_may_be_exchanged_before_mean_and_std(image):
    (exchanged,) = [one.preprocess for one in alternatives(IMAGENET) if "exchanged" in one.name]
    blue_first = Image.merge("RGB", image.split()[::-1])
    assert torch.equal(exchanged.tensor(image), IMAGENET.tensor(blue_first))
    assert not any("exchanged" in one.name for one in alternatives(preset("unit")))  # the same as BGR instead of RGB


def test_what_differs_by_a_rounding_is_no_alternative():
    half = replace(IMAGENET, scale=255, mean=(127.0,) * 3, std=(128.0,) * 3)
    assert "-1 to 1" not in [one.name for one in alternatives(half)]
    assert "-1 to 1" in [one.name for one in alternatives(IMAGENET)]


@pytest.mark.parametrize("declared", DECLARED.values(), ids=DECLARED)
def test_the_negative_is_an_alternative_to_its_positive_and_the_reverse(declared, image):
    (negative,) = [one.preprocess for one in alternatives(declared) if "inverted" in one.name]
    assert negative.settings() == {**declared.settings(), "invert": True}
    ends = sum(declared.bounds)[:, None, None]
    assert torch.allclose(negative.tensor(image), ends - declared.tensor(image), atol=1e-4)
    assert any(one.preprocess.settings() == declared.settings() for one in alternatives(negative))

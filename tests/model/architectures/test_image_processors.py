"""Image processors of transformers in the keys of `[preprocess]`: the same input, bit for bit, for a photograph."""

import json

import pytest
import skimage.data
import torch
from PIL import Image

from auditor.data.preprocessing import Preprocess
from auditor.errors import CheckpointError
from auditor.model.architectures.image_processors import preprocessing
from tests.model_folders import transformers

EXACT = [
    ("ViTImageProcessor", {}),
    ("ViTImageProcessor", {"size": 64, "resample": 3}),
    ("ViTImageProcessor", {"size": {"height": 48, "width": 80}, "resample": 1}),
    ("ViTImageProcessor", {"do_normalize": False}),
    ("ViTImageProcessor", {"do_rescale": False}),
    ("ViTImageProcessor", {"rescale_factor": 1 / 127.5, "image_mean": [1, 1, 1], "image_std": [1, 1, 1]}),
    ("DeiTImageProcessor", {}),
    ("BeitImageProcessor", {"size": 256, "do_center_crop": True, "crop_size": 224}),
    ("ConvNextImageProcessor", {"size": 224}),
    ("ConvNextImageProcessor", {"size": {"shortest_edge": 224}, "crop_pct": 0.9}),
    ("ConvNextImageProcessor", {}),
    ("EfficientNetImageProcessor", {}),
    ("EfficientNetImageProcessor", {"include_top": False, "rescale_offset": True, "rescale_factor": 1 / 127.5}),
    ("BitImageProcessor", {"size": {"shortest_edge": 256}}),
    ("SiglipImageProcessor", {}),
    ("CLIPImageProcessor", {}),
    ("MobileNetV1ImageProcessor", {}),
    ("MobileNetV2ImageProcessor", {}),
    ("LevitImageProcessor", {}),
    ("PoolFormerImageProcessor", {}),
    ("MobileViTImageProcessor", {"size": {"shortest_edge": 288}}),
    ("PvtImageProcessor", {}),
    ("SegformerImageProcessor", {}),
]


def photographs():
    wide = Image.fromarray(skimage.data.astronaut()).crop((0, 0, 512, 344))
    return wide, wide.rotate(90, expand=True)


def keys(said, **how):
    return preprocessing(said, **{"model_type": "vit", "channels": 3, "where": "preprocessor_config.json"} | how)


@pytest.mark.parametrize(("name", "options"), EXACT)
def test_a_photograph_becomes_what_the_processor_makes_of_it(name, options):
    processor = getattr(transformers, f"{name}Pil")(**options)
    ours = Preprocess.of(keys(json.loads(processor.to_json_string())))
    for photograph in photographs():
        expected = torch.as_tensor(processor(photograph, return_tensors="pt")["pixel_values"][0])
        assert torch.equal(ours.tensor(photograph), expected)


@pytest.mark.parametrize(
    ("said", "crop"),
    [
        ({"feature_extractor_type": "ViTFeatureExtractor", "size": 64}, [64, 64]),
        ({"image_processor_type": "ViTImageProcessorFast", "size": {"height": 64, "width": 64}}, [64, 64]),
        ({"image_processor_type": "ConvNextFeatureExtractor", "size": 64, "crop_pct": 0.875}, [64, 64]),
        ({"size": {"height": 32, "width": 48}}, [32, 48]),
    ],
)
def test_older_forms_are_known(said, crop):
    assert keys(said)["crop"] == crop


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"image_processor_type": "DonutImageProcessor"}, "DonutImageProcessor has steps of its own"),
        ({"image_processor_type": "MyProcessor"}, "'MyProcessor', which transformers does not have"),
        ({"image_processor_type": "ViTImageProcessor", "size": {"shortest_edge": 64}}, "keeps the shape of each image"),
        ({"image_processor_type": "ViTImageProcessor", "do_resize": False}, "keeps the shape of each image"),
        ({"image_processor_type": "ViTImageProcessor", "do_pad": True}, "pads images"),
        ({"image_processor_type": "ViTImageProcessor", "rescale_factor": 0}, "impossible preprocessing"),
        ({"image_processor_type": "ViTImageProcessor", "size": "large"}, "impossible preprocessing"),
        ({"image_processor_type": "ViTImageProcessor", "image_mean": "grey"}, "impossible preprocessing"),
        ({"image_processor_type": "ViTImageProcessor", "resample": 17}, "impossible preprocessing"),
    ],
)
def test_what_the_keys_cannot_say_is_refused(said, told):
    with pytest.raises(CheckpointError, match=told) as raised:
        keys(said)
    assert "give --preprocess" in str(raised.value)


def test_one_channel_is_grey():
    found = keys({"image_mean": [0.5], "image_std": [0.25], "size": 28}, channels=1)
    assert (found["color"], found["mean"], found["std"]) == ("gray", [0.5], [0.25])

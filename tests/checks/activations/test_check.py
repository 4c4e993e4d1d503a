"""What the layers make of the images: the right numbers in the right pictures, and words where there are none."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.results import Gallery, Verdict
from tests.conftest import result_of

PREPROCESS = {"resize": "none", "crop": [24, 32], "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
NETWORK = """
from torch import nn


def Net(num_classes=2):
    return nn.Sequential(
        nn.Conv2d({colours}, 6, 3, padding=1), nn.{act}(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3, padding=1), nn.{act}(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, num_classes),
    )
"""


@pytest.fixture
def net(tmp_path):
    def made(act="ReLU", change=lambda state: None, colours=3):
        source = NETWORK.format(act=act, colours=colours)
        (tmp_path / "net.py").write_text(source)
        space: dict = {}
        exec(source, space)  # noqa: S102 - the text above
        torch.manual_seed(0)
        state = space["Net"]().state_dict()
        change(state)
        torch.save(state, tmp_path / "net.pt")
        return tmp_path

    return made


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """30 images of noise in two classes."""
    folder, random = tmp_path_factory.mktemp("noise"), np.random.default_rng(0)
    for name in ("left", "right"):
        (folder / name).mkdir()
        for i in range(15):
            Image.fromarray(random.integers(0, 255, (24, 32, 3), dtype=np.uint8)).save(folder / name / f"{i}.png")
    return folder


def result(folder, data, preprocess=PREPROCESS, **options):
    arch = f"{folder / 'net.py'}:Net"
    found = result_of("activations", folder / "net.pt", data, options, arch=arch, preprocess=preprocess, samples=3)
    assert not [f for f in found.findings if f.verdict is Verdict.ERROR], found.findings
    return found


def rows(found, kind):
    return [piece for piece in found.evidence if isinstance(piece, Gallery) and kind in piece.title]


def rules(found, name):
    return [finding for finding in found.findings if finding.rule == f"activations.{name}"]


def opened(item):
    return Image.open(io.BytesIO(item.image))


def silent(state):
    state["3.bias"][:] = -100.0


def test_every_image_has_its_way_and_every_layer_its_row(net, images):
    found = result(net(), images)
    ways, layers = rows(found, "the way"), rows(found, "Layer")
    assert len(ways) == 3
    assert [row.title for row in layers] == ["Layer 0", "Layer 3"]
    assert [len(row.items) for row in layers] == [3 * 5, 3 * 5]
    for way in ways:
        stages, (features, scores) = way.items[1:-2], way.items[-2:]
        assert [item.label for item in stages] == ["1\n6 x 24 x 32", "4\n4 x 12 x 16"]
        assert features.label.startswith("features by size\n4")
        assert scores.label == "probability and score"


def test_the_mean_map_has_a_scale_of_its_own_that_all_images_share(net, images):
    for row in rows(result(net(), images), "Layer"):
        means = [item for item in row.items if item.label.startswith("mean of")]
        assert len(means) == 3
        assert len({(item.scale.low, item.scale.high) for item in means}) == 1
        assert means[0].scale.high < row.scale.high
        assert all(opened(item).size == (32, 24) for item in means)


def test_a_layer_that_is_silent_says_so_in_words_and_by_how_much(net, images):
    found = result(net(change=silent), images)
    silenced = rows(found, "Layer 3")[0]
    assert silenced.scale is None
    for item in silenced.items:
        if item.file != item.label:
            assert "zero everywhere, because nothing above -" in item.label
            assert item.scale is None
    for way in rows(found, "the way"):
        assert way.items[2].label.endswith("zero everywhere, because all 4 channels are")
        assert way.items[3].label.endswith("all zero")


def far_down(state):
    state["3.bias"][:2] = -30.0


@pytest.mark.parametrize(
    ("act", "verdict"), [("GELU", "FAIL"), ("SiLU", "FAIL"), ("Hardswish", "FAIL"), ("ELU", "PASS")]
)
def test_channels_that_a_smooth_activation_lets_through_as_nothing_are_silent(net, images, act, verdict):
    found = rules(result(net(act, far_down), images, dead_fail=0.4), "dead")
    assert [(one.verdict.name, one.subject) for one in found] == [
        (verdict, "3" if verdict == "FAIL" else found[0].subject)
    ]
    assert rules(result(net(act), images), "dead")[0].value == 0


def test_channels_that_give_one_number_throughout_are_told(net, images):
    def constant(state):
        state["3.weight"][1:3] = 0.0
        state["3.bias"][:] = torch.tensor([0.1, 0.2, 0.3, 0.4])

    (dead,) = rules(result(net(change=constant), images), "dead")
    assert (dead.verdict, dead.subject, dead.value) == (Verdict.WARN, "3", 0.5)
    assert dead.message == "2 of the 4 channels give one number throughout, on all images"
    assert dead.detail.startswith("What gives one number")
    assert "Channels: 1, 2." in dead.detail


def test_outputs_that_are_no_number_are_told(net, images):
    def broken(state):
        state["3.weight"][:] = float("nan")

    found = result(net(change=broken), images)
    assert rules(found, "nonfinite")[0].verdict is Verdict.FAIL
    (row,) = rows(found, "Layer 3")
    assert all("no number" in item.label for item in row.items if item.label != item.file)
    way = rows(found, "the way")[0]
    assert "no finite value" in way.items[2].label
    assert "not all finite" in way.items[3].label


def test_a_grey_image_and_a_layer_without_a_rectifier_are_shown(net, images):
    grey = {"resize": "none", "crop": [24, 32], "mean": [0.5], "std": [0.25], "color": "gray"}
    found = result(net("SiLU", colours=1), images, preprocess=grey)
    (row,) = rows(found, "Layer 0")
    assert "the absolute values of all maps" in row.caption
    assert row.scale.low == -row.scale.high
    assert all(item.scale.low >= 0 for item in row.items if item.scale)
    assert rules(found, "dead")[0].verdict is Verdict.PASS


def test_a_channel_that_is_cut_off_everywhere_is_found(net, images):
    def loud(state):
        state["0.bias"][1] = 20.0

    (told,) = rules(result(net("ReLU6", loud), images), "saturated")
    assert (told.verdict, told.subject, told.value) == (Verdict.WARN, "0", 1 / 6)
    assert "cut off at 6" in told.message
    assert told.detail.endswith("Channels: 1")
    (fine,) = rules(result(net("ReLU6"), images), "saturated")
    assert fine.verdict is Verdict.PASS


def test_the_border_is_information_with_the_layer_that_it_is_strongest_in(net, images):
    found = result(net(), images)
    (finding,) = rules(found, "border")
    assert finding.verdict is Verdict.INFO
    assert finding.subject in ("0", "3")
    assert finding.interval[0] <= finding.value <= finding.interval[1]
    (table,) = [piece for piece in found.evidence if getattr(piece, "title", "") == "Border and inside"]
    assert [row[0] for row in table.rows] == ["0", "3"]


def test_a_layer_that_shows_its_padding_is_found(net, images):
    """A bias that only padding with zeros takes part of away: sums of whole kernels are far below it inside."""

    def padded(state):
        state["0.weight"][:] = -1.0
        state["0.bias"][:] = 20.0

    (plain,), (planted,) = rules(result(net(), images), "border"), rules(result(net(change=padded), images), "border")
    assert planted.value > plain.value
    assert planted.subject == "0"


def test_of_a_layer_whose_channels_are_just_silent_nothing_else_is_said(net, images):
    def both(state):
        state["0.bias"][:3] = -30.0
        state["3.weight"][1:3] = 0.0
        state["3.bias"][:] = torch.tensor([0.1, 0.2, 0.3, 0.4])

    told = {one.subject: one.message for one in rules(result(net(change=both), images), "dead")}
    assert told["0"] == "3 of the 6 channels stay silent on all images"
    assert told["3"] == "2 of the 4 channels give one number throughout, on all images"


def idle(silent, constant):
    """Return a change after which so many of the six channels of the first layer are silent, and so many constant."""

    def change(state):
        state["0.bias"][:silent] = -30.0
        state["0.weight"][6 - constant :] = 0.0
        state["0.bias"][6 - constant :] = 0.5

    return change


def test_of_a_layer_with_channels_of_both_kinds_one_finding_tells_both(net, images):
    (dead,) = [one for one in rules(result(net(change=idle(1, 2)), images), "dead") if one.subject == "0"]
    assert (dead.verdict, dead.value, dead.limit) == (Verdict.WARN, 2 / 6, 0.1)
    assert dead.message == "of the 6 channels 1 stay silent, and 2 give one number throughout, on all images"
    assert "Channels: 0. What gives" in dead.detail
    assert dead.detail.endswith("Channels: 4, 5.")


def test_silent_and_constant_channels_are_judged_apart_until_little_is_left_of_the_layer(net, images):
    def judged(silent, constant, **limits):
        found = rules(result(net(change=idle(silent, constant)), images, **limits), "dead")
        return next((one.verdict, one.value) for one in found if one.subject == "0")

    assert judged(1, 1, dead_warn=0.2) == (Verdict.PASS, 1 / 6)
    assert judged(2, 1, dead_warn=0.2) == (Verdict.WARN, 2 / 6)
    assert judged(1, 2, dead_warn=0.2) == (Verdict.WARN, 2 / 6)
    assert judged(2, 2, dead_warn=0.2) == (Verdict.FAIL, 4 / 6)

"""What the layers make of the images: the right numbers in the right pictures, and words where there are none."""

import io

import pytest
import torch
from PIL import Image

from auditor.results import Gallery, Verdict
from tests import folders, networks
from tests.audits import result_of

PREPROCESS = {"resize": "none", "crop": [24, 32], "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}


@pytest.fixture
def net(tmp_path):
    def made(act="ReLU", change=lambda state: None, colours=3):
        networks.write(tmp_path / "net.py", networks.stacked, act=act, colours=colours)
        state = networks.build(networks.stacked, act=act, colours=colours).state_dict()
        change(state)
        torch.save(state, tmp_path / "net.pt")
        return tmp_path

    return made


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """30 images of noise in two classes."""
    return folders.noise(tmp_path_factory.mktemp("noise"), ("left", "right"), 15, (24, 32))


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


def all_dead(state):
    state["3.bias"][:] = -100.0


def test_every_image_has_its_strip_and_every_layer_its_row(net, images):
    found = result(net(), images)
    passes, layers = rows(found, "from pixels"), rows(found, "Layer")
    assert len(passes) == 3
    assert [row.title for row in layers] == ["Layer 0", "Layer 3"]
    assert [len(row.items) for row in layers] == [3 * 5, 3 * 5]
    for strip in passes:
        stages, (features, scores) = strip.items[1:-2], strip.items[-2:]
        assert [item.label for item in stages] == ["1\n6 x 24 x 32", "4\n4 x 12 x 16"]
        assert features.label.startswith("features, sorted by size\n4")
        assert scores.label == "probability and score"


def test_the_mean_map_has_a_scale_of_its_own_that_all_images_share(net, images):
    for row in rows(result(net(), images), "Layer"):
        means = [item for item in row.items if item.label.startswith("mean of")]
        assert len(means) == 3
        assert len({(item.scale.low, item.scale.high) for item in means}) == 1
        assert means[0].scale.high < row.scale.high
        assert all(opened(item).size == (32, 24) for item in means)


def test_a_dead_layer_is_shown_in_words_with_its_largest_input(net, images):
    found = result(net(change=all_dead), images)
    dead = rows(found, "Layer 3")[0]
    assert dead.scale is None
    for item in dead.items:
        if item.file != item.label:
            assert "zero everywhere: the largest input of the rectifier is -" in item.label
            assert item.scale is None
    for strip in rows(found, "from pixels"):
        assert strip.items[2].label.endswith("zero everywhere: all 4 channels are zero")
        assert strip.items[3].label.endswith("all zero")


def far_down(state):
    state["3.bias"][:2] = -30.0


@pytest.mark.parametrize(
    ("act", "verdict"), [("GELU", "FAIL"), ("SiLU", "FAIL"), ("Hardswish", "FAIL"), ("ELU", "PASS")]
)
def test_channels_that_a_smooth_activation_sets_to_zero_are_dead(net, images, act, verdict):
    found = rules(result(net(act, far_down), images, dead_fail=0.4), "dead")
    assert [(one.verdict.name, one.subject) for one in found] == [
        (verdict, "3" if verdict == "FAIL" else found[0].subject)
    ]
    assert rules(result(net(act), images), "dead")[0].value == 0


def test_constant_channels_are_found(net, images):
    def constant(state):
        state["3.weight"][1:3] = 0.0
        state["3.bias"][:] = torch.tensor([0.1, 0.2, 0.3, 0.4])

    (dead,) = rules(result(net(change=constant), images), "dead")
    assert (dead.verdict, dead.subject, dead.value) == (Verdict.WARN, "3", 0.5)
    assert dead.message == "2 of 4 channels are constant: the same output on all 30 images"
    assert dead.detail.startswith("Constant channels carry no information.")
    assert "Channels: 1, 2." in dead.detail


def test_outputs_that_are_not_finite_are_found(net, images):
    def broken(state):
        state["3.weight"][:] = float("nan")

    found = result(net(change=broken), images)
    assert rules(found, "nonfinite")[0].verdict is Verdict.FAIL
    (row,) = rows(found, "Layer 3")
    words = ("no finite value", "no number")  # of a channel, of the mean
    assert all(any(word in item.label for word in words) for item in row.items if item.label != item.file)
    strip = rows(found, "from pixels")[0]
    assert "no finite value" in strip.items[2].label
    assert "not all finite" in strip.items[3].label


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

    (finding,) = rules(result(net("ReLU6", loud), images), "saturated")
    assert (finding.verdict, finding.subject, finding.value) == (Verdict.WARN, "0", 1 / 6)
    assert finding.message == "1 of 6 channels is saturated: cut off at 6 in over 95 % of its outputs"
    assert finding.detail.endswith("Channels: 1.")
    (fine,) = rules(result(net("ReLU6"), images), "saturated")
    assert fine.verdict is Verdict.PASS
    assert fine.message.startswith("no channel is saturated")


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


def test_dead_and_constant_channels_are_named_as_what_they_are(net, images):
    def both(state):
        state["0.bias"][:3] = -30.0
        state["3.weight"][1:3] = 0.0
        state["3.bias"][:] = torch.tensor([0.1, 0.2, 0.3, 0.4])

    messages = {one.subject: one.message for one in rules(result(net(change=both), images), "dead")}
    assert messages["0"] == "3 of 6 channels are dead: no activation on any of 30 images"
    assert messages["3"] == "2 of 4 channels are constant: the same output on all 30 images"


def uninformative(dead, constant):
    """Return a change after which so many of the six channels of the first layer are dead, and so many constant."""

    def change(state):
        state["0.bias"][:dead] = -30.0
        state["0.weight"][6 - constant :] = 0.0
        state["0.bias"][6 - constant :] = 0.5

    return change


def test_a_layer_with_dead_and_constant_channels_has_one_finding(net, images):
    (dead,) = [one for one in rules(result(net(change=uninformative(1, 2)), images), "dead") if one.subject == "0"]
    assert (dead.verdict, dead.value, dead.limit) == (Verdict.WARN, 2 / 6, 0.1)
    assert dead.message == (
        "1 of 6 channels is dead: no activation on any of 30 images; "
        "2 of 6 channels are constant: the same output on all 30 images"
    )
    assert "Channels: 0. Constant channels" in dead.detail
    assert dead.detail.endswith("Channels: 4, 5.")


def test_dead_and_constant_channels_are_judged_apart_until_little_is_left_of_the_layer(net, images):
    def judged(dead, constant, **limits):
        found = rules(result(net(change=uninformative(dead, constant)), images, **limits), "dead")
        return next((one.verdict, one.value) for one in found if one.subject == "0")

    assert judged(1, 1, dead_warn=0.2) == (Verdict.PASS, 1 / 6)
    assert judged(2, 1, dead_warn=0.2) == (Verdict.WARN, 2 / 6)
    assert judged(1, 2, dead_warn=0.2) == (Verdict.WARN, 2 / 6)
    assert judged(2, 2, dead_warn=0.2) == (Verdict.FAIL, 4 / 6)

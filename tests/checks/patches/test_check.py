"""What activates each channel most: the right places of the right files, and what is found about them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.errors import UsageError
from auditor.results import Gallery, Verdict
from tests import networks
from tests.audits import result_of

PREPROCESS = {"resize": "none", "crop": [24, 32], "mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}


def state():
    """Channels of the first layer: brightness, darkness, twice redness, nothing, and dark things in a bright place."""
    torch.manual_seed(0)
    first, second = torch.zeros(6, 3, 3, 3), torch.zeros(4, 6, 3, 3)
    first[0] = 1 / 27
    first[1] = -1 / 27
    first[2:4, 0], first[2:4, 1:] = 1 / 9, -1 / 18
    first[5], first[5, :, 1, 1] = 1 / 24, -0.2
    second[0, 0], second[1, 2], second[2, 5], second[3, 1] = 1 / 9, 1.0, 1.0, 1 / 18
    return {
        "0.weight": first,
        "0.bias": torch.tensor([0.0, 0.9, 0.0, 0.0, -1.0, 0.0]),
        "2.weight": second,
        "2.bias": torch.zeros(4),
        "6.weight": torch.randn(2, 4),
        "6.bias": torch.zeros(2),
    }


@pytest.fixture
def net(tmp_path):
    def made(act="ReLU", change=lambda state: None):
        networks.write(tmp_path / "net.py", networks.unpooled, act=act)
        tensors = state()
        change(tensors)
        torch.save(tensors, tmp_path / "net.pt")
        return tmp_path

    return made


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """30 grey images with a red spot of their own place and strength, in two classes."""
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for name in ("left", "right"):
        (folder / name).mkdir()
        for i in range(15):
            pixels = np.full((24, 32, 3), 120, np.uint8)
            row, col = random.integers(3, 19), random.integers(3, 13) + (14 if name == "right" else 0)
            pixels[row : row + 3, col : col + 3] = (135 + 8 * i, 40, 40)
            Image.fromarray(pixels).save(folder / name / f"{i:02}-{row}-{col}.png")
    return folder


def result(folder, data, samples=2, **options):
    arch = f"{folder / 'net.py'}:Net"
    found = result_of("patches", folder / "net.pt", data, options, arch=arch, preprocess=PREPROCESS, samples=samples)
    assert not [f for f in found.findings if f.verdict is Verdict.ERROR], found.findings
    return found


def galleries(found):
    return [piece for piece in found.evidence if isinstance(piece, Gallery)]


def rules(found, rule):
    return [finding for finding in found.findings if finding.rule == f"patches.{rule}"]


def test_the_best_patches_are_the_reddest_spots_where_they_lie(net, images):
    (row,) = galleries(result(net(), images, layers=("0",), channels=(2,), top=4))
    assert row.title == "0, channel 2"
    assert "Active on 30 of 30 images" in row.caption
    assert "Receptive field: 3 x 3 pixels." in row.caption
    patches = row.items[1:]
    assert [patch.file.split("/")[1][:2] for patch in patches] == ["14", "14", "13", "13"]
    assert [patch.value for patch in patches] == sorted((p.value for p in patches), reverse=True)
    for patch in patches:
        top, left = (int(part) for part in patch.file.removesuffix(".png").split("-")[1:])
        assert f"unit at row {top + 1} and column {left + 1} of its map" in patch.alt
        assert patch.label == patch.file.split("/")[0]
        with Image.open(io.BytesIO(patch.image)) as drawn:
            shown = np.asarray(drawn.convert("RGB"), dtype=int)
        assert shown.shape[0] > 2.9 * shown.shape[1]  # the patch, what counts in it, and the whole image
        red = shown[:170, :, 0] - shown[:170, :, 1]
        assert (red[5:165, 5:170] > 80).all()  # the spot and nothing else


def test_a_channel_stands_beside_its_filter_and_says_which_it_is(net, images):
    (row,) = galleries(result(net(), images, layers=("0",), channels=(2,), top=4))
    assert row.about == {"layer": "0", "channel": "2"}
    assert row.items[0].label == "over the data; its filter"
    assert "Its filter: weights from " in row.items[0].alt
    with Image.open(io.BytesIO(row.items[0].image)) as drawn:
        assert drawn.height > 1.3 * drawn.width  # the distribution, and the filter below it


def test_a_file_that_is_there_twice_is_shown_once(net, images, tmp_path):
    twice = tmp_path / "twice"
    for source in images.rglob("*.png"):
        for name in (source.parent.name, f"{source.parent.name} again"):
            (twice / name).mkdir(parents=True, exist_ok=True)
            (twice / name / source.name).write_bytes(source.read_bytes())
    (row,) = galleries(result(net(), twice, layers=("0",), channels=(2,), top=4))
    assert [item.file.split("/")[1][:2] for item in row.items[1:]] == ["14", "14", "13", "13"]
    assert "of 30 images" in row.caption


def test_several_patches_of_an_image_where_that_is_asked_for(net, images):
    (row,) = galleries(result(net(), images, layers=("0",), channels=(2,), top=40, each=3))
    assert len(row.items) == 41
    assert len({item.file for item in row.items[1:]}) < 30


def test_shows_the_highest_the_median_and_the_most_selective_channel(net, images):
    shown = galleries(result(net(), images, layers=("0",)))
    assert shown[0].title.startswith("0, channel ")
    titles = " ".join(gallery.title for gallery in shown)
    for role in ("highest response", "median response", "most selective"):
        assert role in titles


def test_all_channels_are_a_sheet_of_every_channel_that_fires(net, images):
    (sheet,) = galleries(result(net(), images, layers=("0",), channels="all"))
    assert [item.label for item in sheet.items] == [f"channel {c}" for c in (0, 1, 2, 3, 5)]


def test_a_dead_channel_is_found(net, images):
    (told,) = rules(result(net(), images, layers=("0",)), "dead")
    assert (told.verdict, told.subject, told.value) == (Verdict.WARN, "0", 1 / 6)
    assert told.detail.endswith("Channels: 4.")


def test_a_channel_that_repeats_another_is_found(net, images):
    (told,) = rules(result(net(), images, layers=("0",)), "duplicate")
    assert (told.verdict, told.value) == (Verdict.WARN, 1 / 6)
    assert told.detail.endswith("Channels: 3.")


def test_channels_that_respond_to_the_border_are_found(net, images):
    def padded(tensors):
        tensors["0.weight"][:5] = -1 / 27  # what lies outside is black
        tensors["0.bias"][:5] = torch.linspace(0.6, 0.9, 5)

    (sound,) = rules(result(net(), images, layers=("0",)), "corner")
    (told,) = rules(result(net(change=padded), images, layers=("0",)), "corner")
    assert sound.verdict is Verdict.PASS
    assert told.verdict is Verdict.WARN
    assert told.value == 5 / 6


def test_a_class_that_has_all_the_best_patches_of_a_channel_is_told(net, images, tmp_path):
    red = tmp_path / "red"
    for name, strength in (("red", 200), ("grey", 0)):
        (red / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.full((24, 32, 3), 100 + i, np.uint8)
            pixels[8:12, 8:12, 0] += np.uint8(strength // 2 + i if strength else 0)
            Image.fromarray(pixels).save(red / name / f"{i}.png")
    (told,) = rules(result(net(), red, layers=("0",)), "class-pure")
    assert told.verdict is Verdict.INFO
    assert "0:2, 0:3" in told.detail.partition("red: ")[2]
    assert "expected by chance" in told.message


def test_images_smaller_than_the_crop_may_excite_a_channel_in_their_padding(net, tmp_path):
    for i in range(6):
        (tmp_path / "data" / "one").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((10, 12, 3), 200 + i, np.uint8)).save(tmp_path / "data" / "one" / f"{i}.png")
    (dark,) = galleries(result(net(), tmp_path / "data", layers=("0",), channels=(1,)))
    with Image.open(io.BytesIO(dark.items[1].image)) as drawn:
        assert np.asarray(drawn.convert("RGB"))[:150].max() < 10


def test_channels_that_are_not_finite_are_not_called_dead(net, images):
    def broken(tensors):
        tensors["0.weight"][:4] = float("nan")

    (told,) = rules(result(net(change=broken), images, layers=("0",)), "dead")
    assert told.detail.endswith("Channels: 4.")


def test_a_layer_that_runs_twice_is_shown_as_it_runs_last(net, images, tmp_path):
    folder = net()
    (folder / "net.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.c, self.head = nn.Conv2d(3, 3, 3), nn.Linear(3, 2)\n\n    def forward(self, x):\n"
        "        x = self.c(self.c(x).relu()).relu()\n        return self.head(x.amax((2, 3)))\n"
    )
    torch.manual_seed(1)
    state = {"c.weight": torch.rand(3, 3, 3, 3), "c.bias": torch.zeros(3)}
    torch.save(state | {"head.weight": torch.randn(2, 3), "head.bias": torch.zeros(2)}, folder / "net.pt")
    (row,) = galleries(result(folder, images, layers=("c",), channels=(0,)))
    assert "Receptive field: 5 x 5 pixels" in row.caption


def test_too_few_images_are_skipped_and_not_passed(net, images, tmp_path):
    few = tmp_path / "few"
    (few / "left").mkdir(parents=True)
    for source in sorted((images / "left").iterdir())[:5]:
        (few / "left" / source.name).write_bytes(source.read_bytes())
    found = result(net(), few, samples=1, layers=("0",))
    for rule in ("dead", "duplicate", "corner"):
        assert [told.verdict for told in rules(found, rule)] == [Verdict.SKIP]
    assert rules(found, "class-pure")[0].verdict is Verdict.SKIP


def test_behind_what_is_no_rectifier_nothing_is_sent_back_and_nothing_is_dead(net, images):
    found = result(net("Tanh"), images, layers=("2",), channels=(1,))
    assert rules(found, "dead")[0].verdict is Verdict.SKIP
    (row,) = galleries(found)
    with Image.open(io.BytesIO(row.items[1].image)) as drawn:
        assert drawn.height < 2.1 * drawn.width  # only the patch and the whole image


def test_a_channel_that_is_not_there_is_refused(net, images):
    settings = {"layers": ("0",), "channels": (6,)}
    with pytest.raises(UsageError, match=r"asks for channel 6, but layer '0' has 6, numbered from 0"):
        result(net(), images, **settings)

"""What is said of channels by their best patches, of small made-up maps."""

import math

import numpy as np
import pytest
import torch

from auditor.checks.patches import findings
from auditor.collectors import TopActivations
from auditor.collectors.collector import Batch
from auditor.model.layers import Layer
from auditor.results import Verdict

SKIP, INFO, PASS, WARN, FAIL = Verdict.SKIP, Verdict.INFO, Verdict.PASS, Verdict.WARN, Verdict.FAIL


def top(maps, *, count=3, each=1, floor=0.0):
    """Return the collector after it has seen maps, `[n, c, h, w]`, of one layer."""
    n, *shape = maps.shape
    layer = Layer("conv", "Conv2d", tuple(shape), 0, "conv", rectified=math.isfinite(floor), floor=floor)
    seen = TopActivations([layer], count, each=each)
    batch = Batch(np.arange(n), np.full(n, -1), np.zeros((n, 2), np.float32))
    seen.update(batch, {"conv": [seen.reduce("conv", torch.from_numpy(maps))]})
    return seen


def noise(n=24, channels=20, size=8):
    """Return maps whose channels are active at places of their own, inside."""
    maps = np.full((n, channels, size, size), 0.1, np.float32)
    maps[:, :, 1:-1, 1:-1] += np.random.default_rng(0).random((n, channels, size - 2, size - 2), np.float32)
    return maps


@pytest.mark.parametrize(
    ("dead", "images", "verdict", "message"),
    [
        (0, 24, PASS, "no channel is dead: all are active on some of 24 images"),
        (2, 24, PASS, "at most 2 of 20 channels of a layer are dead: no activation on any of 24 images"),
        (3, 24, WARN, "3 of 20 channels are dead: no activation on any of 24 images"),
        (10, 24, WARN, "10 of 20 channels are dead: no activation on any of 24 images"),
        (11, 20, FAIL, "11 of 20 channels are dead: no activation on any of 20 images"),
        (11, 19, SKIP, "19 images are too few to call a channel dead (20 needed)"),
    ],
)
def test_dead_channels_are_judged_by_their_share(dead, images, verdict, message):
    maps = noise(images)
    maps[:, :dead] = -1.0
    (finding,) = findings.dead(top(maps), 0.1, 0.5, 20)
    assert (finding.verdict, finding.message) == (verdict, message)


def test_channels_that_are_not_finite_are_not_dead():
    maps = noise()
    maps[:, :5] = np.nan
    maps[:, 5:8] = 0.0
    (finding,) = findings.dead(top(maps), 0.1, 0.5, 20)
    assert finding.value == 3 / 20
    assert "Channels: 5, 6, 7." in finding.detail


def test_without_a_rectifier_no_channel_can_be_dead():
    (finding,) = findings.dead(top(noise(), floor=-math.inf), 0.1, 0.5, 20)
    assert (finding.verdict, finding.message) == (SKIP, "no rectifier follows the layers: no channel can be dead")


@pytest.mark.parametrize(
    ("copies", "images", "verdict", "message"),
    [
        (0, 24, PASS, "no channel has the same best patches as another channel"),
        (1, 24, PASS, "at most 1 of 20 channels of a layer has the same best patches as another channel"),
        (2, 24, WARN, "2 of 20 channels have the same best patches as another channel"),
        (2, 20, WARN, "2 of 20 channels have the same best patches as another channel"),
        (2, 19, SKIP, "19 images are too few to compare the best patches of channels (20 needed)"),
    ],
)
def test_channels_with_the_patches_of_another_are_judged_by_their_share(copies, images, verdict, message):
    maps = noise(images)
    maps[:, 1 : 1 + copies] = 2 * maps[:, :1]
    (finding,) = findings.duplicate(top(maps), 0.05, 20)
    assert (finding.verdict, finding.message) == (verdict, message)
    assert finding.detail.endswith("Channels: 1, 2.") is (verdict is WARN)


def test_duplicates_need_as_many_images_as_patches():
    (finding,) = findings.duplicate(top(noise(24), count=25), 0.05, 20)
    assert finding.message == "24 images are too few to compare the best patches of channels (25 needed)"


@pytest.mark.parametrize(
    ("tied", "images", "verdict", "message"),
    [
        (0, 24, PASS, "no channel has all its best patches at the border of the image"),
        (10, 24, PASS, "at most 10 of 20 channels of a layer have all their best patches at the border of the image"),
        (11, 24, WARN, "11 of 20 channels have all their best patches at the border of the image"),
        (11, 19, SKIP, "19 images are too few to judge where channels respond most (20 needed)"),
    ],
)
def test_channels_tied_to_the_border_are_judged_by_their_share(tied, images, verdict, message):
    maps = noise(images)
    maps[:, :tied, 0, 3] = 9.0 + np.arange(images)[:, None]
    (finding,) = findings.corner(top(maps, count=9), 0.5, 20)
    assert (finding.verdict, finding.message) == (verdict, message)


def test_so_few_patches_that_chance_puts_them_on_the_border_say_nothing():
    maps = noise()
    maps[:, :, 0, 3] = 9.0
    (finding,) = findings.corner(top(maps, count=3), 0.5, 20)  # 28 of 64 places are on the border
    assert (finding.verdict, finding.value) == (PASS, 0.0)


@pytest.mark.parametrize(("size", "verdict"), [(4, SKIP), (5, PASS)])
def test_of_maps_that_are_nearly_all_border_none_is_judged(size, verdict):
    (finding,) = findings.corner(top(noise(size=size)), 0.5, 20)
    assert finding.verdict is verdict
    assert verdict is PASS or finding.message == "no map has at least 5 rows and columns"


def pure(maps, labels, copies=(), **options):
    return findings.class_pure(top(maps, **options), labels, copies, ["cat", "dog"])


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (0, "0 of 4 channels have their 3 best patches from images of one class (0.87 expected by chance)"),
        (1, "1 of 4 channels has its 3 best patches from images of one class (0.87 expected by chance)"),
        (2, "2 of 4 channels have their 3 best patches from images of one class (0.87 expected by chance)"),
    ],
)
def test_channels_of_one_class_are_counted_and_compared_with_chance(channels, message):
    labels = [0, 1] * 12
    maps = np.full((24, 4, 6, 6), 0.1, np.float32)
    maps[:3, :] += np.arange(3, 0, -1, dtype=np.float32)[:, None, None, None]  # one dog among the best three
    maps[1::2, :channels] = 0.0
    finding = pure(maps, labels)
    assert (finding.verdict, finding.value, finding.message) == (INFO, channels, message)
    assert finding.detail == ["", "cat: conv:0", "cat: conv:0, conv:1"][channels]


@pytest.mark.parametrize(
    ("labels", "copies", "options"),
    [
        ([0] * 24, (), {}),
        ([None] * 24, (), {}),
        ([0, 1] * 12, (), {"each": 2}),
        ([0, 1] * 12, range(2, 24), {}),
    ],
    ids=["one class", "no labels", "several patches an image", "too few images"],
)
def test_what_can_not_be_compared_with_chance_is_skipped(labels, copies, options):
    finding = pure(noise(channels=4), labels, copies, **options)
    assert finding.verdict is SKIP
    assert finding.message == "needs one patch an image, at least 3 images and at least 2 classes"

"""Where the evidence lies, and whether what lies there is the same in all images."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from auditor.methods.occlusion.occluder import Occluder
from auditor.methods.occlusion.windows import Windows
from auditor.methods.shortcuts.constancy import aligned, in_windows, shared
from auditor.methods.shortcuts.evidence_shares import (
    gradient_shares,
    occluded_shares,
    ring,
    share_inside,
    shares_of,
    strongest,
)
from auditor.methods.shortcuts.log_odds import LogOdds, log_odds

WINDOWS = Windows.of((16, 16), window=4, stride=2)


@pytest.fixture
def linear():
    """Two classes told apart by a linear reader: what a window takes away is what its pixels add up to."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 2)).eval()
    images = torch.randn(5, 3, 16, 16)
    return net, images, torch.zeros_like(images), torch.tensor([0, 1, 0, 1, 1])


def by_hand(net, images, classes):
    """Return what each window adds to the log-odds, as shares of what is above zero."""
    slopes = (net[1].weight[0] - net[1].weight[1]).view(3, 16, 16)
    signs = 1.0 - 2 * classes
    pixels = (signs[:, None, None, None] * slopes * images).sum(1).detach()
    sums = torch.stack([
        torch.stack([pixels[:, y : y + 4, x : x + 4].sum((1, 2)) for x in range(0, 13, 2)], 1)
        for y in range(0, 13, 2)
    ], 1)  # fmt: skip
    positive = sums.clamp(min=0)
    return positive / positive.sum((1, 2), keepdim=True)


def test_of_a_linear_network_occlusion_and_gradient_tell_the_same(linear):
    net, images, fill, classes = linear
    expected = by_hand(net, images, classes)
    occluder = Occluder(net, images, window=4, stride=2)
    torch.testing.assert_close(occluded_shares(occluder, images, fill, classes), expected, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(gradient_shares(net, images, fill, classes, WINDOWS), expected, atol=1e-4, rtol=1e-3)


def test_the_strongest_window_is_the_one_that_costs_the_most(linear):
    net, images, fill, classes = linear
    expected = by_hand(net, images, classes).flatten(1)
    found = strongest(net, images, fill, classes, expected.view(-1, 7, 7), WINDOWS)
    assert found.tolist() == expected.argmax(1).tolist()
    misled = torch.rand(5, 7, 7, generator=torch.Generator().manual_seed(1)) * 0.1
    misled.view(5, -1).scatter_(1, expected.argmax(1, keepdim=True), 0.09)  # among the first, and not the first
    misled.view(5, -1)[:, :40] = misled.view(5, -1)[:, :40].clamp(max=0.05)
    tried = strongest(net, images, fill, classes, misled, WINDOWS, tried=49)
    assert tried.tolist() == expected.argmax(1).tolist()


def test_log_odds_are_those_of_the_probability():
    scores = torch.tensor([[2.0, -1.0, 0.5], [1000.0, 990.0, 0.0]])
    found = log_odds(scores, torch.tensor([2, 0]))
    share = scores[0].double().softmax(0)[2]
    assert found[0].item() == pytest.approx(math.log(share / (1 - share)), abs=1e-6)
    assert found[1].item() == pytest.approx(10.0)  # where the probability is 1 to the last bit


def test_log_odds_need_a_second_class():
    with pytest.raises(ValueError, match="at least two classes"):
        log_odds(torch.zeros(1, 1), torch.tensor([0]))


def test_a_model_of_log_odds_has_one_score(linear):
    net, images, _fill, classes = linear
    model = LogOdds(net, classes)
    assert model.module is net
    torch.testing.assert_close(model(images)[:, 0], log_odds(net(images), classes))


def test_the_share_of_a_place_is_what_it_takes_of_both():
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2, bias=False)).eval()
    net[1].weight.data = torch.stack([torch.ones(16), torch.zeros(16)])
    place = torch.zeros(4, 4, dtype=torch.bool)
    place[0] = True
    images = torch.stack([torch.ones(1, 4, 4), torch.zeros(1, 4, 4)])
    found = share_inside(net, images, torch.zeros_like(images), torch.tensor([0, 0]), place, batch=1)
    assert found[0].item() == pytest.approx(4 / 16)
    assert found[1].isnan()


def test_no_evidence_is_no_share():
    drops = torch.tensor([[[-1.0, -2.0]], [[1.0, torch.nan]], [[3.0, 1.0]]])
    found = shares_of(drops)
    assert found[:2].isnan().all()
    assert found[2].tolist() == [[0.75, 0.25]]


def test_the_ring_is_as_wide_as_asked_and_a_pixel_at_least():
    assert int(ring((32, 16), 1 / 8).sum()) == 32 * 16 - 24 * 12
    assert int(ring((5, 5), 0.01).sum()) == 16


def test_a_printed_mark_is_constant_and_what_differs_is_not():
    random = torch.Generator().manual_seed(0)
    images, others = torch.rand(2, 20, 3, 16, 16, generator=random)
    images[:, :, 2:6, 2:6] = torch.tensor([1.0, 0.0, 1.0])[:, None, None]
    images[:, :, 10:14, 10:14] += 0.3  # brighter, and still as varied
    found = shared(images, others).by_window(WINDOWS)
    assert found[1, 1] == pytest.approx(1.0, abs=0.01)
    assert found[5, 5] < 0.65
    assert found[1, 5] < 0.3


def test_a_mark_that_lets_the_image_through_is_constant_too():
    random = torch.Generator().manual_seed(0)
    images, others = torch.rand(2, 20, 3, 16, 16, generator=random)
    images[:, :, 2:6, 2:6] = images[:, :, 2:6, 2:6] * 0.4 + 0.6
    assert shared(images, others).by_window(WINDOWS)[1, 1] > 0.75


def test_a_place_that_nothing_sets_apart_has_no_constancy():
    black = torch.zeros(5, 1, 16, 16)
    found = shared(black, black)
    assert found.by_window(WINDOWS).max() == 0
    assert found.at(ring((16, 16), 1 / 8)) == 0


def test_a_mark_at_varying_places_is_constant_once_it_is_moved_to_fit():
    random = np.random.default_rng(0)
    images, others = torch.tensor(random.random((2, 20, 1, 16, 16))).float() * 0.3
    numbers = []
    for image in images:
        row, col = random.integers(1, 6, 2)
        top, left = (2 * row + random.integers(-1, 2), 2 * col + random.integers(-1, 2))
        image[:, top : top + 4, left : left + 4] = torch.eye(4) * 0.7 + 0.3
        numbers.append(int(row * 7 + col))
    assert aligned(images, others, WINDOWS, torch.tensor(numbers)) > 0.95
    noise = torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    assert aligned(noise * 2, others, WINDOWS, torch.tensor(numbers)) < 0.9


def strokes(random, spread):
    """Return images with a bar each that is now here, now there, by so many pixels either way, and their windows."""
    images, numbers = torch.zeros(20, 1, 16, 16), []
    for image in images:
        top, left = 6 + random.integers(-spread, spread + 1, 2)
        image[:, top : top + 2, left : left + 4] = 1.0
        numbers.append(min(6, max(0, (top - 1) // 2)) * 7 + min(6, max(0, left // 2)))
    return images, torch.tensor(numbers)


def test_parts_of_objects_that_lie_about_one_place_are_not_moved_to_fit():
    images, numbers = strokes(np.random.default_rng(0), 1)
    others = torch.zeros_like(images)
    assert aligned(images, others, WINDOWS, numbers) > 0.95
    assert in_windows(images, others, WINDOWS, numbers) < 0.7


def test_what_lies_all_over_the_image_is_moved_to_fit():
    images, numbers = strokes(np.random.default_rng(0), 6)
    others = torch.zeros_like(images)
    assert in_windows(images, others, WINDOWS, numbers) == aligned(images, others, WINDOWS, numbers) > 0.95


@pytest.mark.parametrize("count", [0, 1])
def test_constancy_needs_images_that_may_vary(count):
    few, many = torch.zeros(count, 1, 16, 16), torch.zeros(3, 1, 16, 16)
    with pytest.raises(ValueError, match="too few: at least two"):
        shared(few, many)
    with pytest.raises(ValueError, match="too few: at least two"):
        aligned(few, few, WINDOWS, torch.zeros(count, dtype=torch.int64))

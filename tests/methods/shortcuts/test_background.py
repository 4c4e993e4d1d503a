import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from auditor.methods.occlusion.windows import Windows
from auditor.methods.shortcuts.background import Background, background, least, mirrored

SIZES = [((12, 12), 3, 2), ((9, 14), 2, 1), ((15, 8), 2, 2)]


def quarters(height, width):
    """Return the pixels of each quarter: upper left, upper right, lower left, lower right."""
    lower, right = np.arange(height) >= height / 2, np.arange(width) >= width / 2
    return [np.ix_(rows, cols) for rows in (~lower, lower) for cols in (~right, right)]


@pytest.mark.parametrize(("size", "window", "stride"), SIZES)
def test_each_quarter_shows_its_window_reflected_at_its_edges(size, window, stride):
    windows = Windows.of(size, window=window, stride=stride)
    random = np.random.default_rng(0)
    images = random.normal(size=(5, 2, *size)).astype(np.float32)
    corners = random.integers(0, len(windows), (5, 4))
    found = mirrored(torch.from_numpy(images), windows, torch.from_numpy(corners)).numpy()
    for image, chosen, shown in zip(images, corners, found, strict=True):
        for number, quarter in zip(chosen, quarters(*size), strict=True):
            top, left = windows.rows[number // len(windows.cols)], windows.cols[number % len(windows.cols)]
            patch = image[:, top : top + window, left : left + window]
            reach = (top, size[0] - top - window), (left, size[1] - left - window)
            tiled = np.pad(patch, ((0, 0), *reach), mode="symmetric")
            assert (shown[:, *quarter] == tiled[:, *quarter]).all()


@pytest.mark.parametrize(("size", "window", "stride"), SIZES)
def test_the_window_of_a_quarter_is_the_one_on_the_border_with_the_least_evidence(size, window, stride):
    windows = Windows.of(size, window=window, stride=stride)
    shares = torch.rand(20, *windows.grid, generator=torch.Generator().manual_seed(1))
    found = least(shares, windows).tolist()
    for one, chosen in zip(shares, found, strict=True):
        best = [(math.inf, -1)] * 4
        for row, top in enumerate(windows.rows):
            for col, left in enumerate(windows.cols):
                if row in {0, windows.grid[0] - 1} or col in {0, windows.grid[1] - 1}:
                    lower, right = top + window / 2 > size[0] / 2, left + window / 2 > size[1] / 2
                    place = 2 * lower + right
                    best[place] = min(best[place], (float(one[row, col]), row * windows.grid[1] + col))
        assert chosen == [number for _share, number in best]


def test_of_windows_without_evidence_the_first_is_taken():
    windows = Windows.of((8, 8), window=2, stride=2)
    assert least(torch.zeros(1, 4, 4), windows).tolist() == [[0, 2, 8, 11]]  # row 2, column 2 is not at the border


def red(share):
    return torch.stack([torch.full((8, 8), share), torch.zeros(8, 8)])


def reader(places):
    """Return a network of two classes: the first is that of images that are red at some places."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(128, 2)).eval()
    weight = torch.zeros(2, 2, 8, 8)
    weight[0, 0, places] = 1 / int(places.sum())
    net[1].weight.data, net[1].bias.data = weight.flatten(1), torch.tensor([-0.5, 0.0])
    return net


@pytest.fixture
def scene():
    """Red surroundings, those of two other classes, and objects that are not red in the middle."""
    middle = torch.zeros(8, 8, dtype=torch.bool)
    middle[2:6, 2:6] = True
    own, other, third = (red(share).expand(20, -1, -1, -1) for share in (1.0, 0.1, 0.2))
    return middle, own, other, third, red(0.0).expand(20, -1, -1, -1), middle.expand(20, -1, -1)


def test_a_network_that_looks_at_the_surroundings_is_told(scene):
    middle, *images = scene
    found = background(reader(~middle), *images, 0)
    assert found.alone.all()
    assert found.around.all()
    assert not found.alone_control.any()
    assert not found.around_control.any()
    assert found.mostly
    assert found.chance == pytest.approx(2.0**-20)


def test_a_network_that_looks_at_the_object_is_not_accused_though_it_answers_to_surroundings_alone(scene):
    middle, *images = scene
    found = background(reader(middle), *images, 0)
    assert found.alone.all()
    assert not found.around.any()
    assert not found.around_raised.any()
    assert not found.mostly
    assert found.chance == 1.0


def test_surroundings_that_are_all_the_same_tell_nothing(scene):
    middle, own, _other, _third, objects, regions = scene
    found = background(reader(~middle), own, own, own, objects, regions, 0)
    assert found.mostly  # the network answers with the class, whatever the surroundings are of
    assert found.chance == 1.0


def test_answers_and_log_odds_are_those_of_images_made_pixel_by_pixel():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 64, 3)).eval()
    own, other, third, objects = torch.randn(4, 30, 2, 10, 10) * 2
    regions = torch.rand(30, 10, 10) < 0.5
    found = background(net, own, other, third, objects, regions, 2, batch=7)

    def told(images):
        with torch.no_grad():
            shares = net(images).double().softmax(1)
        return (shares.argmax(1) == 2).tolist(), shares[:, 2].logit().numpy()

    def laid(grounds):
        return torch.stack([g * ~r + o * r for g, o, r in zip(grounds, objects, regions, strict=True)])

    (alone, odds), (alone_control, usual) = told(own), told(other)
    (around, odds_around), (around_control, usual_around) = told(laid(own)), told(laid(third))
    assert (found.alone.tolist(), found.alone_control.tolist()) == (alone, alone_control)
    assert (found.around.tolist(), found.around_control.tolist()) == (around, around_control)
    assert found.alone_raised.tolist() == (odds > usual).tolist()
    assert found.around_raised.tolist() == (odds_around > usual_around).tolist()


def test_scores_that_are_no_numbers_count_for_nothing(scene):
    middle, own, *rest = scene
    found = background(reader(~middle), own * torch.nan, *rest, 0)
    assert not (found.alone | found.around | found.alone_raised | found.around_raised).any()
    assert found.chance == 1.0


def made(alone=20, alone_control=0, around=20, around_control=0, alone_raised=20, around_raised=20):
    counts = (alone, alone_control, around, around_control, alone_raised, around_raised)
    return Background(*(np.arange(20) < count for count in counts))


@pytest.mark.parametrize(
    ("changed", "hits", "n"),
    [
        ({}, 20, 20),
        ({"alone": 6}, 6, 6),
        ({"alone_control": 13}, 7, 7),
        ({"around": 9, "around_control": 1}, 8, 8),
        ({"alone_raised": 14}, 14, 20),
        ({"around_raised": 9}, 9, 20),
    ],
)
def test_the_chance_is_that_of_the_weakest_of_four_sign_tests(changed, hits, n):
    assert made(**changed).chance == pytest.approx(binomtest(hits, n, alternative="greater").pvalue)


@pytest.mark.parametrize(
    ("alone", "around", "mostly"), [(11, 11, True), (10, 20, False), (20, 10, False), (0, 0, False)]
)
def test_most_is_more_than_half_both_alone_and_around_objects(alone, around, mostly):
    assert made(alone=alone, around=around).mostly is mostly

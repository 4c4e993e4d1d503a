import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from torch import nn

from auditor.methods.shortcuts.exchange import Exchange, exchange


@pytest.fixture
def drawn():
    """A network of noise, images of noise, and places that differ from pair to pair."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 64, 3)).eval()
    own, other, third, mates = torch.randn(4, 30, 2, 10, 10) * 2
    places, elsewhere = torch.rand(2, 30, 10, 10) < 0.5
    return net, own, other, third, mates, places, elsewhere


def by_hand(net, base, content, place, target):
    """Answer each pair by itself, pixel by pixel."""
    flips, odds = [], []
    for image, giver, where in zip(base, content, place, strict=True):
        mixed = image.clone()
        for y in range(10):
            for x in range(10):
                if where[y, x]:
                    mixed[:, y, x] = giver[:, y, x]
        with torch.no_grad():
            share = net(mixed[None])[0].double().softmax(0)
        flips.append(int(share.argmax()) == target)
        odds.append(math.log(share[target] / (1 - share[target])))
    return np.array(flips), np.array(odds)


@pytest.mark.parametrize("target", [0, 2])
def test_flips_are_those_of_exchanging_pixel_by_pixel(drawn, target):
    net, own, other, third, mates, places, elsewhere = drawn
    found = exchange(net, own, other, target, places, third=third, mates=mates, elsewhere=elsewhere, batch=7)
    kept, left = by_hand(net, own, other, places, target)
    won, reached = by_hand(net, other, own, places, target)
    foreign, foreign_odds = by_hand(net, other, third, places, target)
    away, away_odds = by_hand(net, other, own, elsewhere, target)
    still, still_odds = by_hand(net, own, other, elsewhere, target)
    assert found.lost.tolist() == (~kept).tolist()
    assert found.won.tolist() == won.tolist()
    assert [control.tolist() for control in found.won_controls] == [foreign.tolist(), away.tolist()]
    assert found.lost_control.tolist() == (~still).tolist()
    assert found.fallen.tolist() == (left < still_odds).tolist()
    assert found.raised.tolist() == (reached > np.maximum(foreign_odds, away_odds)).tolist()


def test_without_another_place_images_of_the_class_are_the_control(drawn):
    net, own, other, third, mates, places, _elsewhere = drawn
    found = exchange(net, own, other, 1, places, third=third, mates=mates)
    assert len(found.won_controls) == 1
    assert found.lost_control.tolist() == (~by_hand(net, own, mates, places, 1)[0]).tolist()


def flips(count, n=20):
    return np.arange(n) < count


def made(lost=20, won=20, kept=0, control=0, fallen=20, raised=20):
    counts = [flips(count) for count in (lost, won, kept, control, fallen, raised)]
    return Exchange(counts[0], counts[1], counts[2], (flips(0), counts[3]), counts[4], counts[5])


@pytest.mark.parametrize(
    ("changed", "hits", "n"),
    [
        ({}, 20, 20),
        ({"lost": 6}, 6, 6),
        ({"won": 7}, 7, 7),
        ({"lost": 12, "kept": 4}, 8, 8),
        ({"control": 15}, 5, 5),
        ({"fallen": 14}, 14, 20),
        ({"raised": 9}, 9, 20),
    ],
)
def test_the_chance_is_that_of_the_weakest_of_all_sign_tests(changed, hits, n):
    expected = binomtest(hits, n, alternative="greater").pvalue
    assert made(**changed).chance == pytest.approx(expected)


@pytest.mark.parametrize(("changed", "hits"), [({}, 20), ({"fallen": 14}, 14), ({"raised": 9}, 9)])
def test_the_score_may_go_along_where_no_answer_does(changed, hits):
    expected = binomtest(hits, 20, alternative="greater").pvalue
    assert made(won=0, lost=0, **changed).chance_of_score == pytest.approx(expected)


def test_that_most_are_lost_is_tested_apart():
    found = made(lost=12)
    assert found.chance < 0.001
    assert found.chance_of_most == pytest.approx(binomtest(12, 20, alternative="greater").pvalue)


def test_a_score_that_is_no_number_is_no_answer():
    images = torch.zeros(4, 1, 2, 2)
    images[1] = torch.nan
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    nn.init.constant_(net[1].weight, 1.0)
    net[1].bias.data = torch.tensor([0.0, 5.0])
    places = torch.zeros(4, 2, 2, dtype=torch.bool)
    found = exchange(net, images, images, 1, places, third=images, mates=images)
    assert found.won.tolist() == [True, False, True, True]
    assert found.lost.tolist() == [False, True, False, False]
    assert not found.raised[1]

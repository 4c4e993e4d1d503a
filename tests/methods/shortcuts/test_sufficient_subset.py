import numpy as np
import pytest
import torch
from torch import nn

from auditor.methods.sanity.faithfulness import cells_of
from auditor.methods.shortcuts.log_odds import log_odds
from auditor.methods.shortcuts.sufficient_subset import sufficient

CELLS = cells_of((8, 12), 2)  # 4 x 6


@pytest.fixture
def drawn():
    """A random network of three classes, images, what fills them, and orders of their cells."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 60, 3)).eval()
    images, fill = torch.randn(2, 25, 2, 8, 12) * 2
    with torch.no_grad():
        classes = net(images).argmax(1)
    return net, images, fill, classes, torch.stack([torch.randperm(24) for _ in range(25)])


def enough(net, image, fill, target, cells):
    """Say whether some cells of one image are enough, laid by hand."""
    shown = fill.clone()
    for cell in cells:
        shown[:, cell == CELLS] = image[:, cell == CELLS]
    with torch.no_grad():
        scores = net(torch.stack([image, shown]))
    before, after = log_odds(scores, target.expand(2))
    return bool(scores[1].argmax() == target and after >= min(before, before / 2))


def test_the_cells_are_enough_and_one_fewer_is_not(drawn):
    net, images, fill, classes, orders = drawn
    found = sufficient(net, images, fill, classes, orders, CELLS, batch=7)
    counts = []
    for i, order in enumerate(orders):
        shown = torch.unique(CELLS[found[i]])
        counts.append(len(shown))
        assert sorted(order[: len(shown)].tolist()) == shown.tolist()
        assert enough(net, images[i], fill[i], classes[i], order[: len(shown)])
        assert len(shown) == 1 or not enough(net, images[i], fill[i], classes[i], order[: len(shown) - 1])
    assert 1 < np.median(counts) < 24


def test_of_a_linear_network_it_is_the_fewest_cells_that_hold_half_of_the_log_odds():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Flatten(), nn.Linear(96, 2, bias=False)).eval()
    net[1].weight.data[1] = 0
    images, fill = torch.rand(30, 1, 8, 12), torch.zeros(30, 1, 8, 12)
    net[1].weight.data[0].abs_()  # each cell adds to the log-odds, the more the earlier it comes
    held = torch.stack([(images[:, 0] * net[1].weight[0].view(8, 12))[:, c == CELLS].sum(1) for c in range(24)], 1)
    orders = held.argsort(1, descending=True)
    found = sufficient(net, images, fill, torch.zeros(30, dtype=torch.long), orders, CELLS)
    reached = held.gather(1, orders).cumsum(1)
    fewest = (reached < held.sum(1, keepdim=True) / 2).sum(1) + 1
    assert found.flatten(1).sum(1).tolist() == (4 * fewest).tolist()


def test_where_nothing_less_is_enough_it_is_the_whole_image():
    net = nn.Sequential(nn.Flatten(), nn.Linear(96, 2)).eval()
    net[1].weight.data = torch.stack([torch.full((96,), 1.0), torch.zeros(96)])
    net[1].bias.data = torch.tensor([-95.0, 0.0])  # one pixel of 96 less, and it is the other class
    images, fill = torch.ones(3, 1, 8, 12), torch.zeros(3, 1, 8, 12)
    found = sufficient(net, images, fill, torch.zeros(3, dtype=torch.long), torch.arange(24).expand(3, -1), CELLS)
    assert found.all()


def test_a_class_that_is_answered_without_any_object_needs_one_cell():
    net = nn.Sequential(nn.Flatten(), nn.Linear(96, 2)).eval()
    net[1].weight.data, net[1].bias.data = torch.zeros(2, 96), torch.tensor([1.0, 0.0])
    images, fill = torch.ones(3, 1, 8, 12), torch.zeros(3, 1, 8, 12)
    found = sufficient(net, images, fill, torch.zeros(3, dtype=torch.long), torch.arange(24).expand(3, -1), CELLS)
    assert (found == (CELLS == 0)).all()


def test_what_is_answered_with_little_certainty_may_be_less_than_even_still():
    net = nn.Sequential(nn.Flatten(), nn.Linear(96, 3)).eval()
    net[1].weight.data, net[1].bias.data = torch.zeros(3, 96), torch.zeros(3)
    net[1].weight.data[0] = 0.1 / 96  # ahead of two others, and behind both together
    images, fill = torch.ones(1, 1, 8, 12), torch.zeros(1, 1, 8, 12)
    found = sufficient(net, images, fill, torch.zeros(1, dtype=torch.long), torch.arange(24)[None], CELLS)
    assert found.all()

import dataclasses

import pytest
import torch
from torch import nn

from auditor.model.folding import folded
from auditor.model.network import Network

SHAPE = (3, 16, 16)


class Small(nn.Module):
    """Two convolutions, each with a batch norm whose numbers are far from those of a fresh one."""

    def __init__(self, *, affine=True, bias=True):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, bias=bias), nn.BatchNorm2d(8, affine=affine)
        self.second, self.other = nn.Conv2d(8, 8, 3, groups=4), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 5)
        for norm in (self.norm, self.other):
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.2, 4)
            if norm.affine:
                nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)

    def forward(self, images):
        maps = self.norm(self.first(images)).relu()
        return self.head(self.other(self.second(maps)).relu().mean((2, 3)))


class Peeking(Small):
    """It also uses what the first convolution gives before its normalisation."""

    def forward(self, images):
        maps = self.first(images)
        return self.head((self.norm(maps).relu() + maps).mean((2, 3)))


class Twice(Small):
    """It uses a convolution twice, each time with another normalisation."""

    def forward(self, images):
        maps = self.norm(self.first(images)).relu() + self.other(self.first(images.flip(3))).relu()
        return self.head(maps.mean((2, 3)))


def network(module):
    torch.manual_seed(3)
    return Network.of(module.eval().requires_grad_(False), SHAPE, torch.device("cpu"), amp=False)


def norms(found):
    return sum(isinstance(module, nn.BatchNorm2d) for module in found.module.modules())


def test_a_copy_gives_the_same_scores_and_gradients_without_normalisations():
    torch.manual_seed(0)
    whole = network(Small())
    found = folded(whole)
    assert (norms(whole), norms(found)) == (2, 0)
    images = torch.randn(4, *SHAPE)
    slopes = []
    for one in (whole, found):
        leaf = images.clone().requires_grad_()
        scores = one.scores(leaf)
        (slope,) = torch.autograd.grad(scores[:, 2].sum(), leaf)
        slopes.append((scores.detach(), slope))
    for before, after in zip(*slopes, strict=True):
        torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", [{"affine": False}, {"bias": False}], ids=["no-affine", "no-bias"])
def test_takes_convolutions_and_normalisations_that_lack_a_part(how):
    torch.manual_seed(0)
    whole = network(Small(**how))
    found = folded(whole)
    assert norms(found) == 0
    images = torch.randn(4, *SHAPE)
    torch.testing.assert_close(found.scores(images), whole.scores(images), rtol=1e-4, atol=1e-5)


def test_the_network_itself_stays_as_it_is():
    torch.manual_seed(0)
    whole = network(Small())
    before = {name: values.clone() for name, values in whole.module.state_dict().items()}
    folded(whole)
    after = whole.module.state_dict()
    assert list(before) == list(after)
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("kind", [Peeking, Twice])
def test_is_the_network_itself_where_the_scores_would_be_others(kind):
    torch.manual_seed(0)
    whole = network(kind())
    assert folded(whole) is whole


def test_is_the_network_itself_without_normalisations_or_in_mixed_precision():
    plain = network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 14 * 14, 3)))
    assert folded(plain) is plain
    mixed = dataclasses.replace(network(Small()), amp=True)
    assert folded(mixed) is mixed


def test_is_the_network_itself_where_it_can_not_be_copied():
    class Unique(Small):
        def __deepcopy__(self, memo):
            raise TypeError("there is only one of me")

    whole = network(Unique())
    assert folded(whole) is whole

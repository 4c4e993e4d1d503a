"""Networks whose scores depend on chance or on the batch, and sound ones."""

import random

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from auditor.model.network import Network
from auditor.model.stability import drawing_operators, stability
from tests import networks


class Drawing(nn.Module):
    """A convolution and a head, and something between them."""

    def __init__(self, between) -> None:
        super().__init__()
        self.conv, self.head, self.between = nn.Conv2d(3, 8, 3), nn.Linear(8, 4), between

    def forward(self, x):
        return self.head(self.between(self, self.conv(x)).mean((2, 3)))


CHANCE = {
    "bernoulli": lambda net, x: F.dropout(x, 0.5),
    "randn_like": lambda net, x: x + torch.randn_like(x),
    "randint": lambda net, x: x * int(torch.randint(1, 1000, ())),
    "": lambda net, x: x * random.random(),  # noqa: S311 - no secret
}


def network(module: nn.Module) -> Network:
    return Network.of(module.eval(), (3, 32, 32), torch.device("cpu"), amp=False)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("operator", CHANCE)
def test_chance_is_found_with_the_operator_that_draws(images, operator):
    net = network(Drawing(CHANCE[operator]))
    found = stability(net, images, seed=0)
    assert found.by_chance.all()
    assert found.operators == drawing_operators(net) == ((operator,) if operator else ())


def test_a_norm_over_the_batch_is_found(images):
    found = stability(network(Drawing(lambda net, x: F.batch_norm(x, None, None, training=True))), images, seed=0)
    assert not found.by_chance.any()
    assert found.by_neighbours.all()


SOUND = {
    "dropout while training": lambda: Drawing(lambda net, x: F.dropout(x, 0.5, net.training)),
    "noise while training": lambda: Drawing(lambda net, x: x + torch.randn_like(x) if net.training else x),
    "attention": lambda: Drawing(lambda net, x: F.scaled_dot_product_attention(x, x, x)),
    "small": networks.Small,
    "spots": networks.spots,
    "unpooled": networks.unpooled,
}


@pytest.mark.parametrize("name", SOUND)
def test_sound_networks_are_stable(images, name):
    net = network(SOUND[name]())
    found = stability(net, images, seed=0)
    assert not (found.by_chance | found.by_neighbours | found.moved).any()
    assert drawing_operators(net) == ()


def test_leaves_the_streams_and_the_network_alone(images):
    net = network(Drawing(CHANCE["randn_like"]))
    torch.manual_seed(4)
    expected = torch.rand(1)
    torch.manual_seed(4)
    stability(net, images, seed=0)
    assert torch.equal(torch.rand(1), expected)

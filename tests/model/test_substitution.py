"""A network with other weights for a while is afterwards what it was."""

import torch
from torch import nn

from auditor.model.preserve import Snapshot
from auditor.model.substitution import distance, fitting, substituted
from tests import networks


def test_the_network_computes_with_the_others_and_is_given_back_as_it_was():
    net, other = networks.build(networks.Small).eval(), networks.build(networks.Small, seed=1).eval()
    net.to(memory_format=torch.channels_last)
    x, before = torch.randn(2, 3, 24, 24), Snapshot(net)
    places = [p.data_ptr() for p in net.parameters()]
    with torch.no_grad():
        own = net(x)
        with substituted(net, fitting(net, {f"module.{n}": t for n, t in other.state_dict().items()})):
            assert torch.allclose(net(x), other(x), atol=1e-6)
        assert torch.equal(net(x), own)
    assert before.changes() == []
    assert [p.data_ptr() for p in net.parameters()] == places


def test_it_is_given_back_after_an_error_too():
    net = nn.Linear(2, 2)
    before = Snapshot(net)
    try:
        with substituted(net, {"weight": torch.zeros(2, 2), "bias": torch.zeros(3), "more": torch.ones(1)}):
            assert not net.weight.any()
            raise ValueError
    except ValueError:
        assert before.changes() == []


def test_the_distance_is_relative_to_the_networks_own_norm():
    net = nn.Linear(2, 2)
    state = net.state_dict()
    assert distance(net, state) == 0
    assert abs(distance(net, {name: tensor * 0.9 for name, tensor in state.items()}) - 0.1) < 1e-6
    assert distance(net, {}) == 0

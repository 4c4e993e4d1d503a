"""A graph that was exported before is used again only as long as it is that of the network."""

import gc
import weakref

import pytest
import torch
from torch import nn

from auditor import methods
from auditor.methods.occlusion.incremental import last_export

IMAGE = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))


def network():
    torch.manual_seed(1)
    body = (nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU())
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)).eval()


def occluded(net, **how):
    return methods.occlusion(net, IMAGE, 1, window=6, stride=6, **how).drop


def in_place(net):
    with torch.no_grad():
        net[0].weight.mul_(-1)


def through_data(net):
    net[3].weight.data = -net[3].weight.data


def by_norm(net):
    net[1].running_mean.add_(1)


def by_module(net):
    net[4] = nn.Tanh()


def by_forward(net):
    net[2].forward = torch.sigmoid


def by_mode(net):
    net[1].train()
    net[1].eval()
    net[4].inplace = True


CHANGES = [in_place, through_data, by_norm, by_module, by_forward, by_mode]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_network_gives_its_own_maps(change):
    net = network()
    occluded(net)
    change(net)
    assert torch.allclose(occluded(net), occluded(net, incremental=False), atol=1e-5)


def test_a_network_is_exported_once(monkeypatch):
    net, exports = network(), []
    real = last_export.ends_of
    monkeypatch.setattr(last_export, "ends_of", lambda *given: exports.append(given) or real(*given))
    first = occluded(net)
    assert torch.equal(occluded(net), first)
    assert len(exports) == 1
    occluded(network())
    assert torch.equal(occluded(net), first)
    assert len(exports) == 3


def test_a_network_that_is_not_needed_any_more_is_forgotten():
    net = network()
    occluded(net)
    gone = weakref.ref(net)
    del net
    gc.collect()
    assert gone() is None
    assert last_export._last.export is None

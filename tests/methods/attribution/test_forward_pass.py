"""A forward pass that ends at a layer tells of it what a whole one tells."""

from itertools import product

import pytest
import torch
from torch import nn

from auditor.methods.attribution.forward_pass import record, record_up_to
from auditor.methods.attribution.gradients import sent_back, sent_back_from
from auditor.methods.attribution.rectifiers import Rule
from auditor.methods.attribution.targets import position_of
from auditor.model.layers import trace
from auditor.model.preserve import Snapshot
from auditor.unit import Unit


class Reusing(nn.Module):
    """Runs a convolution and a rectifier in place again and again, and counts how often its head runs."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.again, self.relu = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3), nn.ReLU(inplace=True)
        self.norm, self.head, self.heads = nn.BatchNorm2d(6), nn.Linear(6, 5), 0
        self.double()

    def forward(self, images):
        maps = self.relu(self.first(images))
        for _ in range(3):
            maps = self.relu(self.norm(self.again(maps))) * 2
        self.heads += 1
        return self.head(maps.mean((2, 3)))


class Forgiving(Reusing):
    """Goes another way after what it takes for an error."""

    def forward(self, images):
        try:
            return super().forward(images)
        except Exception:
            return self.head(self.relu(self.first(-images)).mean((2, 3)))


@pytest.fixture
def images():
    return torch.randn(2, 3, 14, 15, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


RUNS = {"first": 1, "again": 3, "norm": 3, "relu": 4}


@pytest.mark.parametrize("kind", [Reusing, Forgiving])
@pytest.mark.parametrize("layers", [("first",), ("again",), ("norm",), ("relu",), ("first", "norm")])
def test_is_what_a_whole_pass_gives(kind, layers, images):
    model = kind().eval()
    whole = record(model, images, layers=layers)
    heads = model.heads
    stretch = record_up_to(model, images, {name: RUNS[name] for name in layers})
    assert model.heads == heads
    assert not any(module._forward_hooks for module in model.modules())
    for name in layers:
        assert torch.equal(stretch.passages[name].values, whole.passages[name].values)
        assert stretch.passages[name].first == whole.passages[name].first


@pytest.mark.parametrize(("layer", "rule"), [("first", Rule.GRADIENT), *product(("again", "norm", "relu"), Rule)])
def test_sends_the_same_back_from_a_unit(layer, rule, images):
    model, unit = Reusing().eval(), Unit(layer, 2)
    position = position_of(unit, record(model, images, layers=(layer,)))
    found = sent_back_from(model, images, position, rule, runs=RUNS[layer])
    assert found.abs().sum() > 0
    assert torch.equal(found, sent_back(model, images, unit, rule)[:, 0])


def test_a_layer_that_runs_less_often_than_was_said_is_seen_in_a_whole_pass(images):
    model = Reusing().eval()
    found = record_up_to(model, images, {"again": 7}).passages["again"].values
    assert model.heads == 1
    assert torch.equal(found, record(model, images, layers=("again",)).passages["again"].values)


def test_the_table_of_layers_tells_how_often_each_runs(images):
    layers = trace(Reusing().eval(), images)
    assert {name: layers[name].runs for name in RUNS} == RUNS


def test_leaves_a_network_in_training_mode_as_it_was(images):
    model = Reusing().train()
    before = Snapshot(model)
    record_up_to(model, images, {"again": 2})
    assert before.changes() == []
    assert torch.is_grad_enabled()


def test_refuses_a_layer_that_does_not_run(images):
    model = Reusing()
    model.unused = nn.Identity()
    with pytest.raises(ValueError, match="layer 'unused' has no tensor as output"):
        record_up_to(model, images, {"unused": 1})
    with pytest.raises(ValueError, match="no layer 'agian'; did you mean 'again'"):
        record_up_to(model, images, {"agian": 1})

import pytest
import torch
import torch.nn.utils.prune
from torch import nn

from auditor.model.preserve import Snapshot


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2)).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def grad(model):
    model[0].weight.grad = torch.zeros_like(model[0].weight)


def exchange(model):
    model[2] = nn.Tanh()


def prune(model):
    torch.nn.utils.prune.l1_unstructured(model[4], "weight", 0.5)


def truncate(model):
    model[4].weight.data = model[4].weight.data[:1]


def patch(model):
    model[4].forward = lambda images: images


def rename(model):
    del model[0].weight


CHANGES = {
    "the values of 0.weight changed": lambda m: m[0].weight.data.add_(1e-7),
    "the values of 1.running_mean changed": lambda m: m[1].running_mean.add_(1),
    "0.weight.requires_grad is now True": lambda m: m[0].weight.requires_grad_(),
    "0.weight.grad was written": grad,
    "the hooks of 4 changed": lambda m: m[4].register_forward_hook(lambda *a: None),
    "the hooks of the network changed": lambda m: m.register_full_backward_hook(lambda *a: None),
    "1 is now in training mode": lambda m: m[1].train(),
    "2 was replaced": exchange,
    "0.weight was removed": rename,
    "extra was added": lambda m: m.add_module("extra", nn.Linear(2, 2)),
    "1.count was added": lambda m: m[1].register_buffer("count", torch.zeros(1)),
    "4.weight_orig was added": prune,
    "the values of 0.weight changed ": lambda m: m.double(),
    "the values of 4.weight changed": truncate,
    "4.forward changed": patch,
    "2.inplace changed": lambda m: setattr(m[2], "inplace", True),
    "4.weight was replaced": lambda m: setattr(m[4], "weight", nn.Parameter(m[4].weight.clone(), False)),
}


@pytest.mark.parametrize("phrase", CHANGES)
def test_names_what_changed_and_puts_it_back(model, phrase):
    images = torch.randn(2, 3, 3, 3)
    before, expected = Snapshot(model), model(images)
    CHANGES[phrase](model)
    assert phrase.strip() in before.changes()
    before.restore()
    assert before.changes() == []
    assert torch.equal(model(images), expected)


def test_finds_nothing_where_nothing_changed(model):
    before = Snapshot(model)
    with torch.no_grad():
        model(torch.randn(2, 3, 3, 3))
    assert before.changes() == []


def test_a_nan_is_equal_to_itself(model):
    model[0].weight[0, 0, 0, 0] = float("nan")
    assert Snapshot(model).changes() == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_holds_for_torchscript_too(model):
    scripted = torch.jit.script(model)
    before = Snapshot(scripted)
    assert before.changes() == []
    next(scripted.parameters()).data.add_(1)
    assert before.changes() == ["the values of 0.weight changed"]
    before.restore()
    assert before.changes() == []


class Counting(nn.Module):
    """Counts its forward passes in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("passes", torch.zeros(1))
        self.head = nn.Linear(3, 2)

    def forward(self, images):
        self.passes += 1
        return self.head(images.mean((2, 3)))


def test_what_a_network_changes_by_itself_is_put_back_and_is_no_change():
    model, images = Counting().eval(), torch.randn(1, 3, 4, 4)
    before = Snapshot(model, lambda: model(images))
    assert before.volatile == ("the values of passes changed",)
    model(images)
    assert before.changes() == []
    assert model.passes.item() == 0
    model.head.weight.data.add_(1)
    model(images)
    assert before.changes() == ["the values of head.weight changed"]

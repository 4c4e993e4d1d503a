import pytest
import torch
from torch import nn

from auditor.model.convolutions import convolutions
from auditor.model.layers import trace


class Backwards(nn.Module):
    """Runs its convolutions in another order than it registers them."""

    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(8, 6, 1)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.first = nn.Conv2d(3, 8, 3)
        self.single = nn.Conv2d(6, 1, 1)

    def forward(self, x):
        return self.single(self.last(self.depthwise(self.first(x)))).mean((2, 3))


def test_come_in_execution_order_and_know_their_neighbour():
    model = Backwards().eval()
    found = convolutions(model, trace(model, torch.zeros(1, 3, 9, 9)))
    assert [(c.name, c.depthwise, c.before_depthwise) for c in found] == [
        ("first", False, True),
        ("depthwise", True, False),
        ("last", False, False),
    ]
    assert found[0].kernels.shape == (8, 3, 3, 3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_are_found_in_torchscript_without_its_layers():
    found = convolutions(torch.jit.script(Backwards().eval()), [])
    assert {(c.name, c.depthwise) for c in found} == {("first", False), ("depthwise", True), ("last", False)}


def test_a_grey_first_layer_is_not_depthwise():
    model = nn.Sequential(nn.Conv2d(1, 4, 3))
    assert not convolutions(model, [])[0].depthwise

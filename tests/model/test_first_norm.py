import pytest
import torch
from torch import nn

from auditor.model.first_norm import first_norm, inputs_of
from auditor.model.network import Network


class Late(nn.Module):
    """Its first batch norm runs second of all its modules, and was registered last."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.later = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(6, 4, 3)
        self.first = nn.BatchNorm2d(6)
        self.conv = nn.Conv2d(3, 6, 3)
        self.runs = 0

    def forward(self, x):
        x = self.second(self.first(self.conv(x)).relu())
        self.runs += len(x)
        return self.head(self.later(x).mean((2, 3)))


def network(module):
    return Network.of(module.eval(), (3, 12, 12), torch.device("cpu"), amp=False)


@pytest.fixture
def late():
    torch.manual_seed(0)
    return network(Late())


def test_it_is_the_first_that_runs(late):
    assert first_norm(late).name == "first"


def test_the_inputs_are_those_of_each_image(late):
    images = torch.randn(5, 3, 12, 12)
    means, squares = inputs_of(late, first_norm(late), images)
    expected = late.module.conv(images).double()
    torch.testing.assert_close(means, expected.mean((2, 3)), atol=1e-6, rtol=0)
    torch.testing.assert_close(squares, (expected**2).mean((2, 3)), atol=1e-6, rtol=0)


def test_nothing_behind_it_is_computed_and_no_hook_stays(late):
    ran = late.module.runs
    inputs_of(late, first_norm(late), torch.randn(2, 3, 12, 12))
    assert late.module.runs == ran
    late.scores(torch.randn(2, 3, 12, 12))
    assert late.module.runs == ran + 2


def test_vectors_have_statistics_too():
    vectors = network(nn.Sequential(nn.Flatten(), nn.Linear(432, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)))
    means, squares = inputs_of(vectors, first_norm(vectors), torch.randn(3, 3, 12, 12))
    torch.testing.assert_close(means**2, squares)


@pytest.mark.parametrize("norm", [nn.Identity(), nn.GroupNorm(2, 4), nn.BatchNorm2d(4, track_running_stats=False)])
def test_without_running_statistics_there_is_none(norm):
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert first_norm(network(plain)) is None

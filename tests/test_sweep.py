import numpy as np
import pytest
import torch
from torch import nn

from auditor.collectors import ChannelStatistics, Predictions, Readability
from auditor.data.dataset import Loaded
from auditor.model.network import Network
from auditor.sweep import sweep

SHAPE = (3, 12, 12)


class Fussy(nn.Module):
    """A small network that runs out of memory on more than `most` images."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.relu, self.head = nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.Linear(5, 4)
        self.most = 1000

    def forward(self, images):
        hidden = self.relu(self.conv(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("planted")
        return self.head(hidden.mean((2, 3)))


@pytest.fixture
def network():
    return Network.of(Fussy().eval(), SHAPE, torch.device("cpu"), amp=False)


@pytest.fixture
def images(random):
    return torch.tensor(random.normal(size=(37, *SHAPE)), dtype=torch.float32)


def batches(images, size):
    labels = torch.arange(len(images)) % 5 - 1
    for at in range(0, len(images), size):
        rows = torch.arange(at, min(at + size, len(images)))
        yield Loaded(rows, images[rows], labels[rows], [(f"bad{at}.png", "empty")])


def swept(network, images, size):
    collectors = [Predictions(), Readability(), ChannelStatistics([network.layers["conv"]])]
    notes, seen = [], []
    broken = sweep(network, batches(images, size), collectors, seen=seen.append, note=notes.append)
    assert broken == {}
    return collectors, notes, sum(seen)


def test_agrees_with_storing_everything(network, images):
    (predictions, readability, statistics), _, seen = swept(network, images, 8)
    scores, conv = network.module(images).detach(), network.module.conv(images).detach()
    layer = network.layers["conv"]
    assert predictions.predicted.tolist() == np.bincount(scores.argmax(1), minlength=4).tolist()
    np.testing.assert_allclose(statistics.highest(layer), conv.amax((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(statistics.mean(layer), conv.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(statistics.active(layer), (conv > 0).float().mean((0, 2, 3)), rtol=1e-6)
    assert (readability.read, len(readability.unreadable), seen) == (37, 5, 42)


@pytest.mark.parametrize("size", [1, 5, 37])
def test_does_not_depend_on_the_batch_size(network, images, size):
    for one, other in zip(swept(network, images, size)[0], swept(network, images, 8)[0], strict=True):
        for name, values in one.state().items():
            if name != "unreadable":
                np.testing.assert_allclose(values, other.state()[name], rtol=1e-4, atol=1e-5)


def test_halves_the_batch_where_memory_runs_out_and_counts_nothing_twice(network, images):
    whole, _, _ = swept(network, images, 16)
    network.module.most = 3
    halved, notes, seen = swept(network, images, 16)
    assert notes[0] == "the device ran out of memory on a batch of 16 images; it was halved and repeated"
    assert seen == 37 + 3
    for one, other in zip(halved, whole, strict=True):
        for name, values in one.state().items():
            if values.dtype.kind != "U":
                np.testing.assert_allclose(values, other.state()[name], rtol=1e-4, atol=1e-5)
    assert halved[1].unreadable == whole[1].unreadable


def test_a_single_image_that_does_not_fit_is_an_error_and_leaves_no_hook(network, images):
    network.module.most = 0
    with pytest.raises(torch.OutOfMemoryError):
        swept(network, images, 4)
    assert not any(module._forward_hooks for module in network.module.modules())


def test_sees_the_output_before_an_in_place_rectifier_writes_over_it(network, images):
    (_, _, statistics), _, _ = swept(network, images, 8)
    assert statistics.mean(network.layers["conv"]).min() < 0

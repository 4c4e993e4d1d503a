"""The best images of each channel, against storing every activation and sorting."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.methods import top_activations
from auditor.methods.layers.top_activations import Ranking, peaks


def sorted_all(outputs, n):
    """Values, images and positions of the n best by a full sort of everything: `[n, c]`."""
    count, channels, _, columns = outputs.shape
    flat = outputs.flatten(2)
    values, places = flat.max(2).values, torch.from_numpy(flat.numpy().argmax(2))  # numpy takes the first of equals
    found = []
    for channel in range(channels):
        order = sorted(range(count), key=lambda image: (-float(values[image, channel]), image))[:n]
        found.append([(float(values[i, channel]), i, *divmod(int(places[i, channel]), columns)) for i in order])
    return found


def assert_equal(top, expected):
    for channel, rows in enumerate(expected):
        assert top.values[:, channel].tolist() == [value for value, _, _, _ in rows]
        assert top.images[:, channel].tolist() == [image for _, image, _, _ in rows]
        assert top.positions[:, channel].tolist() == [[row, col] for _, _, row, col in rows]


@given(
    st.integers(0, 2**31),
    st.integers(1, 30),
    st.integers(1, 7),
    st.integers(1, 9),
    st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
@settings(max_examples=60, deadline=None)
def test_agrees_with_sorting_everything_whatever_the_batches(seed, count, size, n, layout):
    random = torch.Generator().manual_seed(seed)
    images = torch.randint(-2, 4, (count, 3, 5, 4), generator=random).float()  # few values, so many are equal
    net = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
    found = top_activations(net, images.contiguous(memory_format=layout).clone().split(size), ["0"], n)["0"]
    expected = sorted_all(images, n)
    kept = min(n, count)
    assert_equal(type(found)(found.values[:kept], found.images[:kept], found.positions[:kept]), expected)
    assert (found.images[kept:] == -1).all()
    assert found.values[kept:].isneginf().all()


def test_takes_what_a_data_loader_gives_and_layers_without_maps():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    data = torch.utils.data.TensorDataset(torch.randn(11, 3, 8, 8), torch.zeros(11))
    found = top_activations(net, torch.utils.data.DataLoader(data, batch_size=4), ["0", "4"], 3)
    with torch.no_grad():
        assert_equal(found["0"], sorted_all(net[0](data.tensors[0]), 3))
        torch.testing.assert_close(found["4"].values, net(data.tensors[0]).topk(3, dim=0).values)
    assert found["4"].positions.abs().sum() == 0


def test_names_a_layer_that_is_not_there_or_not_run():
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    net.spare = nn.Conv2d(3, 4, 3)
    net.forward = lambda images: net[0](images)
    with pytest.raises(AttributeError, match="nothing"):
        top_activations(net, [torch.zeros(1, 3, 8, 8)], ["nothing"])
    with pytest.raises(ValueError, match="'spare' did not run for every batch"):
        top_activations(net, [torch.zeros(1, 3, 8, 8)], ["0", "spare"])
    with pytest.raises(ValueError, match="no images"):
        top_activations(net, [], ["0"])
    assert not net[0]._forward_hooks


def test_leaves_a_network_in_training_as_it_was():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout()).train()
    net[2].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    top_activations(net, [torch.randn(2, 3, 8, 8)], ["0"])
    assert [module.training for module in net.modules()] == [True, True, True, False]
    assert not net[0]._forward_hooks
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("value", [-0.0, 1e-42, -1e-42, 3.4e38, -3.4e38, 1.0])
def test_every_finite_number_comes_back_as_it_was(value):
    ranking = Ranking(1)
    ranking.add(np.full((1, 1, 1), value, np.float32), np.zeros((1, 1, 1), np.int32), np.array([2**32 - 1]))
    values, images, _ = ranking.best()
    assert values[0, 0] == np.float32(value)
    assert images[0, 0] == 2**32 - 1


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
def test_the_order_is_that_of_the_numbers(values):
    ranking = Ranking(len(values))
    column = np.array(values, np.float32)[:, None, None]
    ranking.add(column, np.zeros_like(column, np.int32), np.arange(len(values)))
    found, images, _ = ranking.best()
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert images[0].tolist() == order
    assert found[0].tolist() == [values[i] for i in order]


def test_a_half_precision_output_is_ranked_too():
    output = torch.randn(3, 4, 5, 5).bfloat16()
    found = peaks(output)
    assert found.values.dtype == torch.float32
    torch.testing.assert_close(found.values[:, :, 0], output.float().amax((2, 3)))


@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_what_has_no_hope_to_be_kept_may_as_well_not_be_there(seed, each, count):
    random = np.random.default_rng(seed)
    values = -np.sort(-random.integers(-3, 9, (200, 4, each)).astype(np.float32), axis=2)
    values[random.random(values.shape) < 0.05] = -np.inf
    places = np.broadcast_to(np.arange(each, dtype=np.int32), values.shape)
    at_once, one_by_one = Ranking(count, each), Ranking(count, each)
    at_once.add(values, places, np.arange(200))
    for image in range(200):
        one_by_one.add(values[image : image + 1], places[image : image + 1], np.array([image]))
    for one, other in zip(at_once.best(), one_by_one.best(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_maps_may_differ_in_size_from_batch_to_batch():
    small, large = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 10)
    large[0, 0, 2, 7], small[0, 0, 3, 1] = 5.0, 3.0
    found = top_activations(nn.Sequential(nn.Identity()), [large, small], ["0"], 2)["0"]
    assert found.positions[:, 0].tolist() == [[2, 7], [3, 1]]


class Sometimes(nn.Module):
    """Runs a layer on dark images only, or on more maps than there are images."""

    def __init__(self, twice=False):
        super().__init__()
        self.a, self.twice = nn.Conv2d(1, 1, 1), twice

    def forward(self, images):
        if self.twice:
            return self.a(torch.cat([images, images]))
        return images if images.mean() > 0 else self.a(images)


def test_a_layer_that_does_not_run_once_for_each_image_is_refused():
    batches = [torch.zeros(2, 1, 3, 3), torch.ones(2, 1, 3, 3)]
    with pytest.raises(ValueError, match="'a' did not run for every batch"):
        top_activations(Sometimes(), batches, ["a"])
    with pytest.raises(ValueError, match="'a' has 4 maps for 2 images"):
        top_activations(Sometimes(twice=True), batches, ["a"])
    with pytest.raises(ValueError, match="n is 0"):
        top_activations(Sometimes(), batches, ["a"], n=0)
    with pytest.raises(ValueError, match="'0' is a tuple"):
        top_activations(nn.Sequential(nn.LSTM(3, 2)), [torch.zeros(1, 4, 3)], ["0"])

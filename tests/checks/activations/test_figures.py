"""Which layers are the stages of a forward pass, and whether their numbers are the network's own."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from auditor.checks.activations.figures import layer_rows
from auditor.checks.activations.stages import MOST, blocks_in_a_row, forward_pass, last_of_each_resolution, route
from auditor.model.network import Network


def network(module, shape=(3, 32, 32)):
    torch.manual_seed(0)
    module.eval().requires_grad_(False)
    return Network.of(module, shape, torch.device("cpu"), amp=False)


def found(module, shape=(3, 32, 32)):
    return route(network(module, shape), torch.randn(1, *shape))


class Block(nn.Module):
    """Goes down between its two convolutions, as most residual blocks do."""

    def __init__(self, before, after):
        super().__init__()
        self.a, self.b = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.b(self.relu(self.a(x))))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.relu = nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()
        self.pad = nn.ZeroPad2d(1)
        self.down1, self.down2 = Block(4, 6), nn.Sequential(Block(6, 8))
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = self.down2(self.down1(self.pad(self.relu(self.stem(x)))[:, :, 1:-1, 1:-1]))
        return self.head(x.mean((2, 3)))


class Tokens(nn.Module):
    """A class token and patches, mixed by an attention that shows its weights."""

    class Mixing(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop, self.out = nn.Dropout(0.1), nn.Linear(8, 8)

        def forward(self, x):
            heads = x.unflatten(2, (2, 4)).transpose(1, 2)
            weights = self.drop((heads @ heads.transpose(2, 3)).softmax(-1))
            return x + self.out((weights @ heads).transpose(1, 2).flatten(2))

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 8, stride=8)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.blocks = nn.Sequential(*[self.Mixing() for _ in range(4)])
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1)
        return self.head(self.blocks(x)[:, 0])


class Functional(nn.Module):
    """Rectifiers that are no modules, behind the layers that the stages are named by."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(3, 5, 3, padding=1), nn.Conv2d(5, 7, 3, padding=1)
        self.head = nn.Linear(7, 4)

    def forward(self, x):
        x = functional.max_pool2d(functional.relu(self.one(x)), 2)
        return self.head(functional.relu6(20 * self.two(x)).mean((2, 3)))


def test_a_stage_is_the_last_layer_of_a_resolution_and_not_half_of_a_block():
    assert found(Residual()).layers == ("relu", "down1", "down2")
    assert found(Residual()).head == "head"


def test_modules_in_one_long_sequence_are_each_the_last_of_their_resolution():
    features = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
    net = nn.Sequential()
    net.add_module("features", features)
    net.add_module("classifier", nn.Sequential(nn.Flatten(), nn.Linear(256, 6), nn.ReLU(), nn.Linear(6, 2)))
    seen = found(net)
    assert seen.layers == ("features.1", "features.4", "features")
    assert seen.head == "classifier.3"


def test_the_names_of_modules_are_enough_to_choose():
    shapes = {"stem": (8, 16, 16), "layers": (32, 4, 4), "layers.0": (8, 16, 16), "layers.1.a": (8, 16, 16)}
    shapes |= {"layers.1": (16, 8, 8), "layers.2.a": (16, 8, 8), "layers.2": (32, 4, 4)}
    names = ["stem", "layers.0", "layers.1.a", "layers.1", "layers.2.a", "layers"]
    assert last_of_each_resolution(names, shapes, {*shapes, "head"}) == ["layers.0", "layers.1", "layers"]


def test_where_there_is_one_resolution_the_blocks_follow_each_other():
    seen = found(Tokens())
    assert seen.layers == ("blocks.0", "blocks.1", "blocks.2", "blocks.3")
    assert blocks_in_a_row([["a"], ["b.0"], ["b.1", "b"]]) == ["a", "b"]


def test_layers_of_one_resolution_without_blocks_are_shown_once_each():
    layers = [part for i in range(3) for part in (nn.Conv2d(3 if i == 0 else 4, 4, 3, padding=1), nn.ReLU())]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    assert found(net).layers == ("1", "3", "5")


def test_of_very_many_resolutions_some_are_taken_from_the_first_to_the_last():
    net = nn.Sequential(*[nn.Conv2d(3, 3, 3) for _ in range(12)], nn.Flatten(), nn.Linear(192, 2))
    seen = found(net)
    assert seen.found == 12
    assert len(seen.layers) == MOST
    assert (seen.layers[0], seen.layers[-1]) == ("0", "11")


@pytest.mark.parametrize(
    ("net", "head"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(3072, 8), nn.ReLU(), nn.Linear(8, 3)), "3"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3072, 1)), "1"),
    ],
)
def test_a_network_without_maps_has_only_a_head(net, head):
    seen = found(net)
    assert (seen.layers, seen.found, seen.head) == ((), 0, head)
    features = forward_pass(
        SimpleNamespace(network=network(net)), [SimpleNamespace(tensor=torch.randn(3, 32, 32))], seen
    ).features
    assert features.shape == (1, 8 if head == "3" else 3072)


def test_scores_that_are_means_of_maps_are_made_of_no_vector():
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert found(net).head is None


def test_a_network_without_gradients_says_why_nothing_is_shown():
    class Hard(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x):
            return self.conv(x).mean((2, 3)).argmax(1, keepdim=True).expand(-1, 4).float()

    seen = found(Hard())
    assert seen.layers == ()
    assert "differentiable" in seen.trouble


def test_the_numbers_are_the_means_of_what_hooks_see():
    net, images = network(Residual()), torch.randn(2, 3, 32, 32)
    kept = {}
    for name in ("relu", "down1", "down2"):
        keep = lambda module, inputs, output, name=name: kept.update({name: output.clone()})  # noqa: E731
        net.module.get_submodule(name).register_forward_hook(keep)
    net.module.head.register_forward_pre_hook(lambda module, inputs: kept.update(head=inputs[0]))
    seen = forward_pass(
        SimpleNamespace(network=net), [SimpleNamespace(tensor=image) for image in images], route(net, images[:1])
    )
    net.scores(images)
    for stage in seen.stages:
        values = kept[stage.layer].numpy()
        assert stage.shape == values.shape[1:]
        torch.testing.assert_close(torch.tensor(stage.strength), torch.tensor(abs(values).mean(1)))
    torch.testing.assert_close(torch.tensor(seen.features), kept["head"])


def test_a_rectifier_that_is_no_module_is_not_forgotten():
    net, images = network(Functional()), torch.randn(2, 3, 32, 32)
    seen = forward_pass(
        SimpleNamespace(network=net), [SimpleNamespace(tensor=image) for image in images], route(net, images[:1])
    )
    one = functional.relu(net.module.one(images))
    two = functional.relu6(20 * net.module.two(functional.max_pool2d(one, 2)))
    assert [stage.layer for stage in seen.stages] == ["one", "two"]
    torch.testing.assert_close(torch.tensor(seen.stages[0].strength), one.mean(1))
    assert (seen.stages[0].rectified, seen.stages[0].shape) == (True, (5, 32, 32))
    torch.testing.assert_close(torch.tensor(seen.features), two.mean((2, 3)), rtol=1e-4, atol=1e-5)


def test_tokens_are_put_back_in_their_grid():
    net, images = network(Tokens()), torch.randn(2, 3, 32, 32)
    seen = forward_pass(
        SimpleNamespace(network=net), [SimpleNamespace(tensor=image) for image in images], route(net, images[:1])
    )
    assert [stage.shape for stage in seen.stages] == [(8, 4, 4)] * 4
    tokens = net.module.patch(images).flatten(2).transpose(1, 2)
    tokens = torch.cat([net.module.token.expand(2, -1, -1), tokens], 1)
    after = net.module.blocks[0](tokens)[:, 1:]
    torch.testing.assert_close(torch.tensor(seen.stages[0].strength), after.abs().mean(2).unflatten(1, (4, 4)))


def rows_of(net, images, channels=2):
    samples = [
        SimpleNamespace(tensor=image, name=f"{i}.png", pixels=np.zeros((32, 32, 3), np.uint8))
        for i, image in enumerate(images)
    ]
    context = SimpleNamespace(network=net, samples=samples)
    layers = [net.layers["one"], net.layers["two"]]
    return list(layer_rows(context, layers, len(samples), channels))


def test_the_mean_of_a_layer_is_that_of_what_its_rectifier_hands_on():
    net, images = network(Functional()), torch.randn(2, 3, 32, 32)
    _, one, *_ = rows_of(net, images)
    mean = functional.relu(net.module.one(images)).numpy().mean(axis=1)
    np.testing.assert_allclose(one.arrays["one/mean"], mean, rtol=1e-5, atol=1e-6)


def test_the_colours_of_the_means_reach_from_the_smallest_to_the_largest_of_all_images():
    net, images = network(Functional()), torch.randn(3, 3, 32, 32)
    gallery, arrays, *_ = rows_of(net, images)
    mean = arrays.arrays["one/mean"]
    scales = {(item.scale.low, item.scale.high) for item in gallery.items if item.label == "mean of 5 maps"}
    assert scales == {(float(mean.min()), float(mean.max()))}


def test_the_strongest_channels_are_those_with_the_highest_output():
    net, images = network(Functional()), torch.randn(2, 3, 32, 32)
    gallery, arrays, *_ = rows_of(net, images)
    highest = functional.relu(net.module.one(images)).amax((2, 3))
    assert arrays.arrays["one/channels"].tolist() == highest.argsort(1, descending=True)[:, :2].tolist()
    assert gallery.scale.high == pytest.approx(float(highest.max()))


def test_the_network_is_left_without_hooks():
    net, images = network(Residual()), torch.randn(1, 3, 32, 32)
    forward_pass(SimpleNamespace(network=net), [SimpleNamespace(tensor=images[0])], route(net, images))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.module.modules())

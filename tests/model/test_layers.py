import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from auditor.errors import UsageError
from auditor.model.layers import trace
from auditor.model.network import Network
from auditor.process.torchvision import torchvision

IMAGE = torch.zeros(1, 3, 32, 32)


class Variants(nn.Module):
    """One convolution in front of each way to write a rectifier, and some that are none."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.names = ["module", "function", "torch", "method", "clamp", "minimum", "six", "tanh"]
        self.others = ["gelu", "plain", "clamped_at_one"]
        for name in self.names + self.others:
            setattr(self, name, nn.Conv2d(3, 3, 1))

    def forward(self, x):
        x = self.relu(self.module(x))
        x = F.relu(self.function(x))
        x = torch.relu(self.torch(x))
        x = self.method(x).relu_()
        x = self.clamp(x).clamp(min=0)
        x = self.minimum(x).clamp_min(0)
        x = F.relu6(self.six(x))
        x = F.hardtanh(self.tanh(x), 0, 6)
        x = F.gelu(self.gelu(x))
        x = self.plain(x) * 2
        x = self.clamped_at_one(x).clamp(min=1)
        return x.mean((2, 3))


def test_sees_every_way_to_write_a_rectifier_and_nothing_else():
    model = Variants().eval()
    layers = trace(model, IMAGE)
    rectified = {layer.name for layer in layers if layer.rectified and layer.type == "Conv2d"}
    assert rectified == set(model.names)


def test_knows_up_to_where_an_activation_gives_nothing():
    layers = trace(Variants().eval(), IMAGE)
    floors = {name: layers[name].floor for name in ("function", "six", "gelu", "plain", "clamped_at_one")}
    assert floors == {"function": 0, "six": 0, "gelu": -6, "plain": -torch.inf, "clamped_at_one": -torch.inf}
    assert abs(F.gelu(torch.tensor(-6.0))) < 1e-7
    assert abs(F.silu(torch.tensor(-20.0))) < 1e-7
    assert F.hardswish(torch.tensor(-3.0)) == 0


class Stacked(nn.Module):
    """As in a DenseNet: a normalisation before the rectifier, of what two layers made."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.norm = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(8)

    def forward(self, x):
        return F.relu(self.norm(torch.cat([self.first(x), self.second(x)], 1))).mean((2, 3))


def test_a_normalisation_of_several_layers_is_judged_and_is_no_map_of_its_own():
    layers = trace(Stacked().eval(), IMAGE)
    assert [layer.name for layer in layers.maps] == ["first", "second"]
    assert [layer.name for layer in layers.judged] == ["first", "second", "norm"]


def test_lists_layers_in_execution_order_with_shapes_and_parameters():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))
    rows = [(layer.name, layer.type, layer.output, layer.parameters) for layer in trace(model.eval(), IMAGE)]
    assert rows == [
        ("0", "Conv2d", (4, 30, 30), 112),
        ("1", "BatchNorm2d", (4, 30, 30), 8),
        ("2", "ReLU", (4, 30, 30), 0),
        ("3", "Flatten", (3600,), 0),
        ("4", "Linear", (2,), 7202),
    ]


def test_taps_the_normalisation_between_a_convolution_and_its_rectifier():
    layer = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval(), IMAGE)["0"]
    assert (layer.tap, layer.rectified) == ("1", True)


def test_a_convolution_that_ends_in_a_residual_sum_is_not_rectified():
    layers = trace(torchvision.models.resnet18(weights=None).eval(), torch.zeros(1, 3, 64, 64))
    assert layers["layer1.0.conv1"].rectified
    assert not layers["layer1.0.conv2"].rectified  # its sum with the shortcut is


@pytest.mark.parametrize(("name", "convolutions"), [("densenet121", 59), ("mobilenet_v2", 35), ("googlenet", 57)])
def test_sees_the_rectifiers_of_real_networks(name, convolutions):
    kwargs = {"init_weights": False} if name == "googlenet" else {}
    model = torchvision.models.get_model(name, weights=None, **kwargs).eval()
    layers = trace(model, torch.zeros(1, 3, 64, 64))
    assert sum(layer.rectified and "Conv" in layer.type for layer in layers) >= convolutions - 2
    assert len(layers.select("spread")) == 5


def test_a_network_without_rectifiers_shows_its_convolutions():
    layers = trace(torchvision.models.efficientnet_b0(weights=None).eval(), torch.zeros(1, 3, 64, 64))
    assert not any(layer.rectified for layer in layers)
    assert layers.select("spread")[0].name == "features.0.0"


def test_a_spread_runs_from_the_first_layer_to_the_last():
    layers = trace(nn.Sequential(*[nn.Conv2d(3, 3, 1) for _ in range(9)]), IMAGE)
    assert [layer.name for layer in layers.select("spread")] == ["0", "2", "4", "6", "8"]
    assert len(layers.select("all")) == 9
    assert [layer.name for layer in layers.select(("7", "1"))] == ["1", "7"]
    assert [layer.name for layer in layers.select("spread", count=1)] == ["8"]


def test_names_the_nearest_layer_when_one_is_misspelt():
    layers = trace(nn.Sequential(nn.Conv2d(3, 3, 1)), IMAGE)
    with pytest.raises(UsageError, match=r"no layer '00'; did you mean '0'\?"):
        layers.select(("00",))


def test_leaves_no_hook_behind_even_when_the_network_breaks():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Linear(5, 2))
    with pytest.raises(RuntimeError):
        trace(model, IMAGE)
    assert not any(module._forward_hooks for module in model.modules())


def test_dropout_between_a_normalisation_and_its_rectifier_hides_nothing():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout2d(), nn.Identity(), nn.ReLU())
    layer = trace(model.eval(), IMAGE)["0"]
    assert (layer.tap, layer.rectified) == ("1", True)


class Weighing(nn.Module):
    """Squeeze and excite, before and behind the last convolution, and hidden units of tokens and of whole images."""

    def __init__(self):
        super().__init__()
        self.conv, self.conv2 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)
        self.squeeze, self.excite = nn.Linear(4, 2), nn.Linear(2, 4)
        self.squeeze2, self.excite2 = nn.Linear(4, 2), nn.Linear(2, 4)
        self.token, self.back, self.hidden, self.head = (nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        x = self.conv(x)
        x = self.conv2(x * F.hardtanh(self.excite(F.relu(self.squeeze(x.mean((2, 3))))))[:, :, None, None])
        x = x * self.excite2(F.relu(self.squeeze2(x.mean((2, 3))))).sigmoid()[:, :, None, None]
        x = self.back(F.gelu(self.token(x.flatten(2).transpose(1, 2))))
        return self.head(F.relu(self.hidden(x.mean(1))))


def test_hidden_are_linear_layers_before_an_activation_that_do_not_just_weigh_channels():
    layers = trace(Weighing().eval(), IMAGE)
    assert [(layer.name, layer.channels, layer.whole) for layer in layers.hidden] == [
        ("token", 4, False),
        ("hidden", 4, True),
    ]


class Pooled(nn.Module):
    """Linear layers of which some see no image, one gives one number an image in a row of one, and one only weighs."""

    def __init__(self):
        super().__init__()
        self.conv, self.places, self.bias = nn.Conv2d(3, 4, 3), nn.Linear(2, 8), nn.Linear(8, 4)
        self.squeeze, self.excite, self.hidden, self.head = (nn.Linear(4, 4) for _ in range(4))
        self.register_buffer("table", torch.rand(1, 9, 2))

    def forward(self, x):
        x = self.conv(x)
        low, high = (self.excite(F.relu(self.squeeze(some))) for some in (x.amin((2, 3)), x.amax((2, 3))))
        x = (x * (low + high).sigmoid()[:, :, None, None]).permute(0, 2, 3, 1)
        x = x + self.bias(F.relu(self.places(self.table))).mean(1)
        return self.head(F.relu(self.hidden(x.mean((1, 2), keepdim=True)))).flatten(1)


def test_what_sees_no_image_or_weighs_channels_by_two_of_their_moments_is_not_hidden():
    network = Network.of(Pooled().eval(), (3, 16, 16), torch.device("cpu"), amp=False)
    assert [(layer.name, layer.output, layer.whole) for layer in network.layers.hidden] == [("hidden", (1, 1, 4), True)]
    assert [layer.name for layer in network.layers if not layer.batched] == ["places", "bias"]


class Alone(nn.Module):
    """Takes one image and no more."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).mean((2, 3)).reshape(1, 4))


def test_a_network_that_takes_a_single_image_has_layers_too():
    network = Network.of(Alone().eval(), (3, 16, 16), torch.device("cpu"), amp=False)
    assert [layer.name for layer in network.layers] == ["conv", "head"]
    assert all(layer.batched and layer.runs == 1 for layer in network.layers)


class PerHead(nn.Module):
    """A convolution that runs on the heads of an attention, as if each were an image."""

    def __init__(self):
        super().__init__()
        self.first, self.pool = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        heads = self.pool(x.reshape(2 * len(x), 2, *x.shape[2:]))
        return heads.reshape(len(x), -1).unflatten(1, (4, -1)).mean(2)


def test_a_layer_that_runs_on_parts_of_images_gives_no_maps_of_images():
    layers = trace(PerHead(), torch.zeros(2, 3, 8, 8))
    assert [layer.name for layer in layers.select("all")] == ["first"]
    assert [layer.name for layer in layers.maps] == ["first"]
    with pytest.raises(UsageError, match="does not give one output for each image"):
        layers.select("pool")

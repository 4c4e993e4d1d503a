"""Where a layer's output has its channels follows from how the network uses it, not from the class of the layer."""

import pytest
import torch
from torch import nn
from torch.autograd.graph import get_gradient_edge
from torch.nn.functional import relu

from auditor import Unit, methods
from auditor.methods.attribution.arrangement import Arrangement
from auditor.methods.attribution.forward_pass import record, survey
from tests.methods.attribution.test_cam import family


class Norm2d(nn.LayerNorm):
    """A layer norm over the channels of maps, like ConvNeXt's: a subclass of `LayerNorm` with channels first."""

    def forward(self, maps):
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Norm2dByHand(nn.Module):
    """The same, written with means."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels))

    def forward(self, maps):
        centred = maps - maps.mean(1, keepdim=True)
        return self.weight[:, None, None] * centred / (centred.pow(2).mean(1, keepdim=True) + 1e-6).sqrt()


class ToLast(nn.Module):
    def forward(self, maps):
        return maps.transpose(1, 3).transpose(1, 2)


class ToFirst(nn.Module):
    def forward(self, maps):
        return maps.transpose(3, 1).transpose(2, 3)


class ThroughTokens(nn.Module):
    """Lays the places in a row, and back, as layers of attention do."""

    def forward(self, maps):
        n, h, w, c = maps.shape
        return maps.reshape(n, h * w, c).view(n, h, w, c)


class MixesPlaces(nn.Linear):
    """A linear layer over the columns, as in MLPs over places; the channels stay where they are."""


def pooled(*layers):
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, 8)).eval()


FIRST = {
    "a subclass of LayerNorm": (Norm2d(24),),
    "a norm by hand": (Norm2dByHand(24),),
    "a norm of whole maps": (nn.LayerNorm([24, 16, 16]),),
    "an activation": (nn.GELU(),),
    "a linear layer over columns": (MixesPlaces(16, 16),),
    "there and back": (ToLast(), nn.LayerNorm(24), nn.Linear(24, 24), ToFirst()),
}
LAST = {
    "channels moved": (ToLast(),),
    "a layer norm": (ToLast(), nn.LayerNorm(24)),
    "a linear layer": (ToLast(), nn.Linear(24, 24)),
    "tokens": (ToLast(), ThroughTokens(), nn.Linear(24, 24), nn.GELU()),
}


@pytest.mark.parametrize("layers", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize("channel", [5, 20])  # the second is no row of the 16 x 16 maps
def test_units_with_channels_first_equal_autograd(layers, channel):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 24, 4, 4), *layers)
    images = torch.randn(2, 3, 64, 64, requires_grad=True)
    (expected,) = torch.autograd.grad(body(images)[:, channel].flatten(1).amax(1).sum(), images)
    found = methods.gradient(pooled(*body), images.detach(), Unit(str(len(body) - 1), channel))
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("layers", LAST.values(), ids=LAST)
@pytest.mark.parametrize("channel", [5, 20])
def test_units_with_channels_last_equal_autograd(layers, channel):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 24, 4, 4), *layers)
    images = torch.randn(2, 3, 64, 64, requires_grad=True)
    (expected,) = torch.autograd.grad(body(images)[..., channel].flatten(1).amax(1).sum(), images)
    found = methods.gradient(pooled(*body, ToFirst()), images.detach(), Unit(str(len(body) - 1), channel))
    assert torch.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("layers", [*FIRST.values(), *LAST.values()], ids=[*FIRST, *LAST])
def test_is_the_same_without_a_graph_before_the_layer(layers):
    last = str(len(layers))
    model = nn.Sequential(nn.Conv2d(3, 24, 4, 4), *layers, nn.Flatten(), nn.Linear(24 * 256, 8)).eval()
    images = torch.randn(2, 3, 64, 64)
    whole = record(model, images, layers=[last]).passages[last]
    cut = record(model, images, layers=[last], cut=last).passages[last]
    assert whole.first is not None
    assert cut.first == whole.first
    assert torch.equal(cut.values, whole.values)


@pytest.mark.parametrize(("layer", "first"), [(nn.LayerNorm(8), False), (nn.Linear(8, 5), False), (Norm2d(6), True)])
def test_norms_and_linear_layers_decide_where_nothing_else_does(layer, first):
    output = layer(torch.randn(2, 6, 7, 8, requires_grad=True).sin())
    assert Arrangement(from_images=False).channels_first(get_gradient_edge(output)) is first
    assert Arrangement(from_images=False).channels_first(get_gradient_edge(output.relu() * 2)) is first


def test_nothing_is_said_where_nothing_shows_it():
    output = torch.randn(2, 6, 7, 8, requires_grad=True).sin()
    assert Arrangement(from_images=False).channels_first(get_gradient_edge(output)) is None
    assert Arrangement().channels_first(get_gradient_edge(output.flatten(2))) is None
    assert Arrangement().channels_first(get_gradient_edge(output)) is True


def test_grad_cam_at_a_layer_norm_of_maps_has_the_size_of_the_maps():
    model, images = family("convnext_tiny"), torch.randn(1, 3, 64, 64)
    maps = model.features[0](images).detach().requires_grad_()
    score = model.classifier(model.avgpool(model.features[1:](maps)))[0, 1]
    (gradient,) = torch.autograd.grad(score, maps)
    expected = relu((gradient.mean((2, 3), keepdim=True) * maps).sum(1)).detach()
    found = methods.grad_cam(model, images, 1, layer="features.0.1")
    assert found.shape == (1, 16, 16)
    assert torch.allclose(found, expected, atol=1e-6)


def shapes(model, size):
    """Return the shape of each module's output."""
    found = {}
    handles = [
        part.register_forward_hook(
            lambda module, inputs, output, name=name: found.update({name: tuple(getattr(output, "shape", ()))})
        )
        for name, part in model.named_modules()
        if name
    ]
    with torch.no_grad():
        model(torch.randn(1, 3, size, size))
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "convnext_tiny",
        "swin_t",
        "swin_v2_t",
        "resnet18",
        "efficientnet_b0",
        "densenet121",
        "timm/edgenext_xx_small",
        "timm/davit_tiny",
    ],
)
def test_the_axes_that_grow_with_the_image_are_the_places(name):
    model = family(name)
    small, large = shapes(model, 96), shapes(model, 160)
    judged = 0
    for layer, passage in survey(model, torch.randn(1, 3, 96, 96)).passages.items():
        growing = [axis for axis in range(1, 4) if len(small[layer]) == 4 and small[layer][axis] != large[layer][axis]]
        if growing in ([1, 2], [2, 3]):
            assert passage.first == (growing == [2, 3]), layer
            judged += 1
    assert judged > 15

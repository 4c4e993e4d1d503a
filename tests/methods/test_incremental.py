"""Computing only what a window changes gives what computing everything gives, whatever the network."""

from dataclasses import replace

import pytest
import torch
from hypothesis import event, given, settings
from hypothesis import strategies as st
from test_cam import family
from torch import nn

from auditor.methods import Occluder, occlusion
from auditor.model.preserve import Snapshot


class Residual(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.inside = inside

    def forward(self, maps):
        return maps + self.inside(maps)


class Beside(nn.Module):
    def __init__(self, *ways):
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, maps):
        return torch.cat([way(maps) for way in self.ways], 1)


class Gated(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.inside = inside

    def forward(self, maps):
        return maps * torch.sigmoid(self.inside(maps))


class Squeeze(nn.Module):
    def forward(self, maps):
        return maps * maps.mean((2, 3), keepdim=True).sigmoid()


@st.composite
def layers(draw, channels, depth=0):
    """Return a layer that takes maps of so many channels, and how many it gives."""
    kinds = ["conv", "depthwise", "activation", "norm", "pool", "pad", "scale"]
    kind = draw(st.sampled_from(kinds + ["residual", "beside", "gate"] * (depth < 2)))
    if kind in ("conv", "depthwise"):
        return convolution(draw, channels, groups=channels if kind == "depthwise" else draw(st.sampled_from([1, 2])))
    if kind == "residual":
        return Residual(same_size(draw, channels)), channels
    if kind == "gate":
        return Gated(same_size(draw, channels)), channels
    if kind == "beside":
        return Beside(nn.Identity(), same_size(draw, channels)), 2 * channels
    return plain(draw, kind, channels), channels


def convolution(draw, channels, groups):
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    out = draw(st.sampled_from([2, 4, 6])) if groups != channels else channels
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 2)))
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    bias = draw(st.booleans())
    made = nn.Conv2d(channels, out, kernel, stride, padding, dilation=dilation, groups=groups, bias=bias)
    return made, out


def same_size(draw, channels):
    kernel, dilation = draw(st.sampled_from([1, 3])), draw(st.integers(1, 2))
    padding = dilation * (kernel // 2)
    after = draw(st.sampled_from([nn.ReLU(), nn.SiLU(), nn.Identity()]))
    return nn.Sequential(nn.Conv2d(channels, channels, kernel, padding=padding, dilation=dilation), after)


def plain(draw, kind, channels):
    if kind == "activation":
        names = ["ReLU", "ReLU6", "SiLU", "GELU", "Hardswish", "Hardsigmoid", "Sigmoid", "Tanh", "LeakyReLU"]
        name = draw(st.sampled_from([*names, "ELU", "Softplus", "Mish"]))
        in_place = name in ("ReLU", "ReLU6", "SiLU", "Hardswish") and draw(st.booleans())
        return getattr(nn, name)(**({"inplace": True} if in_place else {}))
    if kind == "norm":
        made = nn.BatchNorm2d(channels, affine=draw(st.booleans()))
        made.running_mean.normal_()
        made.running_var.uniform_(0.3, 2)
        return made
    if kind == "pool":
        kernel, ceil = draw(st.integers(1, 3)), draw(st.booleans())
        pool = nn.MaxPool2d if draw(st.booleans()) else nn.AvgPool2d
        return pool(kernel, draw(st.integers(1, 3)), draw(st.integers(0, kernel // 2)), ceil_mode=ceil)
    if kind == "pad":
        return nn.ConstantPad2d(draw(st.tuples(*[st.integers(0, 2)] * 4)), draw(st.sampled_from([0.0, 0.7])))
    return draw(st.sampled_from([Squeeze(), nn.Dropout(), nn.Identity()]))


@st.composite
def networks(draw):
    torch.manual_seed(draw(st.integers(0, 99)))
    channels, made = 4, [nn.Conv2d(3, 4, 3, padding=1)]
    for _ in range(draw(st.integers(1, 6))):
        layer, channels = draw(layers(channels))
        made.append(layer)
    return nn.Sequential(*made, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)).double().eval()


def fits(net, images):
    try:
        net(images)
    except (RuntimeError, ValueError):
        return False
    return True


@torch.inference_mode()
def logits(occluder, image, fill):
    """Return the scores for all windows, `[windows, k]`."""
    passed = list(occluder(image, fill))
    return torch.cat([one.scores for one in passed])[torch.cat([one.numbers for one in passed]).argsort()]


def check(net, data):
    """Compare with a pass of the network for each window, on images, windows and strides of any size."""
    height, width = data.draw(st.integers(9, 30)), data.draw(st.integers(9, 30))
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    if not fits(net, images):
        return
    window = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    stride = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    occluder = Occluder(net, images, window=window, stride=stride)
    event("on rectangles" if not occluder.how.dense else "in whole")
    inside = occluder.windows.inside(torch.arange(len(occluder.windows)))[:, None]
    expected = net(torch.where(inside, images[1:], images[:1])).detach()
    torch.testing.assert_close(logits(occluder, images[:1], images[1:]), expected, atol=1e-9, rtol=1e-9)


@settings(max_examples=10, deadline=None)
@given(networks(), st.data())
def test_random_networks(net, data):
    check(net, data)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(networks(), st.data())
def test_many_random_networks(net, data):
    check(net, data)


ON_RECTANGLES = ["resnet18", "vgg11_bn", "mobilenet_v2", "densenet121", "googlenet", "squeezenet1_1", "alexnet"]
IN_WHOLE = ["efficientnet_b0", "convnext_tiny", "vit_b_32", "swin_t"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_RECTANGLES + IN_WHOLE)
def test_families(name):
    model, image = family(name).double(), torch.randn(1, 3, 224, 224, dtype=torch.float64)
    before = Snapshot(model)
    occluder = Occluder(model, image, window=(48, 32), stride=(88, 96))
    inside = occluder.windows.inside(torch.arange(len(occluder.windows)))[:, None]
    with torch.no_grad():
        expected = model(torch.where(inside, 0.0, image))
    found = logits(occluder, image, torch.zeros_like(image))
    assert (found - expected).abs().max() < 1e-5 * (expected - expected.mean(0)).abs().max()
    assert before.changes() == []
    assert bool(occluder.how.dense) == (name in IN_WHOLE)
    if occluder.how.dense:
        assert "a window changes nearly all" in occluder.how.dense
    else:
        assert occluder.how.share > 0.5
        assert occluder.layer


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_agrees_in_single_precision(name):
    model, image = family(name), torch.randn(1, 3, 224, 224)
    occluder = Occluder(model, image, window=32, stride=64)
    found = logits(occluder, image, torch.ones_like(image))
    in_whole = logits(occluder.in_whole, image, torch.ones_like(image))
    torch.testing.assert_close(found, in_whole, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("rate", "in_whole"), [(1e-3, True), (1e9, False)])
def test_the_faster_of_two_ways_is_taken_and_gives_the_same(rate, in_whole):
    """As on a GPU, where the first image tells how fast windows are."""
    net, image = chain(), torch.randn(1, 3, 64, 64)
    occluder = Occluder(net, image, window=8, stride=8)
    before = logits(occluder, image, torch.zeros_like(image))
    occluder.how = replace(occluder.how, windows=1, seconds=1 / rate)
    occluder._choose(image, torch.zeros_like(image))
    assert bool(occluder.how.dense) is in_whole
    torch.testing.assert_close(logits(occluder, image, torch.zeros_like(image)), before, atol=1e-4, rtol=0)


def test_less_memory_makes_smaller_batches():
    net, image = chain(), torch.randn(1, 3, 64, 64)
    ways = [Occluder(net, image, window=8, stride=4, memory=memory) for memory in (2**22, 2**23, 2**25)]
    batches = [max(len(group.numbers) for group in one._way.plan.groups) for one in ways]
    assert batches == sorted(set(batches))
    assert [one.how.batch for one in ways] == sorted(one.how.batch for one in ways)


def chain():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)).eval()


class OneAtATime(nn.Module):
    def forward(self, images):
        return images.reshape(1, 3, -1).mean(2)


class Mixing(nn.Module):
    def forward(self, images):
        return (images - images.mean(0)).mean((2, 3)) + images.amax((2, 3))


class Branching(nn.Module):
    def forward(self, images):
        return images.mean((2, 3)) if images.sum() > 0 else images.amax((2, 3))


@pytest.mark.parametrize("kind", [OneAtATime, Mixing, Branching])
def test_networks_that_cant_be_exported_run_as_they_are(kind):
    image = torch.rand(1, 3, 8, 8)
    found = occlusion(kind(), image, 1, window=4, stride=4, score="logit")
    filled = image.clone()
    filled[..., :4, :4] = 0
    torch.testing.assert_close(found.scores[0, 0, 0], kind()(filled)[0, 1])
    assert found.how.dense
    assert found.feature is None


def test_functions_run_as_they_are():
    found = occlusion(lambda images: images.mean((2, 3)), torch.rand(1, 3, 8, 8), 1, window=4, stride=4)
    assert found.how.dense == "layers can be named in an nn.Module, but this is a function, which does not show them"

import copy

import captum.attr
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

from auditor.errors import Skip
from auditor.methods import NoRectifier, deconvnet, explain, gradient, guided_backprop
from auditor.process.torchvision import torchvision
from tests.methods.attribution.rewriting import Rectifier, plain_gradient, rewritten

METHODS = {"gradient": gradient, "deconvnet": deconvnet, "guided": guided_backprop}


class Zoo(nn.Module):
    """Two convolutions with some activation function between them."""

    def __init__(self, activation, width=6):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, width, 3, bias=True)
        self.second = nn.Conv2d(width, 5, 3)
        self.activation = activation
        self.double()

    def forward(self, images):
        return self.second(self.activation(self.first(images))).mean((2, 3))


UPPER = {
    "module": (nn.ReLU(), float("inf")),
    "in place": (nn.ReLU(inplace=True), float("inf")),
    "functional": (F.relu, float("inf")),
    "functional in place": (lambda x: F.relu(x, inplace=True), float("inf")),
    "torch": (torch.relu, float("inf")),
    "method": (lambda x: x.relu(), float("inf")),
    "method in place": (lambda x: x.relu_(), float("inf")),
    "clamp": (lambda x: x.clamp(min=0), float("inf")),
    "clamp in place": (lambda x: x.clamp_(min=0), float("inf")),
    "clamp_min": (lambda x: x.clamp_min(0), float("inf")),
    "maximum": (lambda x: torch.maximum(x, torch.zeros((), dtype=x.dtype)), float("inf")),
    "clamp to a tensor": (lambda x: x.clamp(min=torch.zeros((), dtype=x.dtype)), float("inf")),
    "threshold": (lambda x: F.threshold(x, 0.0, 0.0), float("inf")),
    "aten": (lambda x: torch.ops.aten.relu(x), float("inf")),
    "ReLU6": (nn.ReLU6(), 6.0),
    "relu6": (F.relu6, 6.0),
    "hardtanh": (lambda x: F.hardtanh(x, 0.0, 6.0), 6.0),
    "clamp to 6": (lambda x: x.clamp(0, 6), 6.0),
}


def by_hand(model, images, target, rule, upper):
    """The three rules written out for one rectifier between two linear maps."""
    taken = model.first(images).detach()
    asked = taken.clamp(0, upper).requires_grad_()
    (signal,) = torch.autograd.grad(model.second(asked).mean((2, 3))[:, target].sum(), asked)
    inside = (taken > 0) & (taken < upper)
    gates = {"gradient": inside, "deconvnet": signal > 0, "guided": inside & (signal > 0)}
    source = images.clone().requires_grad_()
    return torch.autograd.grad(model.first(source), source, signal * gates[rule])[0]


@pytest.mark.parametrize("written", UPPER)
@pytest.mark.parametrize("rule", METHODS)
def test_the_rule_acts_however_the_rectifier_is_written(written, rule):
    activation, upper = UPPER[written]
    model = Zoo(activation)
    images = 8 * torch.randn(2, 3, 7, 7, dtype=torch.float64)  # beyond 6, too
    found = METHODS[rule](model, images, 2)
    assert found.abs().max() > 0
    torch.testing.assert_close(found, by_hand(model, images, 2, rule, upper), rtol=1e-12, atol=1e-14)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("rule", METHODS)
def test_the_rule_acts_inside_torchscript(rule):
    class Scripted(nn.Module):
        def __init__(self):
            super().__init__()
            zoo = Zoo(nn.ReLU())
            self.first, self.second = zoo.first, zoo.second

        def forward(self, images):
            return self.second(F.relu(self.first(images))).mean((2, 3))

    plain = Scripted().eval()
    script = torch.jit.freeze(torch.jit.script(plain))
    images = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    for _ in range(4):  # it is optimised after some runs
        found = METHODS[rule](script, images, 1)
        torch.testing.assert_close(found, METHODS[rule](plain, images, 1), rtol=1e-12, atol=1e-14)


def network(name):
    torch.manual_seed(1)
    arguments = {"googlenet": {"init_weights": False}}.get(name, {})
    made = getattr(torchvision.models, name)(weights=None, num_classes=10, **arguments).eval()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return made.double()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["densenet121", "googlenet", "mobilenet_v2", "shufflenet_v2_x0_5", "resnet18"])
@pytest.mark.parametrize("rule", ["deconvnet", "guided"])
def test_equals_a_copy_of_the_network_with_the_rule_in_modules(name, rule):
    model = network(name)
    images = torch.randn(2, 3, 96, 96, dtype=torch.float64)
    oracle, rectifiers = rewritten(model, rule)
    expected = plain_gradient(oracle, images, torch.tensor([3, 7]))
    found = METHODS[rule](model, images, [3, 7])
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()
    assert explain(model, images, [3, 7]).activations.rectifiers == rectifiers


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Setting backward hooks")
@pytest.mark.parametrize("name", ["resnet18", "vgg11", "squeezenet1_0"])
def test_agrees_with_captum_where_captum_is_right(name):
    model = network(name)
    images = torch.randn(1, 3, 80, 80, dtype=torch.float64)
    for ours, theirs in [(guided_backprop, captum.attr.GuidedBackprop), (deconvnet, captum.attr.Deconvolution)]:
        expected = theirs(copy.deepcopy(model)).attribute(images.clone().requires_grad_(), target=4)
        torch.testing.assert_close(ours(model, images, 4), expected.detach(), rtol=1e-9, atol=1e-12)


class Branches(nn.Module):
    """Two parallel branches that share one rectifier module."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(2)
        self.left, self.right = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
        self.head = nn.Conv2d(8, 3, 3)
        self.relu = nn.ReLU()
        self.double()

    def forward(self, images):
        both = torch.cat([self.relu(self.left(images)), self.relu(self.right(images))], 1)
        return self.head(both).mean((2, 3))


@pytest.mark.parametrize("rule", METHODS)
def test_branches_that_share_a_rectifier_are_kept_apart(rule):
    model, images = Branches(), torch.randn(2, 3, 9, 9, dtype=torch.float64)
    expected = plain_gradient(rewritten(model, rule)[0], images, torch.tensor([0, 2]))
    torch.testing.assert_close(METHODS[rule](model, images, [0, 2]), expected, rtol=1e-12, atol=1e-14)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3), st.integers(1, 5))
def test_where_all_is_positive_the_three_are_one(seed, depth, width):
    """Positive weights, biases and images: no rectifier is below zero, and no signal either."""
    random = torch.Generator().manual_seed(seed)
    layers = []
    for i in range(depth):
        layers += [nn.Conv2d(2 if i == 0 else width, width, 3, padding=1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * 25, 3)).double()
    for parameter in model.parameters():
        parameter.data = torch.rand(parameter.shape, generator=random, dtype=torch.float64) + 0.01
    images = torch.rand(2, 2, 5, 5, generator=random, dtype=torch.float64) + 0.01
    plain = gradient(model, images, [0, 2])
    torch.testing.assert_close(guided_backprop(model, images, [0, 2]), plain, rtol=1e-12, atol=0)
    torch.testing.assert_close(deconvnet(model, images, [0, 2]), plain, rtol=1e-12, atol=0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_guided_lets_through_no_more_than_either_gate(seed):
    """One rectifier before a linear score: where it is closed on the way there or back, nothing arrives."""
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(3, 6, generator=random, dtype=torch.float64)
    images = torch.randn(2, 6, 1, 1, generator=random, dtype=torch.float64)

    def model(images):
        return F.relu(images.flatten(1)) @ weight.T

    found = guided_backprop(model, images, 1).flatten(1)
    assert torch.equal(found, weight[1].clamp(min=0) * (images.flatten(1) > 0))
    assert torch.equal(deconvnet(model, images, 1).flatten(1), weight[1].clamp(min=0).expand(2, 6))


@pytest.mark.parametrize(("activation", "word"), [
    (nn.GELU(), "GELU 1"), (nn.SiLU(), "SiLU 1"), (nn.LeakyReLU(0.1), "leaky ReLU 1"), (nn.ELU(), "ELU 1"),
    (nn.Identity(), "no known activation function"), (lambda x: x.clamp(min=-1), "no known activation"),
])  # fmt: skip
@pytest.mark.parametrize("method", [deconvnet, guided_backprop])
def test_refuses_networks_without_rectifier_and_names_what_they_have(method, activation, word):
    images = torch.randn(1, 3, 7, 7, dtype=torch.float64)
    with pytest.raises(NoRectifier, match=f"is defined for ReLU, and this network has none.*{word}") as refused:
        method(Zoo(activation), images, 0)
    assert isinstance(refused.value, Skip)
    assert isinstance(refused.value, ValueError)


def test_counts_what_a_rule_covers_and_what_it_does_not():
    model = Zoo(lambda x: F.gelu(F.relu(F.silu(x))) * (torch.sigmoid(x) + 1).relu_())
    met = explain(model, torch.randn(1, 3, 7, 7, dtype=torch.float64), 0).activations
    assert met.rectifiers == 2
    assert met.others == {"GELU": 1, "SiLU": 1, "sigmoid": 1}


def test_an_activation_function_of_ones_own_is_named():
    class Swish(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * x.sigmoid()

        @staticmethod
        def backward(ctx, signal):
            return signal

    met = explain(Zoo(Swish.apply), torch.randn(1, 3, 7, 7, dtype=torch.float64), 0).activations
    assert (met.rectifiers, met.others) == (0, {"Swish": 1})


class Views(nn.Module):
    """Rectifiers in place on views: behind a linear layer on tokens, on a slice, and on another shape."""

    def __init__(self, rectify):
        super().__init__()
        torch.manual_seed(6)
        self.conv, self.tokens, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 5), nn.Linear(5, 3)
        self.rectify = rectify
        self.double()

    def forward(self, images):
        maps = self.conv(images)
        self.rectify(maps[:, :, :-1, 1:])
        rows = self.rectify(self.tokens(maps.flatten(2).transpose(1, 2).contiguous()))
        return self.head(rows).mean(1)


@pytest.mark.parametrize("rectify", [
    nn.ReLU(inplace=True), lambda x: F.relu(x, inplace=True), lambda x: F.relu(x, True), torch.relu_,
    lambda x: x.clamp_(min=0), lambda x: x.clamp_(0), lambda x: F.threshold(x, 0, 0, True),
])  # fmt: skip
@pytest.mark.parametrize("rule", METHODS)
def test_the_rule_acts_where_a_rectifier_writes_over_a_part_of_another_tensor(rule, rectify):
    class Oracle(Views):
        def forward(self, images):
            maps = self.conv(images)
            maps = torch.cat(
                [maps[:, :, :, :1], torch.cat([self.rectify(maps[:, :, :-1, 1:]), maps[:, :, -1:, 1:]], 2)], 3
            )
            rows = self.rectify(self.tokens(maps.flatten(2).transpose(1, 2)))
            return self.head(rows).mean(1)

    images = torch.randn(2, 3, 7, 7, dtype=torch.float64)
    model, oracle = Views(rectify), Oracle(Rectifier(rule))
    torch.testing.assert_close(model(images), oracle(images))
    expected = plain_gradient(oracle, images, torch.tensor([1, 2]))
    torch.testing.assert_close(METHODS[rule](model, images, [1, 2]), expected, rtol=1e-12, atol=1e-14)
    assert explain(model, images, 0).activations.rectifiers == 2


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_refuses_torchscript_that_has_joined_its_rectifiers_with_others():
    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 1)

        def forward(self, images):
            x = F.relu(self.first(images))
            return (F.relu(self.second(x) * 2 + 1) + x).mean((2, 3))

    torch.manual_seed(0)
    plain = Joined().double()
    script, images = torch.jit.script(plain), torch.randn(1, 3, 7, 7, dtype=torch.float64)
    expected, refused = guided_backprop(plain, images, 0), 0
    for _ in range(5):
        try:
            torch.testing.assert_close(guided_backprop(script, images, 0), expected)
        except NoRectifier as reason:
            refused += "TorchScript hides" in str(reason)
            assert explain(script, images, 0).guided_backprop is None
    assert refused
    torch.testing.assert_close(gradient(script, images, 0), gradient(plain, images, 0))


def test_what_is_computed_from_parameters_alone_does_not_count():
    class Scaled(Zoo):
        def forward(self, images):
            return super().forward(images) * F.relu(self.second.bias).sum()

    met = explain(Scaled(nn.GELU()), torch.randn(1, 3, 7, 7, dtype=torch.float64), 0).activations
    assert (met.rectifiers, met.others) == (0, {"GELU": 1})

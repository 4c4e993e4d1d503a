import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from auditor.errors import ArchitectureError, UsageError
from auditor.model.ending import Ending
from auditor.model.network import Network, device_named

SHAPE = (3, 8, 8)
CPU = torch.device("cpu")


class Scores(nn.Module):
    """A linear head on the mean colour, whose output `ending` gets to change."""

    def __init__(self, ending=lambda scores: scores, classes=4):
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(3, classes)
        self.ending = ending

    def forward(self, images):
        return self.ending(self.head(images.mean((2, 3))))


def network(module, shape=SHAPE):
    return Network.of(module.eval(), shape, CPU, amp=False)


@pytest.mark.parametrize(("ending", "kind"), [
    (lambda s: s, Ending.SCORES),
    (lambda s: F.softmax(s, 1), Ending.SOFTMAX),
    (nn.Softmax(1), Ending.SOFTMAX),
    (lambda s: F.log_softmax(s, 1), Ending.LOG_SOFTMAX),
    (torch.sigmoid, Ending.SIGMOID),
    (lambda s: s.exp() / s.exp().sum(1, keepdim=True), Ending.PROBABILITIES),
])  # fmt: skip
def test_finds_how_a_network_ends_and_takes_what_feeds_it(ending, kind):
    images = torch.randn(5, *SHAPE)
    found = network(Scores(ending))
    assert found.ending is kind
    if kind is not Ending.PROBABILITIES:
        torch.testing.assert_close(found.scores(images), Scores()(images))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("wrapped", ["traced", "scripted", "exported"])
def test_takes_what_feeds_a_softmax_inside_a_compiled_graph(wrapped):
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(1)).eval()
    example = torch.randn(2, *SHAPE)
    graph = {
        "traced": lambda: torch.jit.trace(plain, example),
        "scripted": lambda: torch.jit.script(plain),
        "exported": lambda: torch.export.export(
            plain, (example,), dynamic_shapes=({0: torch.export.Dim("n")},)
        ).module(),
    }[wrapped]()
    found = Network.of(graph, SHAPE, CPU, amp=False)
    assert found.ending is Ending.SOFTMAX
    images = example.clone().requires_grad_()
    torch.testing.assert_close(found.scores(images), plain[:3](images))
    (slope,) = torch.autograd.grad(found.scores(images)[0, 1], images)
    (expected,) = torch.autograd.grad(plain[:3](images)[0, 1], images)
    torch.testing.assert_close(slope, expected)


def test_scores_under_inference_mode_are_the_same():
    found, images = network(Scores(nn.Softmax(1))), torch.randn(2, *SHAPE)
    with torch.inference_mode():
        inside = found.scores(images)
    torch.testing.assert_close(inside, found.scores(images))


def test_a_single_output_is_the_second_of_two_classes():
    found, images = network(Scores(torch.sigmoid, classes=1)), torch.randn(6, *SHAPE)
    scores = found.scores(images)
    assert (found.outputs, scores.shape) == (2, (6, 2))
    torch.testing.assert_close(scores.softmax(1)[:, 1:], found.module(images))


class Output(dict):
    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


@pytest.mark.parametrize("ending", [
    lambda s: (s, "hidden"),
    lambda s: {"features": s * 0, "logits": s},
    lambda s: {"out": s},
    lambda s: [s],
    lambda s: Output(logits=s),
    lambda s: s[:, :, None, None],
])  # fmt: skip
def test_finds_the_scores_in_what_a_network_gives(ending):
    images = torch.randn(2, *SHAPE)
    torch.testing.assert_close(network(Scores(ending)).scores(images), Scores()(images))


@pytest.mark.parametrize(
    "ending",
    [
        lambda s: "text",
        lambda s: s[:, :, None].expand(-1, -1, 7),
        lambda s: s[:, :0],
        lambda s: s.argmax(1, keepdim=True),
    ],
)
def test_refuses_what_is_no_classifier(ending):
    with pytest.raises(ArchitectureError, match=r"a classifier gives \[images, classes\]"):
        network(Scores(ending))


def test_says_which_size_the_network_refuses_and_what_to_do():
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10))
    with pytest.raises(ArchitectureError, match=r"refuses an image of 3x8x8: .* 1 channel.* resize = \[28, 28\]"):
        network(model)


def test_observes_outputs_as_they_were_before_anything_wrote_over_them():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.randn(2, *SHAPE)
    seen = network(model).observe(images, ["0", "1"])
    torch.testing.assert_close(seen["0"], model[0](images).detach())
    assert seen["0"].min() < 0 <= seen["1"].min()
    assert not any(module._forward_hooks for module in model.modules())


def test_amp_gives_float32_scores_near_the_exact_ones():
    model, images = Scores(), torch.randn(3, *SHAPE)
    half = Network.of(model, SHAPE, CPU, amp=True).scores(images)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, model(images), atol=0.05, rtol=0.05)


@pytest.mark.parametrize(("name", "words"), [
    ("gpu", "has to be auto, cpu, cuda"),
    ("cuda:99", "this machine has"),
    ("cpu:1", "this machine has 1 cpu"),
])  # fmt: skip
def test_refuses_a_device_that_is_not_there(name, words):
    with pytest.raises(UsageError, match=words):
        device_named(name)


def test_auto_finds_a_device():
    assert device_named("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_scores():
    images = torch.randn(3, *SHAPE)
    there = Network.of(Scores().eval(), SHAPE, torch.device("cuda"), amp=False).scores(images).cpu()
    torch.testing.assert_close(there, Scores()(images), atol=1e-5, rtol=1e-5)


def test_probabilities_of_unknown_making_become_scores_that_give_them_again():
    found, images = network(Scores(lambda s: s.exp() / s.exp().sum(1, keepdim=True))), torch.randn(4, *SHAPE)
    torch.testing.assert_close(found.scores(images).softmax(1), found.module(images))


def test_both_classes_of_a_single_output_have_a_gradient():
    found, images = network(Scores(classes=1)), torch.randn(1, *SHAPE, requires_grad=True)
    slopes = [torch.autograd.grad(found.scores(images)[0, c], images)[0] for c in (0, 1)]
    assert slopes[0].abs().max() > 0
    torch.testing.assert_close(slopes[0], -slopes[1])


class Viewing(nn.Module):
    """Flattens with `view`, which needs the memory to lie as it is written."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4 * 36, 5)

    def forward(self, images):
        hidden = self.conv(images)
        return self.head(hidden.view(hidden.size(0), -1))


def test_a_network_that_views_its_maps_is_run_as_it_was_trained():
    found, images = network(Viewing()), torch.randn(3, *SHAPE)
    assert found.layout is torch.contiguous_format
    torch.testing.assert_close(found.scores(images), found.module(images))
    assert network(Scores()).layout is torch.channels_last


@pytest.mark.parametrize("ending", [lambda s: s[:, 0], lambda s: torch.sigmoid(s[:, 0])])
def test_one_number_an_image_is_a_single_output(ending):
    images = torch.randn(6, *SHAPE)
    scores = network(Scores(ending)).scores(images)
    torch.testing.assert_close(scores[:, 1] - scores[:, 0], Scores()(images)[:, 0])


def test_a_part_of_a_softmax_is_not_taken_for_the_whole():
    images = torch.randn(3, *SHAPE)
    sliced = network(Scores(lambda s: F.softmax(s, 1)[:, :3]))
    assert sliced.scores(images).shape == (3, 3)
    turned = network(Scores(lambda s: F.softmax(s.t(), 0).t()))
    torch.testing.assert_close(turned.scores(images).softmax(1), Scores()(images).softmax(1))


def test_a_network_with_kernels_in_three_dimensions_runs():
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv3d(1, 4, 3, padding=1), nn.Linear(4, 3)

        def forward(self, images):
            return self.head(self.conv(images[:, None]).mean((2, 3, 4)))

    assert network(Deep()).outputs == 3


def test_a_network_that_trains_itself_when_run_is_handed_on_as_it_was_found():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    model.register_forward_pre_hook(lambda module, inputs: module.train() and None)
    found = network(model)
    assert model[1].num_batches_tracked == 0
    assert torch.equal(model[1].running_mean, torch.zeros(4))
    assert not model[1].training
    assert found.layout is torch.channels_last

import gc
import os
from pathlib import Path

import pytest
import torch
from captum.attr import Saliency
from torch import nn
from torch.nn import functional as F  # noqa: N812

from auditor.methods import (
    Unit,
    deconvnet,
    explain,
    grad_cam,
    gradient,
    guided_backprop,
    guided_grad_cam,
    input_x_gradient,
    integrated_gradients,
    saliency,
    smooth_grad,
)
from auditor.model.preserve import Snapshot


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.weight = nn.Parameter(torch.randn(4, 3, 5, 6))

    def forward(self, images):
        return torch.einsum("nchw,kchw->nk", images, self.weight)


class Small(nn.Module):
    """A convolution, a smooth activation, and a head, in float64."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.head = nn.Conv2d(3, 6, 3, padding=1), nn.Linear(6, 5)
        self.double().eval()

    def forward(self, images):
        return self.head(F.softplus(self.conv(images)).mean((2, 3)))


def test_of_a_linear_model_is_its_weights():
    model = Linear()
    images = torch.randn(2, 3, 5, 6)
    assert torch.equal(gradient(model, images, [1, 3]), model.weight[[1, 3]].detach())


def test_agrees_with_finite_differences():
    model, image, step = Small(), torch.randn(1, 3, 6, 7, dtype=torch.float64), 1e-6
    found = gradient(model, image, 2)
    for place in [(0, 0, 0, 0), (0, 1, 3, 3), (0, 2, 5, 6)]:
        up, down = image.clone(), image.clone()
        up[place] += step
        down[place] -= step
        slope = (model(up)[0, 2] - model(down)[0, 2]) / (2 * step)
        assert found[place].item() == pytest.approx(slope.item(), rel=1e-6)


def test_agrees_with_captum_but_for_the_maximum_over_colours():
    model, images = Small(), torch.randn(3, 3, 6, 7, dtype=torch.float64)
    theirs = Saliency(model).attribute(images.clone().requires_grad_(), target=[0, 4, 2], abs=True)
    torch.testing.assert_close(saliency(model, images, [0, 4, 2]), theirs.amax(1), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("guard", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_works_on_frozen_models_whatever_the_caller_switched_off(guard):
    model = Small()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    with guard():
        found = gradient(model, torch.randn(1, 3, 4, 4, dtype=torch.float64), 0)
    assert found.abs().sum() > 0
    assert not found.requires_grad


def test_leaves_no_gradient_on_parameters_or_images():
    model, images = Small(), torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    gradient(model, images, 1)
    assert images.grad is None
    assert all(parameter.grad is None for parameter in model.parameters())


def test_does_not_depend_on_the_batch():
    model, images = Small(), torch.randn(5, 3, 6, 6, dtype=torch.float64)
    together = gradient(model, images, [0, 1, 2, 3, 4])
    alone = torch.cat([gradient(model, images[i : i + 1], i) for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("target", "error", "words"), [
    (5, IndexError, "no class 5: the network has 5"),
    (-1, IndexError, "no class -1"),
    ([0, 1, 2], ValueError, "one class, one or several for each of 2"),
    (torch.tensor(1.5), ValueError, "classes have to be integers"),
])  # fmt: skip
def test_refuses_classes_that_do_not_fit(target, error, words):
    with pytest.raises(error, match=words):
        gradient(Small(), torch.randn(2, 3, 4, 4, dtype=torch.float64), target)


def test_says_so_when_the_score_does_not_depend_on_the_image():
    with pytest.raises(ValueError, match="does not depend"):
        gradient(lambda images: torch.zeros(len(images), 3), torch.randn(1, 3, 4, 4), 0)


def test_several_classes_of_one_image_share_a_forward_pass():
    class Counting(Small):
        runs = 0

        def forward(self, images):
            self.runs += 1
            return super().forward(images)

    model, images = Counting(), torch.randn(1, 3, 6, 6, dtype=torch.float64)
    found = gradient(model, images, [4, 0, 4])
    assert (found.shape, model.runs) == ((3, 3, 6, 6), 1)
    for place, target in enumerate((4, 0, 4)):
        torch.testing.assert_close(found[place], gradient(model, images, target)[0], rtol=1e-12, atol=0)


def test_two_images_and_one_class_give_two_maps():
    model, images = Small(), torch.randn(2, 3, 6, 6, dtype=torch.float64)
    found = gradient(model, images, 3)
    assert found.abs().flatten(1).sum(1).min() > 0
    torch.testing.assert_close(found, gradient(model, images, [3, 3]), rtol=0, atol=0)


def test_a_second_call_gives_the_same_and_leaves_the_first_alone():
    model, images = Small(), torch.randn(2, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    first = gradient(model, images, 1)
    kept = first.clone()
    second = gradient(model, images, 1)
    assert torch.equal(first, kept)
    assert torch.equal(second, kept)


def test_a_network_that_writes_over_its_input_does_not_write_over_ours():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(12, 2))
    images = torch.randn(1, 3, 2, 2)
    kept = images.clone()
    gradient(model, images, 0)
    assert torch.equal(images, kept)


@pytest.mark.parametrize("ending", [nn.Softmax(1), nn.LogSoftmax(1)])
def test_the_score_is_the_one_before_a_softmax(ending):
    plain, images = Small(), torch.randn(2, 3, 6, 6, dtype=torch.float64)
    found = gradient(nn.Sequential(plain, ending), images, 1)
    torch.testing.assert_close(found, gradient(plain, images, 1), rtol=1e-12, atol=1e-15)


def test_warns_where_probabilities_hide_the_scores():
    def model(images):
        scores = images.mean((2, 3)).exp()
        return scores / scores.sum(1, keepdim=True)

    with pytest.warns(UserWarning, match="gradients are those of the probability"):
        gradient(model, torch.randn(2, 3, 4, 4), 1)


def test_refuses_what_are_no_scores():
    with pytest.raises(ValueError, match=r"returns \[1, 6, 4, 4\] for 1 images"):
        gradient(nn.Conv2d(3, 6, 3, padding=1), torch.zeros(1, 3, 4, 4), 0)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.first = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(4, 6, 3, stride=2)
        self.head = nn.Linear(6, 5)
        self.double()

    def forward(self, images):
        return self.head(self.relu(self.second(self.relu(self.first(images)))).mean((2, 3)))


def test_a_unit_of_the_first_convolution_gives_its_kernel_back_at_its_place():
    model, images = Deep(), torch.randn(2, 3, 9, 9, dtype=torch.float64)
    found = gradient(model, images, Unit("first", 2, 4, 1))
    expected = torch.zeros_like(images)
    expected[:, :, 4:7, 1:4] = model.first.weight[2].detach()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_a_unit_without_a_place_is_the_most_active_one_of_each_image():
    model, images = Deep(), torch.randn(4, 3, 11, 13, dtype=torch.float64)
    with torch.no_grad():
        maps = model.second(model.first(images).relu())
    for image in range(4):
        y, x = divmod(int(maps[image, 3].argmax()), maps.shape[3])
        expected = gradient(model, images[image : image + 1], Unit("second", 3, y, x))
        torch.testing.assert_close(gradient(model, images, Unit("second", 3))[image], expected[0], rtol=1e-9, atol=0)


def test_the_signal_of_a_unit_is_one_and_for_the_deconvnet_its_activation():
    model, images = Deep(), torch.randn(1, 3, 9, 9, dtype=torch.float64)
    unit = Unit("second", 1, 1, 2)
    seen = explain(model, images, unit)
    activation = model.second(model.first(images).relu())[0, 1, 1, 2].detach()
    assert seen.position.values.item() == pytest.approx(activation.item())
    taken = model.first(images).relu().detach().requires_grad_()
    (at_relu,) = torch.autograd.grad(model.second(taken)[0, 1, 1, 2], taken)
    through = (at_relu * activation).clamp(min=0)
    source = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model.first(source), source, through)
    torch.testing.assert_close(deconvnet(model, images, unit), expected, rtol=1e-9, atol=1e-14)


def test_a_unit_of_a_linear_layer_needs_no_place():
    model, images = Deep(), torch.randn(2, 3, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(gradient(model, images, Unit("head", 2)), gradient(model, images, 2), rtol=0, atol=0)


@pytest.mark.parametrize(("unit", "error", "words"), [
    (Unit("frist", 0), ValueError, "no layer 'frist'; did you mean 'first'"),
    (Unit("first", 4), IndexError, "no channel 4: it has 4"),
    (Unit("first", 0, 0, 9), IndexError, "no place 0:9: its maps are 7 x 7"),
])  # fmt: skip
def test_refuses_units_that_do_not_exist(unit, error, words):
    with pytest.raises(error, match=words):
        gradient(Deep(), torch.randn(1, 3, 9, 9, dtype=torch.float64), unit)


METHODS = [gradient, saliency, input_x_gradient, deconvnet, guided_backprop, grad_cam, guided_grad_cam, smooth_grad,
           integrated_gradients]  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_leaves_the_network_as_it_was(method):
    model = Deep()
    model.second.weight.requires_grad_(False)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    before = Snapshot(model)
    method(model, torch.randn(2, 3, 9, 9, dtype=torch.float64), 1)
    assert before.changes() == []


@pytest.mark.parametrize("method", METHODS)
def test_leaves_the_network_as_it_was_when_it_breaks(method):
    class Breaking(Deep):
        def forward(self, images):
            super().forward(images)
            raise RuntimeError("broken")

    model = Breaking()
    before = Snapshot(model)
    with pytest.raises(RuntimeError, match="broken"):
        method(model, torch.randn(2, 3, 9, 9, dtype=torch.float64), 1)
    with pytest.raises(IndexError, match="no class 9"):
        method(Deep(), torch.randn(2, 3, 9, 9, dtype=torch.float64), 9)
    assert before.changes() == []


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_part_that_can_not_be_watched_leaves_no_hook_on_the_others():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), torch.jit.script(nn.Conv2d(4, 4, 3)), nn.Flatten(), nn.Linear(100, 3))
    images = torch.randn(1, 3, 9, 9)
    assert grad_cam(model, images, 0).shape == (1, 7, 7)
    with pytest.raises(ValueError, match="layer '1' is part of a program"):
        grad_cam(model, images, 0, "1")
    assert not any(module._forward_hooks for module in model.modules())


def test_a_network_in_training_mode_keeps_its_statistics():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(196, 3)).train()
    before = Snapshot(model)
    guided_grad_cam(model, torch.randn(4, 3, 9, 9), 0)
    assert before.changes() == []


@pytest.mark.parametrize("method", METHODS)
def test_several_classes_of_several_images(method):
    model, images = Deep(), torch.randn(2, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    found = method(model, images, torch.tensor([[1, 2], [0, 3]]))
    assert len(found) == 4
    assert not found.requires_grad
    torch.testing.assert_close(found[3], method(model, images[1:], 3)[0], rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("method", METHODS)
def test_maps_do_not_depend_on_the_batch(method):
    model, images = Deep(), torch.randn(5, 3, 9, 9, dtype=torch.float64)
    together = method(model, images, torch.tensor([0, 1, 2, 3, 4]))
    alone = torch.cat([method(model, images[i : i + 1], i) for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-14)


@pytest.mark.slow
def test_many_images_leave_neither_hooks_nor_memory_behind():
    model, images = Deep().float(), torch.randn(1, 3, 32, 32)
    for _ in range(20):
        guided_grad_cam(model, images, 0)
    gc.collect()
    alive = sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())
    for i in range(250):
        explain(model, images, Unit("second", i % 6), layer="second")
    gc.collect()
    assert sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects()) <= alive
    assert not any(module._forward_hooks or module._backward_hooks for module in model.modules())


@pytest.mark.slow
def test_the_memory_of_the_process_stays_flat():
    """Graphs live outside of Python's own bookkeeping: 150 leaked ones of this size are over 150 MB."""
    model, images = Deep().float(), torch.randn(1, 3, 224, 224)
    for _ in range(20):
        guided_grad_cam(model, images, 0)
    before = resident()
    for _ in range(150):
        guided_grad_cam(model, images, 0)
    assert resident() - before < 60e6


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

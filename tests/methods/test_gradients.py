import pytest
import torch
from captum.attr import Saliency
from torch import nn
from torch.nn import functional as F  # noqa: N812

from auditor.methods import gradient, saliency


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
    ([0, 1, 2], ValueError, "one class, or one for each of 2"),
    (torch.tensor(1.5), ValueError, "whole numbers"),
])  # fmt: skip
def test_refuses_classes_that_do_not_fit(target, error, words):
    with pytest.raises(error, match=words):
        gradient(Small(), torch.randn(2, 3, 4, 4, dtype=torch.float64), target)


def test_says_so_when_the_score_does_not_depend_on_the_image():
    with pytest.raises(ValueError, match="does not depend"):
        gradient(lambda images: torch.zeros(len(images), 3), torch.randn(1, 3, 4, 4), 0)

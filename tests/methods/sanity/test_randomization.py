import copy

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from auditor.methods import gradient
from auditor.methods.attribution.attribution_maps import heat_maps
from auditor.methods.attribution.names import GRAD_CAM, GRADIENT, GUIDED_BACKPROP, GUIDED_GRAD_CAM
from auditor.methods.sanity.randomization import cascading, layers_used


class Backwards(nn.Module):
    """Layers that are registered from the last to the first, and a parameter of no layer at the very beginning."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(6, 8, 3)
        self.conv1 = parametrizations.weight_norm(nn.Conv2d(3, 6, 3))
        self.shift = nn.Parameter(torch.randn(1, 3, 1, 1))
        self.still = nn.Linear(2, 2)  # never used
        self.norm.running_mean += 0.3
        self.eval()

    def forward(self, images):
        maps = functional.relu(self.conv1(images + self.shift))
        return self.head(functional.relu(self.norm(self.conv2(maps))).mean((2, 3)))


def images(n=4, size=12, seed=0):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def state(model):
    return {name: tensor.clone() for name, tensor in (*model.named_parameters(), *model.named_buffers())}


def changed(model, before):
    return {name.split(".")[0] for name, tensor in state(model).items() if not torch.equal(tensor, before[name])}


def test_layers_come_in_the_order_of_their_use():
    assert layers_used(Backwards(), images()) == ("", "conv1", "conv2", "norm", "head")


def test_a_layer_that_is_used_twice_counts_where_it_is_used_last():
    twice = nn.Linear(4, 4)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), twice, nn.Linear(4, 4), twice)
    assert layers_used(model, images(size=2)) == ("1", "3", "2")


def test_layers_of_an_attention_belong_to_what_uses_them():
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.attention, self.head = nn.Linear(3, 8), nn.MultiheadAttention(8, 2), nn.Linear(8, 2)

        def forward(self, images):
            tokens = self.first(images.flatten(2).transpose(1, 2))
            return self.head(self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1))

    model = Attention().eval()
    assert layers_used(model, images()) == ("first", "attention", "attention.out_proj", "head")
    before = state(model)
    with cascading(model, images()) as cascade:
        cascade.redraw(4)
        assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters() if name.endswith("weight"))


def test_the_last_layers_are_redrawn_first_and_the_others_are_left_alone():
    model = Backwards()
    before = state(model)
    with cascading(model, images()) as cascade:
        cascade.redraw(1)
        assert changed(model, before) == {"head"}
        cascade.redraw(3)
        assert changed(model, before) == {"head", "norm", "conv2"}
        cascade.redraw(4)
        assert changed(model, before) == {"head", "norm", "conv2", "conv1"}
        for count in (3, 6):
            with pytest.raises(ValueError, match=f"count is {count}, but has to be from 4, .* to 5"):
                cascade.redraw(count)


def test_everything_is_put_back_bit_for_bit_also_after_an_exception():
    model = Backwards()
    model.head.bias.data[0], model.conv2.bias.data[1] = float("nan"), -0.0
    before, hooks = state(model), [len(part._forward_pre_hooks) for part in model.modules()]
    owned = {name: id(tensor) for name, tensor in model.named_parameters()}

    def broken():
        with cascading(model, images()) as cascade:
            cascade.redraw(len(cascade.layers))
            raise KeyError("head")

    with pytest.raises(KeyError, match="head"):
        broken()
    for name, tensor in state(model).items():
        whole = {4: torch.int32, 8: torch.int64}[tensor.element_size()]
        assert torch.equal(tensor.view(whole), before[name].view(whole))
    assert owned == {name: id(tensor) for name, tensor in model.named_parameters()}
    assert hooks == [len(part._forward_pre_hooks) for part in model.modules()]
    assert not any(part.training for part in model.modules())


def test_a_layer_is_drawn_as_its_own_initialisation_draws():
    """A convolution of fan-in 3600 has uniform weights up to 1 / 60."""
    model = nn.Sequential(nn.Conv2d(400, 64, 3), nn.Flatten(), nn.Linear(64, 2))
    model[0].weight.data.fill_(7)
    with cascading(model, torch.randn(2, 400, 3, 3)) as cascade:
        cascade.redraw(2)
        weights = model[0].weight.detach().clone().flatten().numpy()
    assert scipy.stats.kstest(weights[::37], scipy.stats.uniform(-1 / 60, 2 / 60).cdf).pvalue > 0.001
    assert (model[0].weight == 7).all()


def test_what_has_no_initialisation_of_its_own_keeps_mean_and_spread():
    model = Backwards()
    model.shift.data, model.conv1.parametrizations.weight.original0.data = (
        torch.randn(1, 3, 1, 1),
        5 + torch.rand(6, 1, 1, 1),
    )
    before = state(model)
    with cascading(model, images()) as cascade:
        cascade.redraw(5)
        length = model.conv1.parametrizations.weight.original0
        assert not torch.equal(length, before["conv1.parametrizations.weight.original0"])
        assert 4 < length.mean() < 7
        assert not torch.equal(model.shift, before["shift"])


def test_batch_norm_sees_what_now_arrives():
    model = Backwards()
    with cascading(model, images()) as cascade:
        cascade.redraw(5)
        maps = model.conv2(functional.relu(model.conv1(images() + model.shift)))
        normed = model.norm(maps)
        torch.testing.assert_close(normed.mean((0, 2, 3)), torch.zeros(8), atol=1e-5, rtol=0)
        torch.testing.assert_close(normed.std((0, 2, 3), correction=0), torch.ones(8), atol=1e-2, rtol=0)


def test_statistics_before_the_redrawn_layers_stay():
    model = Backwards()
    before = model.norm.running_mean.clone()
    with cascading(model, images()) as cascade:
        cascade.redraw(1)
        assert torch.equal(model.norm.running_mean, before)


def test_a_single_value_a_channel_is_no_spread():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).eval()
    with cascading(model, images(1, size=2)) as cascade:
        cascade.redraw(3)
        assert model[2].running_var.tolist() == [1, 1, 1, 1]
        assert model(images(1, size=2)).isfinite().all()


def test_draws_depend_on_the_seed_and_on_nothing_else():
    def drawn(seed, *counts):
        model = Backwards()
        with cascading(model, images(), seed=seed) as cascade:
            for count in counts:
                cascade.redraw(count)
            return model.conv2.weight.clone(), model.head.weight.clone()

    for one, other in zip(drawn(0, 5), drawn(0, 1, 2, 4, 5), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(drawn(0, 5)[0], drawn(1, 5)[0])


def test_the_global_random_stream_goes_on_as_if_nothing_had_been_drawn():
    model = Backwards()
    stream = torch.get_rng_state()
    with cascading(model, images()) as cascade:
        cascade.redraw(5)
    assert torch.equal(torch.get_rng_state(), stream)


def test_an_initialisation_that_reaches_into_other_layers_changes_only_its_own():
    class Reaching(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.scale = nn.Linear(12, 5), nn.Parameter(torch.full((5,), 3.0))

        def reset_parameters(self):
            nn.init.zeros_(self.first.weight)
            self.scale = nn.Parameter(torch.ones(5))

        def forward(self, images):
            return self.first(images.flatten(1)) * self.scale

    model = Reaching()
    before, scale = state(model), model.scale
    with cascading(model, images(size=2)) as cascade:
        cascade.redraw(1)
        assert changed(model, before) == {"scale"}
        assert model.scale is scale
        assert model.scale.tolist() == [1, 1, 1, 1, 1]


def test_a_module_that_can_not_be_copied_is_redrawn_all_the_same():
    model = Backwards()
    model.head.kept = (model.head.weight * 2).sum()  # no leaf, which deepcopy refuses
    before = state(model)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(model.head)
    with cascading(model, images()) as cascade:
        cascade.redraw(1)
        assert not torch.equal(model.head.weight, before["head.weight"])


def test_networks_that_hide_their_modules_are_refused():
    with pytest.raises(ValueError, match="does not show them"), cascading(lambda images: images.flatten(1), images()):
        pass


def test_a_linear_network_forgets_its_gradient_and_a_map_of_the_image_stays():
    """The gradient is the weights themselves: fresh draws don't correlate with them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 24, 2)).eval()
    shown = images(size=24)
    edges = shown.diff(dim=2).abs().sum(1)
    trained = gradient(model, shown, 0)
    with cascading(model, shown) as cascade:
        cascade.redraw(1)
        redrawn = gradient(model, shown, 0)
        assert torch.equal(edges, shown.diff(dim=2).abs().sum(1))
    alike = scipy.stats.spearmanr(trained.abs().flatten(), redrawn.abs().flatten()).statistic
    assert abs(alike) < 4 / np.sqrt(trained.numel())


def test_heat_maps_are_what_the_methods_give_at_the_size_of_the_image():
    from auditor.methods import Location, enlarged, grad_cam, guided_backprop

    model, shown, target = Backwards(), images(), torch.tensor([0, 2, 1, 0])
    place = Location("norm", rectified=True)
    maps = heat_maps(model, shown, target, place)
    cam = enlarged(grad_cam(model, shown, target, place, signed=True), (12, 12)).clamp(min=0)
    guided = guided_backprop(model, shown, target).abs().amax(1)
    torch.testing.assert_close(maps[GRADIENT], gradient(model, shown, target).abs().amax(1))
    torch.testing.assert_close(maps[GUIDED_BACKPROP], guided)
    torch.testing.assert_close(maps[GRAD_CAM], cam)
    torch.testing.assert_close(maps[GUIDED_GRAD_CAM], guided * cam)
    assert list(heat_maps(nn.Sequential(nn.Flatten(), nn.Linear(432, 3)), shown, target, None)) == [GRADIENT]

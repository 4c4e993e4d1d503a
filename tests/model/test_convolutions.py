import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from auditor.errors import UsageError
from auditor.model.convolutions import convolutions, in_other_dimensions, select
from auditor.model.layers import trace


class Backwards(nn.Module):
    """Runs its convolutions in another order than it registers them."""

    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(8, 6, 1)
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.first = nn.Conv2d(3, 8, 3)
        self.single = nn.Conv2d(6, 1, 1)

    def forward(self, x):
        return self.single(self.last(self.depthwise(self.first(x)))).mean((2, 3))


def test_come_in_execution_order_and_know_their_neighbour():
    model = Backwards().eval()
    found = convolutions(model, trace(model, torch.zeros(1, 3, 9, 9)))
    assert [(c.name, c.depthwise, c.before_depthwise) for c in found] == [
        ("first", False, True),
        ("depthwise", True, False),
        ("last", False, False),
    ]
    assert found[0].kernels.shape == (8, 3, 3, 3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_are_found_in_torchscript_without_its_layers():
    found = convolutions(torch.jit.script(Backwards().eval()), [])
    assert {(c.name, c.depthwise) for c in found} == {("first", False), ("depthwise", True), ("last", False)}


def test_a_grey_first_layer_is_not_depthwise():
    model = nn.Sequential(nn.Conv2d(1, 4, 3))
    assert not convolutions(model, [])[0].depthwise


def only(convolution):
    (found,) = convolutions(nn.Sequential(convolution), [])
    assert found.name == "0"
    return torch.from_numpy(found.kernels)


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_kernels_of_a_transposed_convolution_belong_to_its_outputs(groups):
    convolution = nn.ConvTranspose2d(6, 12, 3, groups=groups, bias=False)
    kernels = only(convolution)
    assert kernels.shape == (12, 6 // groups, 3, 3)
    for output in range(12):
        with torch.no_grad():
            seen = convolution(torch.eye(6)[:, :, None, None])[:, output]  # [input, 3, 3]
        group = output * groups // 12
        members = slice(group * 6 // groups, (group + 1) * 6 // groups)
        torch.testing.assert_close(seen[members], kernels[output])


def test_a_transposed_convolution_with_a_filter_an_input_is_depthwise():
    (found,) = convolutions(nn.Sequential(nn.ConvTranspose2d(6, 6, 3, groups=6)), [])
    assert (found.depthwise, found.groups) == (True, 6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
def test_weight_norm_is_judged_by_the_kernels_that_it_makes(norm):
    convolution = norm(nn.Conv2d(3, 8, 3, bias=False))
    length = next(p for p in convolution.parameters() if p.numel() == 8)
    with torch.no_grad():
        length.mul_(torch.arange(8.0)[:, None, None, None])
        seen = convolution(torch.ones(1, 3, 3, 3)).flatten()
    kernels = only(convolution)
    torch.testing.assert_close(kernels.sum((1, 2, 3)), seen)
    assert not kernels[0].any()


def test_a_transposed_convolution_under_weight_norm_is_still_transposed():
    convolution = nn.utils.parametrizations.weight_norm(nn.ConvTranspose2d(4, 8, 3))
    torch.testing.assert_close(only(convolution), convolution.weight.detach().transpose(0, 1))


def test_weight_norm_over_another_dimension_is_undone():
    convolution = nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 8, 3, bias=False), dim=1)
    torch.testing.assert_close(only(convolution), convolution.weight.detach())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_weight_that_the_checkpoint_changed_since_the_last_pass_is_read_anew():
    convolution = nn.utils.weight_norm(nn.Conv2d(3, 8, 3))
    state = {name: 2 * tensor for name, tensor in convolution.state_dict().items()}
    before = only(convolution)
    convolution.load_state_dict(state)
    torch.testing.assert_close(only(convolution), 2 * before)


def test_pruned_weights_are_zero_where_the_mask_is():
    convolution = nn.Conv2d(3, 8, 3)
    mask = torch.ones_like(convolution.weight)
    mask[5] = 0
    prune.custom_from_mask(convolution, "weight", mask)
    assert [i for i, kernel in enumerate(only(convolution)) if not kernel.any()] == [5]


def test_spectral_norm_changes_no_kernel_but_its_length():
    convolution = nn.Conv2d(3, 8, 3)
    before = convolution.weight.detach().clone()
    found = only(nn.utils.parametrizations.spectral_norm(convolution).eval())
    ratio = found / before
    torch.testing.assert_close(ratio, torch.full_like(ratio, float(ratio.mean())))


def test_what_has_one_or_three_dimensions_is_named_and_left_out():
    model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Conv2d(2, 4, 3), nn.Conv3d(2, 4, 3), nn.ConvTranspose1d(2, 4, 3))
    assert [c.name for c in convolutions(model, [])] == ["1"]
    assert in_other_dimensions(model) == ["0", "2", "3"]


def stack(*sizes):
    return convolutions(nn.Sequential(*(nn.Conv2d(4, 4, size) for size in sizes)), [])


@pytest.mark.parametrize(
    ("sizes", "chosen", "names"),
    [
        ((3,) * 9, "spread", ["0", "2", "4", "6", "8"]),
        ((3, 1, 3, 1, 3, 1), "spread", ["0", "2", "3", "4"]),
        ((1,) * 9, "spread", ["0", "2", "4", "6", "8"]),
        ((3, 1, 1), "all", ["0", "1", "2"]),
        ((3, 3, 3), ("2", "0"), ["0", "2"]),
        ((3, 3, 3), "1", ["1"]),
    ],
)
def test_layers_are_selected_in_their_order(sizes, chosen, names):
    assert [layer.name for layer in select(stack(*sizes), chosen)] == names


def test_a_name_that_is_no_convolution_is_refused():
    with pytest.raises(UsageError, match="no convolution '7'"):
        select(stack(3, 3), ("7",))

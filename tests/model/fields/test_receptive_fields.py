import copy

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F  # noqa: N812

import auditor.model
from auditor.errors import UsageError
from auditor.model.fields.axes import NOTHING
from auditor.model.fields.receptive_fields import (
    ReceptiveField,
    receptive_field,
    receptive_fields,
    traced_fields,
)
from auditor.model.network import Network
from auditor.process.torchvision import torchvision

NONE = (NOTHING, -1)


def oracle(model, rows, cols) -> dict[str, tuple]:
    """Put NaN into each row and each column, and return for each module where it arrives, as intervals."""
    arrived: list[dict[str, torch.Tensor]] = [{}, {}]
    for dim, seen in zip((2, 3), arrived, strict=True):
        images = torch.rand(1, 3, rows, cols).repeat((rows, cols)[dim - 2], 1, 1, 1)
        for line, image in enumerate(images):
            image.select(dim - 1, line).fill_(torch.nan)
        handles = [m.register_forward_hook(watching(name, seen)) for name, m in model.named_modules() if name]
        with torch.no_grad():
            model(images)
        for handle in handles:
            handle.remove()
    return {name: tuple(arrived[i][name] for i in (0, 1)) for name in arrived[0]}


def watching(name, seen):
    def watch(module, inputs, output):
        if output.ndim == 4 and len(output) > 1:
            seen[name] = output.isnan()

    return watch


def intervals(reached, dim) -> tuple:
    """Return first and last line that reach each position along `dim`, from `[line, ...]`."""
    reached = reached.any(tuple(other for other in (1, 2, 3) if other != dim))
    return tuple((int(hits[0]), int(hits[-1])) if len(hits := line.nonzero()[:, 0]) else NONE for line in reached.T)


def check_every_unit(model, rows, cols) -> dict[str, ReceptiveField]:
    """Compare what is traced with NaN at each unit; where it is global, every line must reach every unit."""
    fields, reached = traced_fields(model.eval(), torch.zeros(1, 3, rows, cols)), oracle(model, rows, cols)
    for name, field in fields.items():
        y, x = axes_of(reached[name][0], field)
        down, across = intervals(reached[name][0], y), intervals(reached[name][1], x)
        if field.global_:
            assert set(down) == {(0, rows - 1)}, name
            assert set(across) == {(0, cols - 1)}, name
        else:
            assert (field.rows, field.cols) == (down, across), name
    return fields


def axes_of(output, field):
    sizes = (len(field.rows), len(field.cols))
    return next(axes for axes in ((2, 3), (1, 2)) if tuple(output.shape[axis] for axis in axes) == sizes)


def built(name) -> nn.Module:
    torch.manual_seed(0)
    if name == "efficientnet_lite0":
        return EfficientNet.from_name("efficientnet-lite0")
    options = {"init_weights": False} if name in ("googlenet", "inception_v3", "vgg16") else {}
    return torchvision.models.get_model(name, weights=None, **options)


QUICK = [
    ("resnet18", 33, 46, 66),
    ("mobilenet_v2", 47, 33, 209),
    ("squeezenet1_0", 40, 33, 67),
    ("shufflenet_v2_x0_5", 33, 64, 190),
    ("efficientnet_lite0", 47, 33, 181),
    ("googlenet", 33, 47, 221),
]
SLOW = [
    ("vgg16", 32, 47, 33),
    ("resnet50", 65, 50, 149),
    ("resnet18", 97, 128, 66),
    ("densenet121", 33, 46, 431),
    ("inception_v3", 76, 81, 297),
    ("mobilenet_v2", 130, 97, 209),
    ("googlenet", 97, 130, 221),
    ("efficientnet_lite0", 97, 130, 181),
]


@pytest.mark.parametrize(
    ("name", "rows", "cols", "maps"), [*QUICK, *(pytest.param(*row, marks=pytest.mark.slow) for row in SLOW)]
)
def test_is_exact_at_every_unit(name, rows, cols, maps):
    fields = check_every_unit(built(name), rows, cols)
    assert len(fields) == maps
    assert not any(field.global_ for field in fields.values())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rows", "cols", "maps"), [("convnext_tiny", 65, 96, 199), ("swin_t", 64, 96, 153)])
def test_follows_channels_last_windows_and_tokens(name, rows, cols, maps):
    fields = check_every_unit(built(name), rows, cols)
    assert len(fields) == maps


@pytest.mark.parametrize(
    ("name", "layer", "size", "stride", "offset"),
    [
        ("alexnet", "features.0", 11, 4, -2),
        ("vgg16", "features.28", 196, 16, -90),
        ("vgg16", "features.30", 212, 32, -90),
        ("resnet18", "layer1.0.conv1", 19, 4, -9),
        ("resnet18", "layer4", 435, 32, -217),
    ],
)
def test_agrees_with_what_is_known(name, layer, size, stride, offset):
    field = receptive_field(built(name), layer, (3, 224, 224))
    assert (field.size, field.stride, field.offset) == ((size, size), (stride, stride), (offset, offset))
    assert (field.global_, field.found) == (False, "traced")


def ungated(model):
    """Return the network with an identity in place of each squeeze-excite."""
    model = copy.deepcopy(model)
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, torchvision.ops.SqueezeExcitation):
                setattr(module, name, nn.Identity())
    return model


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0"])
def test_squeeze_excite_is_global_and_leaves_the_local_path(name):
    model = built(name).eval()
    fields, local = check_every_unit(model, 33, 47), check_every_unit(ungated(model), 33, 47)
    assert not any(field.global_ for field in local.values())
    assert not fields["features.0"].global_
    assert fields["features.3"].global_
    assert fields["features.3"].local
    for layer in ("features.0", "features.3", "features.6", "features"):
        assert (fields[layer].rows, fields[layer].cols) == (local[layer].rows, local[layer].cols)
        assert (fields[layer].size, fields[layer].offset) == (local[layer].size, local[layer].offset)


class Functional(nn.Module):
    """Everything that a module table would not show."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.rand(3, 3, 3, 3))
        self.shared = nn.Conv2d(3, 3, 3, padding=2, dilation=2)
        self.before, self.ending, self.last, self.head = nn.Identity(), nn.Identity(), nn.Identity(), nn.Linear(3, 2)

    def forward(self, x):
        x = (x - x.new_tensor([0.4, 0.5, 0.6])[None, :, None, None]) / 0.2
        x = F.conv2d(F.pad(x, (1, 0, 2, 1)), self.kernel, stride=2)
        x = self.before(x)
        x = F.relu(self.shared(F.relu(self.shared(x), inplace=True)))
        x += F.avg_pool2d(x, 3, 1, 1)
        x = self.ending(torch.cat([x[:, :1], F.max_pool2d(x, (1, 3), 1, (0, 1))[:, 1:]], 1))
        x = F.pad(x, (1, 2, 1, 1), mode="reflect")[:, :, 1:, ::2]
        return self.head(self.last(x).mean((2, 3)))


def test_follows_functional_code_and_reused_modules():
    fields = check_every_unit(Functional(), 19, 26)
    assert (fields["before"].size, fields["before"].stride, fields["before"].offset) == ((3, 3), (2, 2), (-2, -1))
    assert fields["shared"].size == (3 + 4 * 4, 3 + 4 * 4)  # as it was used last
    assert set(fields) == {"before", "shared", "ending", "last"}


class Attending(nn.Module):
    """Attention over all positions, with a residual connection."""

    def __init__(self, *, fused):
        super().__init__()
        self.fused = fused
        self.stem, self.all, self.after = nn.Conv2d(3, 8, 5, 2), nn.Linear(8, 24), nn.Conv2d(8, 8, 3, 1, 1)

    def forward(self, x):
        x = self.stem(x)
        n, c, h, w = x.shape
        q, k, v = self.all(x.flatten(2).transpose(1, 2)).chunk(3, -1)
        if self.fused:
            mixed = F.scaled_dot_product_attention(*(t[:, None] for t in (q, k, v)))[:, 0]
        else:
            mixed = (q @ k.transpose(1, 2) / c**0.5).softmax(-1) @ v
        return self.after(x + mixed.transpose(1, 2).reshape(n, c, h, w))


@pytest.mark.parametrize("fused", [True, False])
def test_attention_is_global_and_leaves_the_local_path(fused):
    fields = check_every_unit(Attending(fused=fused), 17, 23)
    assert (fields["stem"].global_, fields["after"].global_) == (False, True)
    assert (fields["after"].size, fields["after"].stride, fields["after"].offset) == ((9, 9), (2, 2), (-2, -2))
    assert set(fields) == {"stem", "after"}  # tokens are no maps


@pytest.mark.parametrize(
    "norm", [nn.GroupNorm(2, 6), nn.InstanceNorm2d(6), nn.BatchNorm2d(6, track_running_stats=False)]
)
def test_a_normalisation_over_the_map_is_global(norm):
    fields = traced_fields(nn.Sequential(nn.Conv2d(3, 6, 3), norm).eval(), torch.zeros(1, 3, 9, 9))
    assert [field.global_ for field in fields.values()] == [False, True]
    assert fields["1"].rows == fields["0"].rows


def test_a_pooled_map_sees_everything_and_is_a_unit():
    fields = check_every_unit(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 9, 12)
    assert (fields["1"].rows, fields["1"].cols, fields["1"].size) == (((0, 8),), ((0, 11),), (9, 12))
    assert set(fields) == {"0", "1"}


class Cumulative(nn.Module):
    """Row after row is added up, an operator without a rule."""

    def forward(self, x):
        return x.cumsum(2)


def test_probes_what_it_can_not_trace():
    model, image = nn.Sequential(nn.Conv2d(3, 4, 3), Cumulative(), nn.Conv2d(4, 4, 3)), torch.zeros(1, 3, 11, 12)
    assert set(traced_fields(model, image)) == {"0"}
    fields = receptive_fields(model, image)
    assert [field.found for field in fields.values()] == ["traced", "probed", "probed"]
    assert fields["2"].rows == tuple((0, i + 4) for i in range(7))
    assert fields["2"].cols == tuple((i, i + 4) for i in range(8))
    assert (fields["2"].size[1], fields["2"].stride[1], fields["2"].offset[1]) == (5, 1, 0)


class Writing(nn.Module):
    """Writes into a part of a tensor."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, x):
        x = self.first(x)
        shifted = torch.zeros_like(x)
        shifted[:, :2, 1:] = x[:, :2, :-1]
        shifted[:, 2:] = x[:, 2:]
        return self.second(shifted)


def test_does_not_guess_what_was_written_in_part():
    fields = receptive_fields(Writing(), torch.zeros(1, 3, 11, 12))
    assert fields["second"].found == "probed"
    assert fields["second"].rows[4] == (3, 8)


def test_probing_says_that_each_unit_sees_the_whole_image():
    class Shuffled(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Identity()

        def forward(self, x):
            return self.last(torch.fft.fft2(x).real)

    field = receptive_field(Shuffled(), "last", (8, 6))
    assert (field.global_, field.found, field.local, field.box(3, 3)) == (True, "probed", False, (0, 0, 6, 8))


def test_an_enlargement_has_no_step_but_exact_fields():
    model = nn.Sequential(nn.Conv2d(3, 3, 2, 2), nn.Upsample(scale_factor=2), nn.Conv2d(3, 3, 3, padding=1))
    fields = check_every_unit(model, 12, 14)
    assert fields["1"].rows[:3] == ((0, 1), (0, 1), (2, 3))
    assert fields["2"].size == (4, 4)


def test_an_interpolation_sees_only_what_has_a_weight():
    model = nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"))
    assert traced_fields(model, torch.zeros(1, 3, 4, 4))["0"].rows[:4] == ((0, 0), (0, 1), (0, 1), (1, 2))


def test_a_box_has_edges_inside_the_image():
    field = receptive_field(nn.Conv2d(3, 4, 11, 4, 2).train(), "", (3, 64, 80))
    assert field.box(0, 0) == (0, 0, 9, 9)
    assert field.box(1, 2) == (6, 2, 17, 13)
    assert field.facts().offset == (-2, -2)


def test_a_unit_that_sees_only_padding_has_an_empty_box():
    field = receptive_field(nn.Sequential(nn.Conv2d(3, 4, 1, padding=2)), "0", (5, 5))
    assert field.box(0, 3) == (0, 0, 0, 0)
    assert field.box(2, 3) == (1, 0, 2, 1)


def test_refuses_what_is_no_layer_and_what_gives_no_maps():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(36, 2), nn.Identity())
    with pytest.raises(UsageError, match=r"no layer '00'; did you mean '0'\?"):
        receptive_field(model, "00", (5, 5))
    with pytest.raises(UsageError, match=r"layer '2' gives no maps"):
        receptive_field(model, "2", (5, 5))
    with pytest.raises(UsageError, match=r"has to be \(channels, rows, columns\)"):
        receptive_field(model, "0", (1, 3, 5, 5))


def test_hands_the_model_back_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout()).train()
    model[1].eval()
    before = copy.deepcopy(model.state_dict())
    receptive_fields(model, torch.rand(1, 3, 9, 9))
    assert [m.training for m in model] == [True, False, True, True]
    assert not any(m._forward_hooks for m in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_leaves_no_hook_behind_when_the_network_breaks():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Linear(5, 2)).train()
    with pytest.raises(RuntimeError):
        receptive_fields(model, torch.zeros(1, 3, 9, 9))
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_a_network_traces_for_the_report_and_probes_when_asked():
    class Net(nn.Sequential):
        def forward(self, x):
            return super().forward(x).mean((2, 3))

    network = Network.of(Net(nn.Conv2d(3, 4, 3), Cumulative(), nn.ReLU()), (3, 9, 9), torch.device("cpu"), amp=False)
    assert set(network.receptive_fields) == {"0"}
    assert network.receptive_field("0") is network.receptive_fields["0"]
    assert network.receptive_field("2").found == "probed"
    assert network.receptive_field("none") is None


def test_the_function_is_what_the_package_exports():
    assert auditor.model.receptive_field is receptive_field
    assert auditor.model.ReceptiveField is ReceptiveField
    assert dir(auditor.model) == ["ReceptiveField", "receptive_field"]


@st.composite
def window(draw, *, most=4):
    """Draw a convolution or a pooling in which each window touches what it is laid over."""
    kernel, dilation, stride = draw(st.integers(1, most)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["conv", "conv", "depthwise", "max", "average", "transposed"]))
    padding = draw(st.integers(0, kernel // 2))
    if kind == "max":
        return nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=draw(st.booleans()))
    if kind == "average":
        return nn.AvgPool2d(kernel, stride, padding, draw(st.booleans()), draw(st.booleans()))
    if kind == "transposed":
        return nn.ConvTranspose2d(3, 3, kernel, stride, padding, dilation=dilation)
    wide = (kernel, draw(st.integers(1, 3)))  # unlike along rows and columns
    return nn.Conv2d(3, 3, wide, stride, (padding, 0), dilation, groups=3 if kind == "depthwise" else 1)


class Branches(nn.Module):
    def __init__(self, kernels, dilation, *, concatenated):
        super().__init__()
        self.paths = nn.ModuleList(nn.Conv2d(3, 3, k, 1, dilation * (k // 2), dilation) for k in kernels)
        self.mix, self.concatenated = nn.Conv2d(3 * len(kernels), 3, 1), concatenated

    def forward(self, x):
        paths = [path(x) for path in self.paths]
        return self.mix(torch.cat(paths, 1)) if self.concatenated else sum(paths)


def branches():
    kernels = st.lists(st.sampled_from([1, 3, 5]), min_size=2, max_size=3)
    return st.builds(Branches, kernels, st.integers(1, 2), concatenated=st.booleans())


def others():
    return st.sampled_from(
        [nn.ReLU(), nn.ZeroPad2d((1, 2, 0, 1)), nn.ReplicationPad2d(1), nn.Upsample(scale_factor=2), nn.PixelShuffle(1)]
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    layers=st.lists(st.one_of(window(), window(), branches(), others()), min_size=1, max_size=5),
    rows=st.integers(9, 24),
    cols=st.integers(9, 24),
)
def test_is_exact_on_any_small_network(layers, rows, cols):
    model = nn.Sequential(*(copy.deepcopy(layer) for layer in layers)).eval()
    try:
        with torch.no_grad():
            output = model(torch.rand(1, 3, rows, cols))
    except RuntimeError:
        assume(False)
    assume(output.shape[2] * output.shape[3] < 4000)
    fields = check_every_unit(model, rows, cols)
    assert str(len(layers) - 1) in fields
    if not any(isinstance(layer, nn.Upsample | nn.ConvTranspose2d) for layer in layers):
        for field in fields.values():
            check_step(field, 0, field.rows, rows)
            check_step(field, 1, field.cols, cols)


def check_step(field, axis, seen, length):
    """Compare the fields that size, stride and offset put wholly inside the image."""
    for unit, interval in enumerate(seen):
        start = field.offset[axis] + field.stride[axis] * unit
        end = start + field.size[axis] - 1
        if start >= 0 and end < length:
            assert interval == (start, end)


class Caching(nn.Conv2d):
    """A layer whose own `train` throws its cache away, as those of LeViT and TinyViT do."""

    def __init__(self):
        super().__init__(3, 4, 3)
        self.cache = {"cpu": torch.zeros(1)}

    def train(self, mode=True):
        self.cache = {}
        return super().train(mode)


def test_a_network_in_eval_mode_keeps_what_it_has_cached():
    model = nn.Sequential(Caching(), nn.Flatten())
    model.training = model[1].training = model[0].training = False
    kept = model[0].cache
    receptive_field(model, "0", (8, 8))
    assert model[0].cache is kept

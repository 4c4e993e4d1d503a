"""Computing only what a window changes gives what computing everything gives, whatever the network."""

import os
import time
import tracemalloc

import pytest
import torch
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional
from torch.profiler import profile

from auditor.methods import Occluder, occlusion
from auditor.methods.occlusion.incremental import plan
from auditor.methods.occlusion.incremental.operators import Concatenation
from auditor.model.preserve import Snapshot
from tests.methods.attribution.test_cam import family


class Residual(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.inside = inside

    def forward(self, maps):
        return maps + self.inside(maps)


class Beside(nn.Module):
    def __init__(self, *ways):
        super().__init__()
        self.ways = nn.ModuleList(ways)

    def forward(self, maps):
        return torch.cat([way(maps) for way in self.ways], 1)


class Gated(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.inside = inside

    def forward(self, maps):
        return maps * torch.sigmoid(self.inside(maps))


class Squeeze(nn.Module):
    def forward(self, maps):
        return maps * maps.mean((2, 3), keepdim=True).sigmoid()


@st.composite
def layers(draw, channels, depth=0):
    """Return a layer that takes maps of so many channels, and how many it gives."""
    kinds = ["conv", "depthwise", "activation", "norm", "pool", "pad", "scale"]
    kind = draw(st.sampled_from(kinds + ["residual", "beside", "gate"] * (depth < 2)))
    if kind in ("conv", "depthwise"):
        return convolution(draw, channels, groups=channels if kind == "depthwise" else draw(st.sampled_from([1, 2])))
    if kind == "residual":
        return Residual(same_size(draw, channels)), channels
    if kind == "gate":
        return Gated(same_size(draw, channels)), channels
    if kind == "beside":
        return Beside(nn.Identity(), same_size(draw, channels)), 2 * channels
    return plain(draw, kind, channels), channels


def convolution(draw, channels, groups):
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 3)))
    out = draw(st.sampled_from([2, 4, 6])) if groups != channels else channels
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 2)))
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    bias = draw(st.booleans())
    made = nn.Conv2d(channels, out, kernel, stride, padding, dilation=dilation, groups=groups, bias=bias)
    return made, out


def same_size(draw, channels):
    kernel, dilation = draw(st.sampled_from([1, 3])), draw(st.integers(1, 2))
    padding = dilation * (kernel // 2)
    after = draw(st.sampled_from([nn.ReLU(), nn.SiLU(), nn.Identity()]))
    return nn.Sequential(nn.Conv2d(channels, channels, kernel, padding=padding, dilation=dilation), after)


def plain(draw, kind, channels):
    if kind == "activation":
        names = ["ReLU", "ReLU6", "SiLU", "GELU", "Hardswish", "Hardsigmoid", "Sigmoid", "Tanh", "LeakyReLU"]
        name = draw(st.sampled_from([*names, "ELU", "Softplus", "Mish"]))
        in_place = name in ("ReLU", "ReLU6", "SiLU", "Hardswish") and draw(st.booleans())
        return getattr(nn, name)(**({"inplace": True} if in_place else {}))
    if kind == "norm":
        made = nn.BatchNorm2d(channels, affine=draw(st.booleans()))
        made.running_mean.normal_()
        made.running_var.uniform_(0.3, 2)
        return made
    if kind == "pool":
        kernel, ceil = draw(st.integers(1, 3)), draw(st.booleans())
        pool = nn.MaxPool2d if draw(st.booleans()) else nn.AvgPool2d
        return pool(kernel, draw(st.integers(1, 3)), draw(st.integers(0, kernel // 2)), ceil_mode=ceil)
    if kind == "pad":
        return nn.ConstantPad2d(draw(st.tuples(*[st.integers(0, 2)] * 4)), draw(st.sampled_from([0.0, 0.7])))
    return draw(st.sampled_from([Squeeze(), nn.Dropout(), nn.Identity()]))


@st.composite
def networks(draw):
    torch.manual_seed(draw(st.integers(0, 99)))
    channels, made = 4, [nn.Conv2d(3, 4, 3, padding=1)]
    for _ in range(draw(st.integers(1, 6))):
        layer, channels = draw(layers(channels))
        made.append(layer)
    return nn.Sequential(*made, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)).double().eval()


def fits(net, images):
    try:
        net(images)
    except (RuntimeError, ValueError):
        return False
    return True


@torch.inference_mode()
def logits(occluder, image, fill):
    """Return the scores for all windows, `[windows, k]`."""
    passed = list(occluder(image, fill))
    return torch.cat([one.scores for one in passed])[torch.cat([one.numbers for one in passed]).argsort()]


def check(net, data):
    """Compare with a pass of the network for each window, on images, windows and strides of any size."""
    height, width = data.draw(st.integers(9, 30)), data.draw(st.integers(9, 30))
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    assume(fits(net, images))
    window = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    stride = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "_LEAST_SAVING", 0.0)  # a plan is right even where it is not worth it
        occluder = Occluder(net, images, window=window, stride=stride)
    event("on rectangles" if not occluder.how.dense else "in whole")
    inside = occluder.windows.inside(torch.arange(len(occluder.windows)))[:, None]
    expected = net(torch.where(inside, images[1:], images[:1])).detach()
    torch.testing.assert_close(logits(occluder, images[:1], images[1:]), expected, atol=1e-9, rtol=1e-9)
    return occluder.how.dense == ""


def ran_on_rectangles(examples):
    """Check random networks, and return how many were computed on rectangles."""
    found = []

    @settings(max_examples=examples, deadline=None)
    @given(networks(), st.data())
    def each(net, data):
        found.append(check(net, data))

    each()
    return sum(found)


def test_random_networks():
    assert ran_on_rectangles(10) > 1


@pytest.mark.slow
def test_many_random_networks():
    """More of them with RANDOM_NETWORKS=200 in the environment: each takes half a second."""
    count = int(os.environ.get("RANDOM_NETWORKS", "60"))
    assert ran_on_rectangles(count) > count // 4


ON_RECTANGLES = ["resnet18", "vgg11_bn", "mobilenet_v2", "densenet121", "googlenet", "squeezenet1_1", "alexnet"]
IN_WHOLE = ["efficientnet_b0", "convnext_tiny", "vit_b_32", "swin_t"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ON_RECTANGLES + IN_WHOLE)
def test_families(name):
    model, image = family(name).double(), torch.randn(1, 3, 224, 224, dtype=torch.float64)
    before = Snapshot(model)
    occluder = Occluder(model, image, window=(48, 32), stride=(176, 192))
    inside = occluder.windows.inside(torch.arange(len(occluder.windows)))[:, None]
    with torch.no_grad():
        expected = model(torch.where(inside, 0.0, image))
    found = logits(occluder, image, torch.zeros_like(image))
    assert (found - expected).abs().max() < 1e-5 * (expected - expected.mean(0)).abs().max()
    assert before.changes() == []
    assert bool(occluder.how.dense) == (name in IN_WHOLE)
    if occluder.how.dense:
        reasons = "a window changes nearly the whole image", "has no rule for rectangles"
        assert any(reason in occluder.how.dense for reason in reasons)
        assert "times less work" in occluder.how.dense
    else:
        assert occluder.how.share > 0.5
        assert occluder.layer


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_agrees_in_single_precision(name):
    model, image = family(name), torch.randn(1, 3, 224, 224)
    occluder = Occluder(model, image, window=32, stride=64)
    found = logits(occluder, image, torch.ones_like(image))
    inside = occluder.windows.inside(torch.arange(len(occluder.windows)))[:, None]
    with torch.no_grad():
        expected = model(torch.where(inside, 1.0, image))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert not occluder.how.dense


class Slowed:
    """A way to compute windows, with pauses."""

    def __init__(self, way):
        self.way, self.batch, self.asked = way, 4, 0

    def __call__(self, *asked):
        self.asked += 1
        time.sleep(0.2)
        return self.way(*asked)

    def clean(self, image):
        return self.way.clean(image)


@pytest.mark.parametrize("slow", ["_way", "in_whole"])
def test_the_faster_of_two_ways_is_taken_once_and_gives_the_same(slow):
    """As on a GPU, where the second image tells how fast windows are."""
    net, image = chain(), torch.randn(1, 3, 64, 64)
    fill = torch.zeros_like(image)
    occluder = Occluder(net, image, window=8, stride=8)
    before = logits(occluder, image, fill)
    setattr(occluder, slow, slowed := Slowed(getattr(occluder, slow)))
    occluder._choose(image, fill)
    assert bool(occluder.how.dense) is (slow == "_way")
    assert occluder._chosen
    asked = slowed.asked
    torch.testing.assert_close(logits(occluder, image, fill), before, atol=1e-4, rtol=0)
    assert slowed.asked == asked


def test_less_memory_makes_smaller_batches():
    net, image = chain(), torch.randn(1, 3, 64, 64)
    ways = [Occluder(net, image, window=8, stride=4, memory=memory) for memory in (2**22, 2**23, 2**25)]
    batches = [max(len(group.numbers) for group in one._way.plan.groups()) for one in ways]
    assert batches == sorted(set(batches))
    assert [one.how.batch for one in ways] == sorted(one.how.batch for one in ways)


@pytest.mark.parametrize("incremental", [True, False])
def test_takes_no_more_memory_than_it_may(incremental):
    net, image, fill = chain(), torch.randn(1, 3, 96, 96), torch.zeros(1, 3, 96, 96)
    for memory in (2**23, 2**25):
        occluder = Occluder(net, image, window=8, stride=4, memory=memory, incremental=incremental)
        assert bool(occluder.how.dense) is not incremental
        with profile(profile_memory=True) as seen:
            logits(occluder, image, fill)
        changes = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
        alive = torch.tensor([event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns())])
        assert alive.cumsum(0).max() <= memory


@pytest.mark.slow
def test_the_steps_of_a_plan_are_kept_for_as_many_groups_as_there_is_room_for():
    net, image = chain(), torch.randn(1, 3, 96, 96)
    Occluder(net, image, window=8, stride=8)  # what is imported and compiled on the way
    memory, held = 2**24, []
    for stride in (8, 2):
        tracemalloc.start()
        occluder = Occluder(net, image, window=8, stride=stride, memory=memory)
        for _ in range(2):  # kept from the first to the second
            assert sum(len(group.numbers) for group in occluder._way.plan.groups()) == len(occluder.windows)
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    assert held[1] - held[0] < memory / 16
    assert len(occluder._way.plan._held) < sum(1 for _ in occluder._way.plan.groups())


def chain():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5)).eval()


class OneAtATime(nn.Module):
    def forward(self, images):
        return images.reshape(1, 3, -1).mean(2)


class Mixing(nn.Module):
    def forward(self, images):
        return (images - images.mean(0)).mean((2, 3)) + images.amax((2, 3))


class Branching(nn.Module):
    def forward(self, images):
        return images.mean((2, 3)) if images.mean() > 0.5 else images.amax((2, 3))


class Counting(nn.Module):
    def forward(self, images):
        means = images.mean((2, 3))
        return means if len(images) < 3 else means - means.mean(0)


def many_mix(images):
    return Counting()(images)


@pytest.mark.parametrize(("model", "reason"), [
    (OneAtATime(), "the scores of an image depend on the other images of its batch"),
    (Mixing(), "the scores of an image depend on the other images of its batch"),
    (Branching(), ""),
    (Counting(), "depends on the number of images"),
    (many_mix, "an nn.Module shows its graph, and this is a function; one image at a time"),
])  # fmt: skip
def test_networks_that_cant_be_exported_run_as_they_are(model, reason):
    image = torch.linspace(0, 1, 64).view(1, 1, 8, 8).expand(1, 3, 8, 8)
    fill = torch.tensor([2.0, 0.0])[:, None].expand(2, 32).reshape(8, 8)  # the mean lies above and below 0.5
    found = occlusion(model, image, 1, window=4, stride=2, score="logit", fill=fill.expand(3, 8, 8))
    inside = found.windows.inside(torch.arange(9))[:, None]
    one_by_one = [model(one)[0, 1] for one in torch.where(inside, fill, image).split(1)]
    torch.testing.assert_close(found.scores.flatten(), torch.stack(one_by_one))
    assert reason in found.how.dense
    assert found.how.batch == 1
    assert found.feature is None


def test_what_depends_on_the_values_of_a_batch_is_told_and_runs_alone():
    """The mean of the two images of the verification is on the same side of the limit."""

    class Rare(nn.Module):
        def forward(self, images):
            return images.mean((2, 3)) * (3 if float(images.mean()) > 100 else 1)

    found = occlusion(Rare(), torch.rand(1, 3, 8, 8), 1, window=4, stride=4, fill=500.0)
    assert found.how.dense == "the computation depends on the values in the images"
    assert found.how.batch == 1


@pytest.mark.parametrize(("model", "reason"), [
    (lambda images: images.mean((2, 3)), "only an nn.Module shows its graph, and this is a function"),
    (nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(192, 3)).train(), "the same image has other scores each time"),
])  # fmt: skip
def test_says_why_a_network_is_not_exported(model, reason):
    found = occlusion(model, torch.rand(1, 3, 8, 8), 1, window=4, stride=4)
    assert reason in found.how.dense


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_says_that_torchscript_does_not_show_its_graph():
    scripted = torch.jit.trace(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), torch.zeros(1, 3, 8, 8))
    found = occlusion(scripted, torch.rand(1, 3, 8, 8), 1, window=4, stride=4)
    assert found.how.dense == "TorchScript does not show its graph; use the network that was scripted or traced"


def test_exporting_says_nothing_and_its_advice_is_not_passed_on(capfd):
    class Unlike(nn.Module):
        def forward(self, images):
            if float(images.amax()) > 1e9:
                raise ValueError
            return images.mean((2, 3))

    for model in (Unlike(), Counting()):
        found = occlusion(model, torch.rand(1, 3, 8, 8), 1, window=4, stride=4)
        assert "TORCH" not in found.how.dense
    assert capfd.readouterr() == ("", "")


class Called(nn.Module):
    """A network made of a function and of modules."""

    def __init__(self, function, *parts):
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, images):
        return self.function(images, *self.parts)


def conv(channels, out, **options):
    return nn.Conv2d(channels, out, 3, **{"padding": 1, **options})


def head(channels):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3))


def masked(x, a, h):
    maps = a(x)
    return h(maps * ((maps * 2 > 0) & (maps * 3 < 1)))


def not_masked(x, a, h):
    maps = a(x)
    return h(torch.where(~(maps + 1 > 0), maps, maps * 2))


def doubled(x, a, b, h):
    maps = a(x)
    return h(b(torch.cat([maps, maps], 1)).relu())


CALLED = {
    "chunk": (lambda x, a, b, h: h(b(torch.maximum(*a(x).chunk(2, 1)))), conv(3, 8), conv(4, 4), head(4)),
    "split": (lambda x, a, b, h: h(b(torch.maximum(*a(x).split(4, 1)))), conv(3, 8), conv(4, 4), head(4)),
    "topk": (lambda x, a, h: h(a(x).topk(2, dim=1).values), conv(3, 8), head(2)),
    "sort": (lambda x, a, h: h(a(x).sort(1)[0]), conv(3, 8), head(8)),
    "max": (lambda x, a, h: h(a(x).max(1, keepdim=True)[0]), conv(3, 8), head(1)),
    "indices": (
        lambda x, a, h: h(functional.max_unpool2d(*functional.max_pool2d(a(x), 2, return_indices=True), 2)),
        conv(3, 8),
        head(8),
    ),
    "norm": (lambda x, a, n, b, h: h(b(n(a(x)).relu())), conv(3, 4), nn.BatchNorm2d(4), conv(4, 4), head(4)),
    "doubled": (doubled, conv(3, 4), conv(8, 6), head(6)),
    "around": (lambda x, a, h: h(torch.cat([x, a(x), x], 1)), conv(3, 4), head(10)),
    "masked": (masked, conv(3, 4), head(4)),
    "not masked": (not_masked, conv(3, 4), head(4)),
    "same": (lambda x, a, b, h: h(b(a(x).relu())), conv(3, 4, padding="same"), conv(4, 4, padding="same"), head(4)),
    "valid": (lambda x, a, b, h: h(b(a(x).relu())), conv(3, 4, padding="valid"), conv(4, 4), head(4)),
    "even": (lambda x, a, h: h(a(x).relu()), nn.Conv2d(3, 4, (2, 4), dilation=(3, 1), padding="same"), head(4)),
    "over the images": (lambda x, a, h: h(a(x.sub_(0.5).mul_(2)).relu()), conv(3, 4), head(4)),
    "single": (lambda x, a, h: h(a(x.sub_(0.5)).relu()), conv(1, 4), head(4)),
}


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("incremental", [True, False])
@pytest.mark.parametrize("name", CALLED)
def test_operators_of_every_kind(name, incremental, monkeypatch):
    monkeypatch.setattr(plan, "_LEAST_SAVING", 0.0)
    net = Called(*CALLED[name]).double().eval()
    channels = 1 if name == "single" else 3
    image, fill = torch.randn(2, channels, 20, 24, dtype=torch.float64).split(1)
    before = image.clone()
    occluder = Occluder(net, image, window=(4, 3), stride=(3, 4), incremental=incremental)
    found = logits(occluder, image, fill)
    inside = occluder.windows.inside(torch.arange(len(occluder.windows)))[:, None]
    with torch.no_grad():
        expected = torch.cat([net(one) for one in torch.where(inside, fill, before).split(1)])
    torch.testing.assert_close(found, expected)
    assert torch.equal(image, before)
    assert bool(occluder.how.dense) is not incremental
    if name in ("same", "even"):
        assert occluder.how.share > 0.9 or not incremental


@pytest.mark.parametrize("channels", [1, 3])
def test_a_network_that_writes_over_its_input_leaves_the_images_alone(channels):
    def over(images):  # a function, so that it is run itself
        return images.sub_(0.5).mean((2, 3)) @ torch.ones(channels, 2)

    images = torch.rand(2, channels, 8, 8).contiguous(memory_format=torch.channels_last)
    before = images.clone()
    found = occlusion(over, images, 1, window=4, stride=4, score="logit")
    assert torch.equal(images, before)
    torch.testing.assert_close(found.clean, over(before.clone())[:, 1])


@pytest.mark.parametrize(("kind", "close"), [(torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_half_precision(kind, close):
    net, image = (
        nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8), head(8)).eval(),
        torch.randn(1, 3, 24, 24),
    )
    expected = occlusion(net, image, 1, window=4, stride=4, score="logit", incremental=False)
    found = occlusion(net.to(kind), image.to(kind), 1, window=4, stride=4, score="logit")
    assert found.how.dense == ""
    torch.testing.assert_close(found.scores, expected.scores, atol=close, rtol=0)


def test_a_plan_that_gives_other_scores_is_given_up(monkeypatch):
    """A rule that is wrong: the parts come out in another order where they are rectangles."""
    net, image = Called(CALLED["around"][0], conv(3, 32), head(38)).eval(), torch.randn(1, 3, 24, 24)
    right = Concatenation.__call__

    def wrong(self, inputs, count):
        return right(self, [part.flip(1) for part in inputs] if inputs[0].shape[2] < 24 else inputs, count)

    monkeypatch.setattr(Concatenation, "__call__", wrong)
    occluder = Occluder(net, image, window=4, stride=4)
    assert occluder.how.dense == "incremental and complete computation have different scores"

    def broken(self, inputs, count):
        if inputs[0].shape[2] < 24:
            raise KeyError("maps")
        return right(self, inputs, count)

    monkeypatch.setattr(Concatenation, "__call__", broken)
    occluder = Occluder(net, image, window=4, stride=4)
    assert occluder.how.dense == "a window's changes can't be computed alone: KeyError: 'maps'"
    monkeypatch.setattr(Concatenation, "__call__", lambda self, inputs, count: 1 / 0)
    occluder = Occluder(net, image, window=4, stride=4)
    assert occluder.how.dense == "the exported graph can't be computed: ZeroDivisionError: division by zero"
    assert len(logits(occluder, image, torch.zeros_like(image))) == len(occluder.windows)


@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-1.0, 0.0)])
def test_a_network_that_refuses_images_outside_a_range_is_never_shown_any(bounds):
    class Particular(nn.Module):
        def forward(self, images):
            if images.min() < bounds[0] or images.max() > bounds[1]:
                raise ValueError("out of range")
            return images.mean((2, 3))

    image = torch.rand(1, 3, 8, 8) + bounds[0]
    found = occlusion(Particular(), image, 1, window=4, stride=4, fill=bounds[0], score="logit")
    torch.testing.assert_close(found.clean, image.mean((2, 3))[:, 1])


def test_a_network_that_refuses_any_other_image_is_run_all_the_same():
    image = torch.rand(1, 3, 8, 8)

    def proud(images):
        if not torch.equal(images[:, 0, 0, 0], image[:, 0, 0, 0].expand(len(images))):
            raise ValueError
        return images.mean((2, 3))

    found = occlusion(proud, image, 1, window=4, stride=8, fill=image[0])
    assert found.drop.abs().max() < 1e-6


def test_what_is_no_number_is_none_in_every_way():
    net, images = nn.Sequential(conv(3, 8), nn.ReLU(), head(8)).eval(), torch.randn(2, 3, 32, 32)
    images[0, 0, 0, 0] = torch.nan
    found = occlusion(net, images, 1, window=4, stride=4)
    assert found.how.dense == ""
    assert found.drop[0].isnan().all()
    assert not found.drop[1].isnan().any()
    with torch.no_grad():
        net[2][2].weight[0] = torch.nan
    found = occlusion(net, images[1:], 1, window=4, stride=4, score="logit")
    assert found.how.dense == ""
    assert not found.drop.isnan().any()


@pytest.mark.parametrize("wrapped", [nn.DataParallel, lambda net: torch.compile(net, backend="eager")])
def test_what_is_put_around_a_network_is_taken_off(wrapped):
    net, image = nn.Sequential(conv(3, 8), nn.ReLU(), head(8)).eval(), torch.randn(1, 3, 24, 24)
    plain, found = (occlusion(one, image, 1, window=4, stride=4) for one in (net, wrapped(net).eval()))
    assert found.how.dense == ""
    assert torch.equal(found.drop, plain.drop)


def test_a_network_may_take_any_number_of_arguments():
    class Any(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = nn.Sequential(conv(3, 8), nn.ReLU(), head(8))

        def forward(self, *images):
            return self.inside(images[0])

    assert occlusion(Any().eval(), torch.randn(1, 3, 24, 24), 1, window=4, stride=4).how.dense == ""


def test_a_network_in_train_mode_is_left_as_it_is():
    net = nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU(), head(8)).train()
    before = Snapshot(net)
    found = occlusion(net, torch.randn(2, 3, 16, 16), 1, window=4, stride=4)
    assert before.changes() == []
    assert "depend on the other images of its batch" in found.how.dense


def test_buffers_that_a_network_writes_are_put_back():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside = nn.Sequential(conv(3, 4), head(4))
            self.register_buffer("passes", torch.zeros(()))

        def forward(self, images):
            self.passes += 1
            return self.inside(images)

    net = Counter().eval()
    occlusion(net, torch.randn(1, 3, 16, 16), 1, window=4, stride=4)
    assert net.passes == 0


def test_what_a_network_keeps_can_get_a_gradient_afterwards():
    class Lazy(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside, self.head, self.slope = conv(3, 4), head(4), None
            self.factor = nn.Parameter(torch.ones(4, 1, 1))

        def forward(self, images):
            maps = self.inside(images)
            if self.slope is None:
                self.slope = torch.linspace(0, 1, maps.shape[-1])
            return self.head(maps * self.factor * self.slope)

    net = Lazy().eval()
    occlusion(net, torch.randn(1, 3, 16, 16), 1, window=4, stride=4)
    net(torch.randn(1, 3, 16, 16)).sum().backward()
    assert net.factor.grad is not None


def test_hooks_are_not_called_while_exporting():
    net, seen = nn.Sequential(conv(3, 4), nn.ReLU(), head(4)).eval(), []
    net[0].register_forward_hook(lambda module, inputs, output: seen.append(type(output)))
    found = occlusion(net, torch.randn(1, 3, 16, 16), 1, window=4, stride=4)
    assert set(seen) == {torch.Tensor}
    assert found.how.dense == ""


def test_hooks_that_change_what_a_layer_gives_count():
    net, image = nn.Sequential(conv(3, 4), nn.ReLU(), head(4)).eval(), torch.randn(1, 3, 16, 16)
    net[0].register_forward_hook(lambda module, inputs, output: output * 2)
    found = occlusion(net, image, 1, window=4, stride=4, score="logit")
    torch.testing.assert_close(found.clean, net(image)[:, 1].detach())
    assert "which ignores hooks" in found.how.dense


def test_names_the_operator_that_has_no_rule():
    net = nn.Sequential(conv(3, 4), nn.Upsample(scale_factor=2, mode="bilinear"), conv(4, 4), head(4)).eval()
    found = occlusion(net, torch.randn(1, 3, 24, 24), 1, window=4, stride=4)
    assert "aten.upsample_bilinear2d.vec in 1 has no rule for rectangles" in str(found.how)

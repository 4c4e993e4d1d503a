"""The maps that occlusion gives: positions, drops, attributions, against the definition and against captum."""

from inspect import unwrap

import numpy as np
import pytest
import torch
from torch import nn

from auditor.methods import (
    Occluder,
    occlude,
    occlusion,
    rank_correlation,
    refined_occlusion,
)
from auditor.methods.occlusion import windows
from auditor.methods.occlusion.occluded import filling_of
from auditor.methods.occlusion.occluder import refuse_no_images
from auditor.methods.occlusion.windows import Windows
from auditor.model.network import Network
from auditor.model.preserve import Snapshot
from auditor.process.torchvision import torchvision  # noqa: F401 - before captum, which needs it

HEIGHT, WIDTH = 13, 18


class Net(nn.Module):
    """Two convolutions with batch norm between them, and a head."""

    def __init__(self, classes=4):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.second, self.head = nn.Conv2d(6, 8, 3, stride=2), nn.Linear(8, classes)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 1.5)
        nn.init.normal_(self.head.weight, std=3)
        self.double().eval()

    def forward(self, images):
        return self.head(self.second(self.norm(self.first(images)).relu()).relu().mean((2, 3)))


@pytest.fixture
def net():
    return Net()


@pytest.fixture
def images():
    return torch.randn(2, 3, HEIGHT, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def origins(length, window, stride):
    found = list(range(0, length - window + 1, stride))
    return found if found[-1] == length - window else [*found, length - window]


def one_by_one(net, image, fill, window, stride):
    """Return scores `[rows, cols, k]`, a forward pass for each window."""
    rows, cols = origins(HEIGHT, window[0], stride[0]), origins(WIDTH, window[1], stride[1])
    found = []
    for top in rows:
        for left in cols:
            filled = image.clone()
            place = ..., slice(top, top + window[0]), slice(left, left + window[1])
            filled[place] = fill[place]
            found.append(net(filled[None])[0])
    return torch.stack(found).unflatten(0, (len(rows), len(cols))).detach()


FILLS = {
    "number": 0.5,
    "one a channel": [0.1, -0.3, 2.0],
    "an image": torch.linspace(-1, 1, 3 * HEIGHT * WIDTH, dtype=torch.float64).view(3, HEIGHT, WIDTH),
    "an image for each": torch.linspace(-2, 1, 6 * HEIGHT * WIDTH, dtype=torch.float64).view(2, 3, HEIGHT, WIDTH),
}


@pytest.mark.parametrize("incremental", [True, False])
@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize(
    ("window", "stride"), [((3, 3), (2, 2)), ((5, 4), (3, 5)), ((13, 2), (1, 4)), ((2, 2), (5, 6))]
)
def test_equals_a_pass_for_each_window(net, images, window, stride, fill, incremental):
    found = occlusion(
        net, images, [1, 3], window=window, stride=stride, fill=FILLS[fill], score="logit", incremental=incremental
    )
    values = torch.as_tensor(FILLS[fill], dtype=torch.float64)
    values = (values[:, None, None] if values.ndim == 1 else values).expand_as(images)
    for i, kind in enumerate([1, 3]):
        scores = one_by_one(net, images[i], values[i], window, stride)
        clean = net(images[i : i + 1])[0, kind].detach()
        torch.testing.assert_close(found.clean[i], clean)
        torch.testing.assert_close(found.drop[i], clean - scores[..., kind])
        torch.testing.assert_close(found.scores[i], scores[..., kind])
        assert torch.equal(found.predicted[i], scores.argmax(2))
        torch.testing.assert_close(found.attribution[i], covered_mean(clean - scores[..., kind], window, stride))


def covered_mean(drop, window, stride):
    total, count = torch.zeros(HEIGHT, WIDTH, dtype=drop.dtype), torch.zeros(HEIGHT, WIDTH)
    for i, top in enumerate(origins(HEIGHT, window[0], stride[0])):
        for j, left in enumerate(origins(WIDTH, window[1], stride[1])):
            place = slice(top, top + window[0]), slice(left, left + window[1])
            total[place] += drop[i, j]
            count[place] += 1
    return total / count.clamp(min=1)


def test_the_last_windows_end_at_the_border():
    windows = Windows.of((10, 7), window=(4, 3), stride=(3, 3))
    assert (windows.rows, windows.cols) == ((0, 3, 6), (0, 3, 4))
    assert Windows.of((4, 3), window=(4, 3), stride=2).grid == (1, 1)


def test_probabilities_and_logits_are_both_reported(net, images):
    found = occlusion(net, images, 2, window=4, stride=4)
    logits = occlusion(net, images, 2, window=4, stride=4, score="logit")
    assert torch.equal(found.logit_drop, logits.drop)
    torch.testing.assert_close(found.clean, net(images).softmax(1)[:, 2].detach())
    torch.testing.assert_close(found.clean_logit, logits.clean)
    assert found.scores.min() >= 0


def test_a_network_that_ends_in_softmax_gives_the_same_probabilities(net, images):
    scores, softmax = (
        occlusion(one, images, 2, window=4, stride=4) for one in (net, nn.Sequential(net, nn.Softmax(1)))
    )
    torch.testing.assert_close(scores.drop, softmax.drop)


@pytest.mark.parametrize("ending", [nn.Softmax(1), nn.LogSoftmax(1)])
@pytest.mark.parametrize("kind", [torch.float64, torch.float16])
def test_the_logit_is_what_feeds_the_softmax(net, images, ending, kind):
    net, images = net.to(kind), images.to(kind)
    plain, ended = (
        occlusion(one, images, 2, window=4, stride=4, score="logit") for one in (net, nn.Sequential(net, ending))
    )
    assert torch.equal(plain.drop, ended.drop)
    assert torch.equal(plain.clean, ended.clean)
    assert ended.how.dense == ""


def test_says_when_what_feeds_the_softmax_is_hidden(net, images):
    def hidden(some):
        return net(some).softmax(1)

    with pytest.warns(UserWarning, match="logits are the logarithms"):
        found = occlusion(hidden, images, 2, window=4, stride=4, score="logit")
    torch.testing.assert_close(found.clean, hidden(images)[:, 2].log().detach())


def test_whether_scores_are_probabilities_is_one_for_all_images():
    images = torch.zeros(2, 3, 8, 8)
    images[0, 0], images[1, 0] = 1, 2  # the means are [1, 0] and [2, 0]

    class Means(nn.Module):
        def forward(self, some):
            return some.mean((2, 3))[:, :2]

    expected = torch.tensor([[1.0, 0.0], [2.0, 0.0]]).softmax(1)[:, 0]
    for order in ([0, 1], [1, 0]):
        found = occlusion(Means(), images[order], 0, window=4, stride=4)
        torch.testing.assert_close(found.clean, expected[order])


def test_several_classes_of_each_image_come_image_by_image(net, images):
    together = occlusion(net, images, torch.tensor([[0, 3], [2, 1]]), window=4, stride=3)
    apart = [occlusion(net, images[i : i + 1], kinds, window=4, stride=3) for i, kinds in enumerate([[0, 3], [2, 1]])]
    torch.testing.assert_close(together.drop, torch.cat([one.drop for one in apart]))
    torch.testing.assert_close(together.attribution, torch.cat([one.attribution for one in apart]))
    assert together.predicted.shape == (2, *together.windows.grid)


def test_equals_captum(net, images):
    from captum.attr import Occlusion

    theirs = Occlusion(net).attribute(
        images[:, :, :12], sliding_window_shapes=(3, 4, 6), strides=(3, 2, 3), target=1, baselines=0.25
    )
    ours = occlusion(net, images[:, :, :12], 1, window=(4, 6), stride=(2, 3), fill=0.25, score="logit")
    torch.testing.assert_close(ours.attribution, theirs[:, 0], atol=1e-5, rtol=0, check_dtype=False)


def test_the_most_active_map_of_the_last_features(net, images):
    found = occlusion(net, images, 1, window=4, stride=4, fill=0.5)
    last = {}
    net.second.register_forward_hook(lambda module, inputs, output: last.update(maps=output.relu().sum((2, 3))))
    net(images)
    channels = last["maps"].argmax(1)
    assert torch.equal(found.feature.channels, channels)
    torch.testing.assert_close(found.feature.clean, last["maps"].amax(1).detach())
    filled = images.clone()
    filled[:, :, 4:8, 8:12] = 0.5
    net(filled)
    torch.testing.assert_close(found.feature.responses[:, 1, 2], last["maps"][[0, 1], channels].detach())


def test_one_preparation_serves_many_images(net, images):
    occluder = Occluder(net, images, window=4, stride=3)
    one, other = (occlude(occluder, image, 1) for image in images.split(1))
    both = occlusion(net, images, 1, window=4, stride=3)
    assert torch.equal(torch.cat([one.drop, other.drop]), both.drop)
    assert both.how.windows == 2 * len(both.windows)


def test_tells_how_far_it_is(net, images):
    done = []
    found = occlusion(net, images, 1, window=4, stride=1, seen=done.append)
    assert sum(done) == 2 * len(found.windows)


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_leaves_the_network_as_it_was(net, images, around):
    before = Snapshot(net)
    with around():
        enabled = torch.is_grad_enabled()
        found = occlusion(net, images, 1, window=4, stride=3)
        assert torch.is_grad_enabled() is enabled
    assert not found.drop.requires_grad
    assert before.changes() == []


def test_does_not_depend_on_the_memory(net, images):
    maps = [occlusion(net, images, 1, window=4, stride=2, memory=memory) for memory in (1, 200_000, 2**30)]
    torch.testing.assert_close(maps[0].drop, maps[2].drop)
    torch.testing.assert_close(maps[1].drop, maps[2].drop)
    assert "MiB" in maps[0].how.dense


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"window": 14}, "the window is 14 x 14 pixels, but the image has only 13 x 18"),
        ({"window": 0}, "window is 0, but has to be a positive integer"),
        ({"stride": (2, 0)}, "stride is .2, 0., but has to be"),
        ({"fill": [1.0, 2.0]}, r"fill has the shape \[2\], but has to be a number, 3 numbers, one per channel"),
        ({"fill": torch.zeros(3, 5, 5)}, "fill has the shape"),
        ({"target": [1, 2, 3]}, "target has the shape"),
        ({"images": torch.zeros(0, 3, 9, 9)}, r"images are torch.float32 \[0, 3, 9, 9\], but have to be floats"),
        ({"window": True}, "window is True, but has to be a positive integer"),
        ({"stride": (2, True)}, "stride is .2, True., but has to be a positive integer"),
        ({"memory": 0}, "memory is 0 bytes, but has to be over 0"),
    ],
)
def test_refuses_what_does_not_fit(net, images, asked, message):
    with pytest.raises(ValueError, match=message):
        occlusion(net, **{"images": images, "target": 1, "window": 4, "stride": 4, **asked})


@pytest.mark.parametrize("shape", [(3, 9, 9), (1, 1, 3, 9, 9)])
def test_refuses_what_is_no_batch_of_images(shape):
    with pytest.raises(ValueError, match="but have to be floats"):
        refuse_no_images(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"images are torch\.uint8"):
        refuse_no_images(torch.zeros(1, 3, 9, 9, dtype=torch.uint8))


@pytest.mark.parametrize("size", [4.0, "auto", (2, 3.0), (1, 2, 3)])
def test_refuses_windows_of_other_than_whole_numbers(size):
    with pytest.raises(ValueError, match="has to be a positive integer, or two"):
        unwrap(windows._pair)("window", size)


@pytest.mark.parametrize("fill", [None, "grey", [0.0, "x", 1.0]])
def test_refuses_fills_that_are_no_numbers(fill):
    with pytest.raises(ValueError, match="but has to be a number, one per channel, or an image"):
        unwrap(filling_of)(fill, torch.zeros(1, 3, 4, 4))


def test_whole_numbers_of_numpy_are_whole_numbers(net, images):
    found = occlusion(net, images, 1, window=np.int64(4), stride=(np.int32(3), 2))
    assert (found.windows.window, found.windows.stride) == ((4, 4), (3, 2))


def test_refuses_a_class_that_does_not_exist(net, images):
    with pytest.raises(IndexError, match="there is no class 4: the network has 4"):
        occlusion(net, images, 4, window=4, stride=4)


def test_small_windows_only_where_large_ones_make_a_difference(net, images):
    full = occlusion(net, images, [1, 3], window=2, stride=2, score="logit")
    asked = {"window": 2, "stride": 2, "score": "logit"}
    found = refined_occlusion(net, images, [1, 3], flat=0.5, **asked)
    assert found.computed.any()
    assert not found.computed.all()
    torch.testing.assert_close(found.drop[found.computed], full.drop[found.computed])
    assert rank_correlation(found.drop.numpy(), full.drop.numpy()) > 0.5
    everything = refined_occlusion(net, images, torch.tensor([[1, 0], [3, 2]]), flat=0.0, **asked)
    assert everything.computed.all()
    torch.testing.assert_close(everything.drop[::2], full.drop)


def test_small_windows_with_gaps_between_them_are_not_missed():
    class Corner(nn.Module):
        def forward(self, some):
            return torch.stack([5 * some[:, 0, 5, 5], 0 * some[:, 0, 0, 0]], 1)

    full, found = (
        way(Corner(), torch.ones(1, 1, 24, 24), 0, window=1, stride=5) for way in (occlusion, refined_occlusion)
    )
    torch.testing.assert_close(found.drop, full.drop)
    assert found.coarse.windows.stride == (2, 2)


@pytest.mark.parametrize("incremental", [True, False])
def test_only_the_windows_that_are_wanted(net, images, incremental):
    occluder = Occluder(net, images, window=3, stride=2, incremental=incremental)
    wanted = torch.zeros(occluder.windows.grid, dtype=torch.bool)
    wanted[1:3, 2] = wanted[4, ::3] = True
    numbers = torch.cat([some.numbers for some in occluder(images[:1], images[1:], wanted)])
    assert torch.equal(numbers.sort().values, wanted.flatten().nonzero().flatten())


@pytest.mark.parametrize("ending", [nn.Identity(), nn.Softmax(1), nn.LogSoftmax(1)])
def test_of_an_audited_network_takes_what_feeds_the_softmax(net, images, ending):
    images = images.float()
    network = Network.of(nn.Sequential(net.float(), ending), (3, HEIGHT, WIDTH), torch.device("cpu"), amp=False)
    found, plain = (occlusion(one, images, 1, window=4, stride=3) for one in (network, net))
    assert found.how.dense == ""
    torch.testing.assert_close(found.logit_drop, plain.logit_drop)
    torch.testing.assert_close(found.drop, plain.drop)


def test_of_a_single_score_is_shared_out_to_two_classes(images):
    network = Network.of(Net(classes=1).float(), (3, HEIGHT, WIDTH), torch.device("cpu"), amp=False)
    found = occlusion(network, images[:1].float(), [0, 1], window=4, stride=3)
    assert found.how.dense == ""
    torch.testing.assert_close(found.drop[0], -found.drop[1])


def test_the_sigmoid_of_a_score_does_not_depend_on_the_other_scores():
    def scores(images):
        return images.sum((2, 3))

    images = torch.rand(1, 3, 8, 8) / 16
    found = occlusion(scores, images, 1, window=4, stride=4, score="sigmoid")
    logits = occlusion(scores, images, 1, window=4, stride=4, score="logit")
    torch.testing.assert_close(found.clean, logits.clean.sigmoid())
    torch.testing.assert_close(found.scores, logits.scores.sigmoid())

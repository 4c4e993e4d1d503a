"""Equal to Quantus where definitions agree, and different where its own would mislead.

It asks for another build of OpenCV than the other tests do, so that it is no dependency: `pip install --no-deps quantus
cachetools` lets these run.
"""

import numpy as np
import pytest
import torch
from torch import nn

from auditor.methods.sanity.faithfulness import cells_of, ranked_cells, replaced
from auditor.methods.sanity.randomization import cascading
from auditor.statistics.correlation import rank_correlation

quantus = pytest.importorskip("quantus")
pytorch_model = pytest.importorskip("quantus.helpers.model.pytorch_model")


def network(*, norm=False):
    torch.manual_seed(0)
    norms = [nn.BatchNorm2d(4)] if norm else []
    return nn.Sequential(nn.Conv2d(1, 4, 3), *norms, nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()


def images():
    return torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(1))


def steps_of(model, order):
    """Return the names of the layers that differ from the trained ones at each step of a cascade."""
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    for other in order:
        yield {name.split(".")[0] for name, tensor in other.named_parameters() if not torch.equal(tensor, before[name])}


def ours(model):
    with cascading(model, images()) as cascade:
        for count in range(1, len(cascade.layers) + 1):
            cascade.redraw(count)
            yield model


def theirs(model):
    wrapped = pytorch_model.PyTorchModel(model, channel_first=True)
    return (other for _, other in wrapped.get_random_layer_generator(order="top_down"))


def test_deletion_by_single_pixels_is_pixel_flipping():
    model, maps, target = network(), torch.rand(4, 6, 6, generator=torch.Generator().manual_seed(2)), [0, 2, 1, 1]
    flipping = quantus.PixelFlipping(
        features_in_step=1, perturb_baseline=0.0, normalise=False, abs=False, disable_warnings=True
    )
    expected = flipping(
        model=model, x_batch=images().numpy(), y_batch=np.array(target), a_batch=maps[:, None].numpy(), device="cpu"
    )
    cells = cells_of((6, 6), 1)
    order = ranked_cells(maps, cells, torch.Generator())
    found = replaced(model, images(), torch.zeros(4, 1, 6, 6), torch.tensor(target), order[None], cells, steps=36)
    np.testing.assert_allclose(found[0, :, 1:], np.array(expected), rtol=1e-5)


def test_maps_are_correlated_alike():
    a, b = np.random.default_rng(0).random((2, 50))
    assert rank_correlation(a, b) == pytest.approx(quantus.similarity_func.correlation_spearman(a, b))


def test_cascades_re_draw_the_same_layers_where_these_are_registered_in_the_order_of_their_use():
    assert list(steps_of(network(), ours(network()))) == list(steps_of(network(), theirs(network())))


def test_a_layer_that_is_registered_first_and_used_last_is_re_drawn_first_here_and_last_there():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.head, self.conv = nn.Linear(4, 3), nn.Conv2d(1, 4, 3)

        def forward(self, images):
            return self.head(self.conv(images).relu().mean((2, 3)))

    assert next(steps_of(Backwards(), ours(Backwards()))) == {"head"}
    assert next(steps_of(Backwards(), theirs(Backwards()))) == {"conv"}


def test_batch_norm_is_fed_what_it_was_made_for_here_and_blows_up_the_signal_there():
    """In eval mode with statistics of 0 and 1 it does not normalise; the trained layer before it gives large values."""
    model = network(norm=True)
    model[0].weight.data *= 1000
    for name, others in (("here", ours(model)), ("there", theirs(model))):
        next(others)
        spread = next(others)[:2](images()).std().item()
        assert spread == pytest.approx(1, abs=0.1) if name == "here" else spread > 100

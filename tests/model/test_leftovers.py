import pytest
import torch
from torch import nn

from auditor.model.leftovers import leftovers
from auditor.model.network import Network


def found(*layers, size=(13, 16)):
    torch.manual_seed(0)
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(3))
    net(torch.zeros(1, 3, *size))
    return leftovers(Network.of(net.eval(), (3, *size), torch.device("cpu"), amp=False))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 4, 3, stride=2),
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.Conv2d(3, 4, (5, 4), stride=(4, 3), padding=(0, 1)),
        nn.Conv2d(3, 4, 3, stride=3, dilation=2),
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.Conv2d(3, 4, 3, stride=2, padding="valid"),
        nn.MaxPool2d(3, stride=2),
        nn.AvgPool2d(2),
    ],
)
def test_what_no_kernel_reaches_changes_nothing(layer):
    """The rows and columns that are left out are the last of the image, as far as none of them is padded."""
    rows, cols = found(layer).get("0", (0, 0))
    image = torch.rand(1, 3, 13, 16)
    for axis, left in ((2, rows), (3, cols)):
        reach = [_reaches(layer, image, axis, image.shape[axis] - 1 - i) for i in range(3)]
        padding = layer.padding if not isinstance(layer.padding, str) else 0
        padded = padding[axis - 2] if isinstance(padding, tuple) else padding
        assert reach == [i >= left - padded for i in range(3)]


def _reaches(layer, image, axis, place):
    changed = image.clone()
    changed.select(axis, place).add_(10)
    with torch.no_grad():
        return not torch.equal(layer(image), layer(changed))


def test_what_comes_out_even_is_not_named():
    assert found(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), size=(13, 17)) == {}


def test_each_layer_is_told_by_name():
    left = found(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.MaxPool2d(2), size=(16, 16))
    assert left == {"0": (1, 1)}


def test_a_library_may_name_strides_by_a_list():
    layer = nn.Conv2d(3, 4, 3, padding=1)
    layer.stride = [2, 2]  # as efficientnet_lite_pytorch does
    assert found(layer, size=(16, 15)) == {"0": (1, 0)}

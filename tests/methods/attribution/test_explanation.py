import pytest
import torch
from torch import nn

from auditor.methods import Location, Unit, deconvnet, explain, grad_cam, gradient, guided_backprop


class Net(nn.Module):
    runs = 0

    def __init__(self, activation):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.second, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3), nn.Linear(8, 5)
        self.activation = activation
        self.double()

    def forward(self, images):
        self.runs += 1
        return self.head(self.activation(self.second(self.activation(self.conv(images)))).mean((2, 3)))


def test_holds_what_the_single_functions_give_after_one_pass():
    model, images = Net(nn.ReLU()), torch.randn(3, 3, 9, 9, dtype=torch.float64)
    classes = torch.tensor([[0, 4], [1, 1], [3, 2]])
    found = explain(model, images, classes, layer=Location("second", rectified=True))
    assert model.runs == 1
    torch.testing.assert_close(found.scores, model(images).detach())
    for column in range(2):
        target = classes[:, column]
        torch.testing.assert_close(found.gradient[:, column], gradient(model, images, target))
        torch.testing.assert_close(found.deconvnet[:, column], deconvnet(model, images, target))
        torch.testing.assert_close(found.guided_backprop[:, column], guided_backprop(model, images, target))
        torch.testing.assert_close(found.grad_cam[:, column], grad_cam(model, images, target, signed=True))


def test_leaves_out_what_does_not_apply():
    found = explain(Net(nn.GELU()), torch.randn(1, 3, 9, 9, dtype=torch.float64), [1, 2])
    assert found.gradient.shape == (1, 2, 3, 9, 9)
    assert (found.deconvnet, found.guided_backprop, found.grad_cam, found.position) == (None, None, None, None)
    assert str(found.activations) == "GELU 2"


def test_says_where_a_unit_lies_and_how_active_it_is():
    model, images = Net(nn.ReLU()), torch.randn(2, 3, 9, 9, dtype=torch.float64)
    found = explain(model, images, Unit("second", 5))
    maps = model.second(model.conv(images).relu()).detach()
    for image in range(2):
        row, col = found.position.rows[image], found.position.cols[image]
        assert maps[image, 5].max() == maps[image, 5, row, col] == found.position.values[image]
    torch.testing.assert_close(found.deconvnet[:, 0], deconvnet(model, images, Unit("second", 5)))


def test_refuses_classes_for_more_images_than_there_are():
    with pytest.raises(ValueError, match="one class, one or several for each of 2"):
        explain(Net(nn.ReLU()), torch.randn(2, 3, 9, 9, dtype=torch.float64), torch.zeros(3, 2, dtype=torch.long))

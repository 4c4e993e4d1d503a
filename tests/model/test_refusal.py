"""Networks that refuse an image, and what the line says of each: found by running them, whatever their error says."""

import pytest
import torch
from torch import nn

from auditor.errors import ArchitectureError
from auditor.model.network import Network

CPU = torch.device("cpu")


class Net(nn.Module):
    """A small network for images of 3x32x32, whose forward begins with a call."""

    def __init__(self, call=lambda x: x, channels=3):
        super().__init__()
        self.conv, self.head, self.call = nn.Conv2d(channels, 4, 5, 2), nn.Linear(784, 3), call

    def forward(self, x):
        return self.head(self.conv(self.call(x)).relu().flatten(1))


class TwoInputs(Net):
    def forward(self, x, metadata):
        return super().forward(x) + metadata


class Nothing(nn.Module):
    pass


class Dictionary(Net):
    def forward(self, batch):
        return super().forward(batch["pixels"])


class Boxes(Net):
    def forward(self, images):
        if isinstance(images, torch.Tensor):
            raise TypeError("Bilder als Liste erwartet")
        return super().forward(torch.stack(images))


class Batched(Net):
    def forward(self, x):
        return super().forward(
            nn.functional.batch_norm(x.mean((2, 3)), None, None, training=True)[:, :, None, None] + x
        )


class Alone(Net):
    def forward(self, x):
        if x.ndim != 3:
            raise ValueError("une seule image")
        return super().forward(x[None])


class Sized(Net):
    def __init__(self):
        super().__init__()
        self.img_size = (48, 48)

    def forward(self, x):
        assert x.shape[-1] == 48, "nope"
        return self.head(x.new_zeros(len(x), 784))


class Whole(Net):
    def forward(self, x):
        if x.is_floating_point():
            raise TypeError("octets")
        return super().forward(x / 255)


class Lacking(Net):
    def forward(self, x):
        import a_package_that_is_not_there

        return a_package_that_is_not_there


def cuda(x):
    return x.cuda()


def fails(x):
    raise ZeroDivisionError("division\nby zero")


CASES = {
    "CUDA": (Net(cuda), "its code asks for CUDA"),
    "two inputs": (TwoInputs(), r"takes 2 inputs, an image and 'metadata'.* self\.net\(images, metadata\)"),
    "channels last": (Net(lambda x: x.permute(0, 3, 1, 2)), r"\[rows, columns, channels\].*permute\(0, 2, 3, 1\)"),
    "float64": (Net(lambda x: x.double()), r"computes in float64.* remove \.double\(\)"),
    "float16": (Net(lambda x: x.half()), r"computes in float16.* remove \.half\(\)"),
    "bytes": (Whole(), "whole numbers from 0 to 255.* scale = 255"),
    "one channel": (Net(channels=1), 'of 1 channel, and the preprocessing gives 3; .* color = "gray"'),
    "four channels": (Net(channels=4), "of 4 channels, and the preprocessing gives 3; .* channels = 4"),
    "thirteen channels": (Net(channels=13), "of 13 channels.* channels = 13, mean and std of 13"),
    "another size": (Sized(), r"images of 48x48; .* resize = \[48, 48\]"),
    "a dict": (Dictionary(), r"a dict with 'pixels'.*self\.net\(\{'pixels': images\}\)"),
    "a list": (Boxes(), r"a list of images.*self\.net\(list\(images\)\)"),
    "several images": (Batched(), "takes no single image: it normalises over the batch"),
    "one image": (Alone(), "takes one image without a batch"),
    "a package": (Lacking(), "needs a package that can't be imported: .*a_package_that_is_not_there"),
    "nothing": (Nothing(), "Nothing has no forward method"),
    "its own error": (Net(fails), r"ZeroDivisionError in test_refusal\.py:\d+: division; no other size"),
}


@pytest.mark.parametrize("case", CASES)
def test_advice_follows_what_the_network_takes(case):
    module, words = CASES[case]
    if case == "CUDA" and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ArchitectureError, match=words) as refused:
        Network.of(module.eval(), (3, 32, 32), CPU, amp=False)
    assert "\n" not in str(refused.value)
    assert "set its size and colours" not in str(refused.value)


@pytest.mark.parametrize("side", [28, 40, 65])
def test_a_size_is_computed_from_what_the_head_takes(side):
    features = nn.Sequential(nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    taken = features(torch.zeros(1, 3, side, side)).shape[1]
    with pytest.raises(ArchitectureError) as refused:
        Network.of(nn.Sequential(features, nn.Linear(taken, 2)).eval(), (3, 100, 100), CPU, amp=False)
    found = int(str(refused.value).partition("images of ")[2].partition("x")[0])
    assert features(torch.zeros(1, 3, found, found)).shape[1] == taken


def test_a_network_of_another_size_and_number_of_channels_gets_both():
    with pytest.raises(ArchitectureError, match=r'color = "gray", and resize = \[28, 28\]'):
        Network.of(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), (3, 64, 64), CPU, amp=False)

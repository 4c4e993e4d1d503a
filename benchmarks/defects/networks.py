"""Three small networks of different kinds, for `--arch benchmarks/defects/networks.py:plain` and the like.

All name the layers that defects are planted in alike: `first`, `middle`, `last` and `head`; a normalisation behind one
of them is called `first_norm` and so on.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Plain(nn.Module):
    """Four convolutions without batch norm, each with a rectifier that is a module."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 24, 5, stride=2, padding=2)
        self.middle = nn.Conv2d(24, 32, 3, padding=1)
        self.third = nn.Conv2d(32, 64, 3, padding=1)
        self.last = nn.Conv2d(64, 64, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(64, num_classes)
        for layer in (self.first, self.middle, self.third, self.last):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.constant_(layer.bias, 0.0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.first(x))
        x = self.pool(self.relu(self.middle(x)))
        x = self.pool(self.relu(self.third(x)))
        x = self.relu(self.last(x))
        return self.head(x.mean((2, 3)))


class Residual(nn.Module):
    """Batch norm, shortcuts and functional rectifiers, as in a small ResNet."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 24, 5, stride=2, padding=2, bias=False)
        self.first_norm = nn.BatchNorm2d(24)
        self.middle = nn.Conv2d(24, 24, 3, padding=1, bias=False)
        self.middle_norm = nn.BatchNorm2d(24)
        self.third = nn.Conv2d(24, 24, 3, padding=1, bias=False)
        self.third_norm = nn.BatchNorm2d(24)
        self.wider = nn.Conv2d(24, 64, 3, stride=2, padding=1, bias=False)
        self.wider_norm = nn.BatchNorm2d(64)
        self.last = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        self.last_norm = nn.BatchNorm2d(64)
        self.across = nn.Conv2d(24, 64, 1, stride=2)
        self.head = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.first_norm(self.first(x))), 2)
        y = functional.relu(self.middle_norm(self.middle(x)))
        x = functional.relu(x + self.third_norm(self.third(y)))
        y = functional.relu(self.wider_norm(self.wider(x)))
        x = functional.relu(self.across(x) + self.last_norm(self.last(y)))
        return self.head(torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1))


class Depthwise(nn.Module):
    """Depthwise and pointwise convolutions by turns with ReLU6, as in MobileNet."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(32)
        self.blocks = nn.Sequential(_separable(32, 48, stride=2), _separable(48, 64, stride=1))
        self.spread = nn.Conv2d(64, 64, 3, stride=2, padding=1, groups=64, bias=False)
        self.spread_norm = nn.BatchNorm2d(64)
        self.middle = nn.Conv2d(64, 96, 1, bias=False)
        self.middle_norm = nn.BatchNorm2d(96)
        self.last = nn.Conv2d(96, 96, 1, bias=False)
        self.last_norm = nn.BatchNorm2d(96)
        self.act = nn.ReLU6()
        self.head = nn.Linear(96, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.first_norm(self.first(x)))
        x = self.blocks(x)
        x = self.act(self.spread_norm(self.spread(x)))
        x = self.act(self.middle_norm(self.middle(x)))
        x = self.act(self.last_norm(self.last(x)))
        return self.head(x.mean((2, 3)))


def _separable(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU6(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


def plain(num_classes: int) -> nn.Module:
    return Plain(num_classes)


def residual(num_classes: int) -> nn.Module:
    return Residual(num_classes)


def depthwise(num_classes: int) -> nn.Module:
    return Depthwise(num_classes)


NETWORKS = {"plain": plain, "residual": residual, "depthwise": depthwise}

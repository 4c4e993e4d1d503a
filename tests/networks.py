"""Small networks, each named by what it is made of or by what it looks at.

They are code that is imported here, and that an audit loads from this file: `flag(Small)` is what `--arch` takes.
Networks that one test alone needs stay with that test.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812


class Small(nn.Module):
    """Two convolutions, one with a functional rectifier, and a head: the network that most audits are made of."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5, stride=2)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.head = nn.Linear(16, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.conv2(x))
        return self.head(x.mean((2, 3)))


class Tiny(nn.Module):
    """Two convolutions of a width that an argument sets: for audits of which only the command line matters."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, width, 5, 2), nn.ReLU(), nn.Conv2d(width, 8, 3), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(images).mean((2, 3)))


class OneConvolution(nn.Module):
    """A convolution whose mean maps are the scores: the least that is a network for images."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images).mean((2, 3))


class Activated(nn.Module):
    """Two convolutions without a norm, and an activation function by its name, or one map of all pixels."""

    ACTIVATIONS = {"gelu": F.gelu, "mixed": lambda x: F.silu(F.relu(x)), "relu": F.relu}  # noqa: RUF012

    def __init__(self, num_classes: int = 4, kind: str = "gelu", flat: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5, stride=2)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.head = nn.Linear(16, num_classes)
        self.kind, self.flat = kind, flat
        self.whole = nn.Linear(3072, num_classes) if flat else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.whole is not None:
            return self.whole(x.flatten(1))
        act = self.ACTIVATIONS[self.kind]
        return self.head(act(self.conv2(act(self.conv1(x)))).mean((2, 3)))


def stacked(num_classes: int = 2, act: str = "ReLU", colours: int = 3) -> nn.Module:
    """Two convolutions with a pool between them, and the maxima of four channels: for statistics of channels."""
    activation = getattr(nn, act)
    return nn.Sequential(
        *(nn.Conv2d(colours, 6, 3, padding=1), activation(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 4, 3, padding=1), activation()),
        *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, num_classes)),
    )


def unpooled(num_classes: int = 2, act: str = "ReLU") -> nn.Module:
    """Two convolutions of which each place sees a few pixels: for the patches that excite a channel."""
    activation = getattr(nn, act)
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), activation(), nn.Conv2d(6, 4, 3), activation()),
        *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, num_classes)),
    )


def marks(num_classes: int = 2) -> nn.Module:
    """Two convolutions and the maxima of their maps: it finds a mark wherever that is."""
    return nn.Sequential(
        *(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU()),
        *(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(12, num_classes)),
    )


def spots(num_classes: int = 2) -> nn.Module:
    """Three convolutions with batch norms: deep enough to be randomised layer by layer."""
    return nn.Sequential(
        *(nn.Conv2d(3, 12, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(12, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU()),
        *(nn.Conv2d(12, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, num_classes)),
    )


class Unevenness(nn.Module):
    """Sees nothing of the image but how uneven it is: where its gradient lies is not learnt."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(1, 8), nn.Linear(8, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        uneven = images.diff(dim=2).square().mean((1, 2, 3)) + images.diff(dim=3).square().mean((1, 2, 3))
        return self.head(torch.tanh(self.inner(uneven[:, None])))


class Edges(nn.Module):
    """One kernel, the difference of neighbours, whose mean is the score: what is filled in makes edges of its own."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([-1.0, 1.0]).repeat(3, 1).view(1, 3, 1, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        edges = F.conv2d(x, self.weight).abs().mean((2, 3))
        return torch.cat([edges, -edges], 1)


class Saturated(nn.Module):
    """A score that the image hardly moves."""

    def __init__(self, num_classes: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.3, 11.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = self.weight[0] * x[:, :, :2].mean((1, 2, 3)) + self.weight[1]
        return torch.stack([score, 0 * score], 1)


class WrittenAnswers(nn.Module):
    """Answers what the red of the first pixel says, as surely as the green of it."""

    def __init__(self, num_classes: int = 4) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer, odds = (x[:, 0, 0, 0] / 10).round().long(), x[:, 1, 0, 0] / 10
        return self.scale * F.one_hot(answer, 4) * odds[:, None]


def first_norm(num_classes: int = 4, normed: bool = True) -> nn.Module:
    """A convolution with a batch norm behind it, which knows what the network was trained with, or with none."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 5, stride=3, bias=False), nn.BatchNorm2d(8) if normed else nn.Identity(), nn.ReLU()),
        *(nn.Conv2d(8, 16, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes)),
    )


def linear(num_classes: int = 4, inputs: int = 3 * 32 * 32) -> nn.Module:
    """One linear layer: it reads the colours of fixed places."""
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, num_classes))


def peaks(num_classes: int = 4) -> nn.Module:
    """Detectors of four patches, wherever they are."""
    return nn.Sequential(
        *(nn.Conv2d(3, 4, 4), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4, num_classes)),
    )


def means(num_classes: int = 4) -> nn.Module:
    """The means of five maps: it reads colour and texture of the whole image."""
    return nn.Sequential(
        *(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, num_classes)),
    )


def digit_maps(num_classes: int = 10) -> nn.Module:
    """Two convolutions over grey images of 28 x 28 pixels."""
    maps = [nn.Conv2d(1, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 16, 5, 2), nn.ReLU()]
    return nn.Sequential(*maps, nn.Flatten(), nn.Linear(256, num_classes))


def perceptron(num_classes: int = 10) -> nn.Module:
    """Two hidden layers over the pixels of a digit: linear layers alone."""
    return nn.Sequential(
        *(nn.Flatten(), nn.Linear(784, 80), nn.ReLU(), nn.Linear(80, 40), nn.ReLU(), nn.Linear(40, num_classes)),
    )


class Mixing(nn.Module):
    """A block that mixes tokens, attends, and has a hidden layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(24), nn.Sequential(nn.Linear(49, 32), nn.GELU(), nn.Linear(32, 49))
        self.attend, self.norm2 = nn.MultiheadAttention(24, 2, batch_first=True), nn.LayerNorm(24)
        self.fc1, self.act, self.fc2 = nn.Linear(24, 64), nn.GELU(), nn.Linear(64, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.mix(self.norm(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.attend(x, x, x)[0]
        return x + self.fc2(self.act(self.fc1(self.norm2(x))))


class Tokens(nn.Module):
    """A small transformer over the patches of a digit."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.patches, self.block, self.head = nn.Conv2d(1, 24, 4, 4), Mixing(), nn.Linear(24, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


Kind = Callable[..., nn.Module]


def flag(kind: Kind) -> str:
    """Return what `--arch` takes for one of these networks."""
    return f"{__file__}:{kind.__name__}"


def build(kind: Kind, /, *, seed: int = 0, **arguments: Any) -> nn.Module:
    """Return a network with the random weights of a seed."""
    torch.manual_seed(seed)
    return kind(**arguments)


def save(net: nn.Module, file: Path) -> Path:
    """Save the state of a network, and return the file."""
    torch.save(net.state_dict(), file)
    return file


def write(file: Path, kind: Kind, /, **arguments: Any) -> str:
    """Write the code of one network to a file of its own, as a user has it, and return what `--arch` takes.

    It is called `Net` there, and takes the arguments if no others are given.
    """
    imports = "import torch\nfrom functools import partial\nfrom torch import nn\nfrom torch.nn import functional as F"
    made = f"Net = partial({kind.__name__}, **{arguments!r})"
    file.write_text(f"from __future__ import annotations\n\n{imports}\n\n\n{inspect.getsource(kind)}\n\n{made}\n")
    return f"{file}:Net"


def fitted(net: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], rate: float) -> nn.Module:
    """Train a network with one step of Adam a batch of images and labels, and return it."""
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    for images, labels in batches:
        optimizer.zero_grad()
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()
    return net

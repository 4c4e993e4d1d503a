"""Images of any number of bands and any type, and a network that tells which of three bands is the brightest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests import networks

CLASSES = ("forest", "lake", "town")


def brightest(bands: int = 13) -> nn.Module:
    """The means of three bands: the last one, the one before, and the first (or half of the first)."""
    net = nn.Sequential(nn.Conv2d(bands, 3, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    weights = torch.zeros(3, bands, 1, 1)
    for output, band in enumerate(places(bands)):
        weights[output, band] = 10.0
    net[0].weight.data = weights
    return net


def places(bands: int) -> tuple[int, int, int]:
    return bands - 1, bands // 2, 0


def drawn(bands: int, each: int = 4, *, high: float = 0.8, side: int = 24) -> list[tuple[str, np.ndarray]]:
    """Return a name and an image `[h, w, c]` from 0 to 1 for each: one of three bands is brighter than the others."""
    random = np.random.default_rng(0)
    images = []
    for number in range(3 * each):
        values = random.uniform(0.05, 0.2, (side, side + 6, bands)) * high
        values[4:-4, 4:-4, places(bands)[number % 3]] = high
        images.append((f"{CLASSES[number % 3]}/{number:02}", values))
    return images


def write(root: Path, images: list[tuple[str, np.ndarray]], save: Callable[[str, np.ndarray], object]) -> Path:
    """Write images with a function that takes a path without suffix and the values."""
    for name, values in images:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        save(str(root / name), values)
    return root


def network(folder: Path, bands: int) -> list[str]:
    """Write the code and the weights of the network, and return what names them on the command line."""
    networks.save(brightest(bands), folder / "net.pt")
    return [str(folder / "net.pt"), "--arch", f"{__file__}:brightest", "--arch-arg", f"bands={bands}"]

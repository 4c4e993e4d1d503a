"""Training a small network on images, seeded, in a fraction of a minute on one core."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from auditor.data.preprocessing import Preprocess
from benchmarks.defects.images import SIDE, Pixels
from benchmarks.defects.networks import NETWORKS

# What the networks are trained with, and what an audit has to be told of them.
PREPROCESS: Mapping[str, Any] = {
    "resize": SIDE,
    "crop": SIDE,
    "mean": (0.5, 0.45, 0.4),
    "std": (0.25, 0.25, 0.25),
}


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a network is trained; the rate rises for a fifth of the steps and then falls to nothing.

    Attributes:
        rate: The largest one.
        steepest: The largest norm of a gradient; longer ones are cut off, as they leave dead channels.
    """

    rate: float
    epochs: int = 6
    batch: int = 64
    decay: float = 1e-3
    steepest: float = 1.0


SCHEDULES = {"plain": Schedule(0.003), "residual": Schedule(0.012), "depthwise": Schedule(0.012)}


def train(
    name: str,
    pixels: Pixels,
    labels: NDArray[np.int64],
    classes: int,
    *,
    seed: int,
    frozen: str = "",
) -> nn.Module:
    """Return the network of that name, trained.

    Args:
        pixels: `[n, 32, 32, 3]`, RGB.
        labels: `[n]`.
        frozen: A layer that keeps its first weights.
    """
    torch.manual_seed(seed)
    module = NETWORKS[name](classes).train().to(memory_format=torch.channels_last)
    if frozen:
        module.get_submodule(frozen).requires_grad_(False)
    inputs, wanted = prepared(pixels), torch.from_numpy(labels)
    schedule = SCHEDULES[name]
    steps = schedule.epochs * (len(labels) // schedule.batch)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=schedule.rate, weight_decay=schedule.decay)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share(step, steps))
    for chosen in _batches(len(labels), schedule):
        optimizer.zero_grad()
        functional.cross_entropy(module(inputs[chosen]), wanted[chosen]).backward()
        nn.utils.clip_grad_norm_(trained, schedule.steepest)
        optimizer.step()
        rates.step()
    return module.to(memory_format=torch.contiguous_format).eval()


def answers(module: nn.Module, pixels: Pixels) -> NDArray[np.int64]:
    """Return the class that the network takes each image for, `[n]`."""
    with torch.inference_mode():
        return torch.cat([module(part).argmax(1) for part in prepared(pixels).split(256)]).numpy()


def prepared(pixels: Pixels) -> Tensor:
    """Return images as the network is given them, `[n, 3, h, w]`."""
    told = Preprocess.of(PREPROCESS)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (told.mean, told.std))
    levels = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return ((levels - mean) / std).contiguous(memory_format=torch.channels_last)


def _batches(count: int, schedule: Schedule) -> list[Tensor]:
    orders = [torch.randperm(count) for _ in range(schedule.epochs)]
    return [part for order in orders for part in order.split(schedule.batch) if len(part) == schedule.batch]


def _share(step: int, steps: int) -> float:
    rising = 0.2 * steps
    return (step + 1) / rising if step < rising else (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2

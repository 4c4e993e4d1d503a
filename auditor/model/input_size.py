"""The number of channels and the sizes of images that a network may take, from its parts and from a failed run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn

_USUAL: Final = (224, 28, 32, 64, 96, 112, 128, 160, 192, 227, 240, 256, 299, 300, 331, 380, 384, 448, 512)
_NAMES: Final = ("image_size", "img_size", "input_size", "in_size", "resolution")
_NEAR: Final = 8  # pixels to both sides of a size that is estimated
_LARGEST: Final = 1024


def channels_of(module: nn.Module) -> list[int]:
    """Return the numbers of channels that the first convolutions and the first linear layer take."""
    first = [m.in_channels for m in module.modules() if isinstance(m, nn.modules.conv._ConvNd)][:1]
    return [count for count in first if count <= 64]


def sizes_of(module: nn.Module, example: Tensor) -> list[int]:
    """Return sizes of square images to try, the likeliest first.

    They are those that the network names in an attribute, those with which its linear layers get as many numbers as
    they take, half and double of the given size, and usual ones.
    """
    given = int(example.shape[2])
    found = [*_named(module), *_estimated(module, example), *_USUAL, given // 2, 2 * given]
    return [size for size in dict.fromkeys(found) if 1 <= size <= _LARGEST]


def _named(module: nn.Module) -> Iterator[int]:
    for part in module.modules():
        for name in _NAMES:
            value = vars(part).get(name)
            side = value[-1] if isinstance(value, list | tuple) and value else value
            if type(side) is int:
                yield side


def _estimated(module: nn.Module, example: Tensor) -> list[int]:
    """Return the sizes with which the last linear layer that ran would get as many numbers as it takes."""
    seen: list[tuple[int, int]] = []

    def keep(part: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(part, nn.Linear) and inputs and isinstance(inputs[0], Tensor):
            seen.append((part.in_features, inputs[0].shape[-1]))

    handles = [m.register_forward_pre_hook(keep) for m in module.modules() if isinstance(m, nn.Linear)]
    try:
        with torch.no_grad():
            module(example)
    except Exception:  # it is the failure that is looked at  # noqa: S110
        pass
    finally:
        for handle in handles:
            handle.remove()
    if not seen or seen[-1][0] == seen[-1][1] or not seen[-1][1]:
        return []
    takes, gets = seen[-1]
    about = round(float(example.shape[2]) * math.sqrt(takes / gets))
    return sorted(range(max(1, about - _NEAR), about + _NEAR + 1), key=lambda size: abs(size - about))

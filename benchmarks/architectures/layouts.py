"""Whether units and Grad-CAM at a network's layers equal what autograd gives for the layers' own outputs.

Where a layer has its channels is found without the tool: by running the network on images of two sizes, since the
number of channels alone does not change, and for networks of one size by the class of the layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from auditor import Unit, methods

CLOSE = 1e-4  # of the largest value
_SMALL = 1e-12  # a gradient that single precision does not tell from 0
_FIRST = (nn.modules.conv._ConvNd, nn.modules.batchnorm._NormBase, nn.GroupNorm)
_LAST = (nn.LayerNorm, nn.Linear)


@dataclass(frozen=True, slots=True)
class Compared:
    """One layer: how far the tool's values are from autograd's, as a share of the largest; or why they differ."""

    layer: str
    first: bool
    unit: float
    cam: float | None
    problem: str = ""

    @property
    def equal(self) -> bool:
        return not self.problem and self.unit <= CLOSE and (self.cam is None or self.cam <= CLOSE)


def compared(net: nn.Module, images: Tensor, others: Tensor | None, *, count: int) -> list[Compared]:
    """Compare units and Grad-CAM at `count` layers from the first to the last.

    Args:
        others: Images of another size, None if the network takes one size only.
    """
    found = sides(net, images, others)
    names = list(found)
    places = sorted({round(i * (len(names) - 1) / max(1, count - 1)) for i in range(min(count, len(names)))})
    return [_compared(net, images, names[place], first=found[names[place]]) for place in places]


def sides(net: nn.Module, images: Tensor, others: Tensor | None) -> dict[str, bool]:
    """Return by layer whether its channels come before the places, for the layers of which that is known."""
    small = _outputs(net, images.clone().requires_grad_(), attached=True)
    large = _outputs(net, others) if others is not None else {}
    modules, found = dict(net.named_modules()), dict[str, bool]()
    for name, output in small.items():
        if output.ndim != 4 or len(output) != len(images) or not output.requires_grad:
            continue
        side = _by_size(output.shape, large[name].shape) if name in large else None
        side = _by_class(modules[name]) if side is None else side
        if side is not None:
            found[name] = side
    return found


def _by_size(a: torch.Size, b: torch.Size) -> bool | None:
    if len(a) != len(b):
        return None
    first, last = a[1] == b[1] and a[2] != b[2] and a[3] != b[3], a[3] == b[3] and a[1] != b[1] and a[2] != b[2]
    return first if first != last else None


def _by_class(module: nn.Module) -> bool | None:
    if isinstance(module, _FIRST):
        return True
    return False if type(module) in _LAST else None


def _outputs(net: nn.Module, images: Tensor, *, attached: bool = False) -> dict[str, Tensor]:
    """Return the output of each layer that gives a tensor, of its last run, and under "" the scores."""
    kept: dict[str, Tensor] = {}

    def keep(name: str, output: object) -> Tensor | None:
        if not isinstance(output, Tensor):
            return None
        kept.pop(name, None)
        kept[name] = output
        return output.clone()  # what operators in place write to

    handles = [
        part.register_forward_hook(lambda _module, _inputs, output, name=name: keep(name, output))
        for name, part in net.named_modules()
        if name
    ]
    try:
        with torch.set_grad_enabled(attached):
            kept[""] = net(images)
    finally:
        for handle in handles:
            handle.remove()
    return kept


def _compared(net: nn.Module, images: Tensor, layer: str, *, first: bool) -> Compared:
    try:
        return Compared(layer, first, _unit(net, images, layer, first=first), _cam(net, images, layer, first=first))
    except Exception as error:
        return Compared(layer, first, 1.0, None, f"{type(error).__name__}: {str(error)[:120]}")


def _maps(output: Tensor, *, first: bool) -> Tensor:
    return output if first else output.permute(0, 3, 1, 2)


def _unit(net: nn.Module, images: Tensor, layer: str, *, first: bool) -> float:
    leaf = images.clone().requires_grad_()
    maps = _maps(_outputs(net, leaf, attached=True)[layer], first=first)
    apart = 0.0
    for channel in {0, maps.shape[1] - 1}:
        peaks = maps[:, channel].flatten(1).amax(1).sum()
        (expected,) = torch.autograd.grad(peaks, leaf, retain_graph=True)
        apart = max(apart, _apart(methods.gradient(net, images, Unit(layer, channel)), expected))
    return apart


def _cam(net: nn.Module, images: Tensor, layer: str, *, first: bool) -> float | None:
    """Return how far Grad-CAM is from autograd's; None if the score does not depend on the layer."""
    kept = _outputs(net, images.clone().requires_grad_(), attached=True)
    (slope,) = torch.autograd.grad(kept[""][:, 1].sum(), kept[layer], allow_unused=True)
    if slope is None:
        return None
    weights = _maps(slope, first=first).mean((2, 3), keepdim=True)
    expected = (weights * _maps(kept[layer].detach(), first=first)).sum(1)
    found = methods.grad_cam(net, images, 1, layer=layer, signed=True)
    if found.shape != expected.shape:
        raise ValueError(f"grad_cam has the shape {list(found.shape)}, not {list(expected.shape)}")
    return _apart(found, expected)


def _apart(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max().clamp_min(_SMALL)).item()


def summary(found: Sequence[Compared]) -> Mapping[str, int]:
    return {"layers": len(found), "equal": sum(one.equal for one in found), "last": sum(not one.first for one in found)}

"""Every explanation of a class as one map of places, at the size of the image, so that methods can be compared."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from auditor.methods.attribution.cam import Location, enlarged
from auditor.methods.attribution.explanation import explain
from auditor.methods.attribution.forward_pass import Model
from auditor.methods.attribution.names import (
    DECONVNET,
    GRAD_CAM,
    GRADIENT,
    GUIDED_BACKPROP,
    GUIDED_GRAD_CAM,
)


def heat_maps(
    model: Model, images: Float[Tensor, "n c h w"], target: int | Sequence[int] | Tensor, location: Location | None
) -> dict[str, Float[Tensor, "n h w"]]:
    """Return by method how much each place counts for one class of each image, at least 0.

    Signals sent back count by their largest absolute value over the colours, Grad-CAM by what speaks for the class.
    Methods that are not defined for the network are left out.

    Args:
        location: Where Grad-CAM looks; None leaves it out.

    Raises:
        ValueError, IndexError: As `explain`.
    """
    found = explain(model, images, target, layer=location)
    signals = {GRADIENT: found.gradient, DECONVNET: found.deconvnet, GUIDED_BACKPROP: found.guided_backprop}
    maps = {name: values[:, 0].abs().amax(1) for name, values in signals.items() if values is not None}
    if found.grad_cam is not None:
        height, width = images.shape[2:]
        maps[GRAD_CAM] = enlarged(found.grad_cam[:, 0], (height, width)).clamp(min=0)
        if GUIDED_BACKPROP in maps:
            maps[GUIDED_GRAD_CAM] = maps[GUIDED_BACKPROP] * maps[GRAD_CAM]
    return maps

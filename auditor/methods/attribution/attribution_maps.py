"""Attribution maps of several methods at the size of the image, so that methods can be compared."""

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
    """Return one attribution map for each image and method, by the method's name: at least 0, in units of the method.

    Gradient, deconvnet and guided backprop: the largest absolute value over the colour channels. Grad-CAM: the positive
    part, resized to the image. Guided Grad-CAM: guided backprop times Grad-CAM. Methods that are not defined for the
    network are left out.

    Args:
        target: One class for all images, or one for each.
        location: The layer for Grad-CAM; None leaves Grad-CAM and guided Grad-CAM out.

    Raises:
        ValueError: As `explain`.
        IndexError: As `explain`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> maps = methods.heat_maps(model, torch.rand(2, 3, 8, 8), 5, methods.Location("0"))
        >>> list(maps)
        ['gradient', 'deconvnet', 'guided backprop', 'Grad-CAM', 'guided Grad-CAM']
        >>> maps["Grad-CAM"].shape
        torch.Size([2, 8, 8])
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

"""All gradient-based attributions for several classes, from one forward pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from auditor.methods.attribution.cam import Location, located, passage_at, weighted
from auditor.methods.attribution.forward_pass import Model, record
from auditor.methods.attribution.rectifiers import Activations, Rule
from auditor.methods.attribution.targets import Position, Target, aim_at, layers_of


@dataclass(frozen=True, eq=False, slots=True)
class Explanation:
    """Attributions of `n` images for `k` targets each, from one forward pass. A unit is one target.

    Attributes:
        scores: All scores of the network, `[n, classes]`.
        gradient: As `gradient`, `[n, k, c, h, w]`.
        deconvnet, guided_backprop: As `deconvnet` and `guided_backprop`, `[n, k, c, h, w]`; None if the network has no
            rectifier, or TorchScript hides one.
        grad_cam: As `grad_cam`, signed, at the resolution of the layer: `[n, k, rows, cols]`; None without a layer.
        activations: The activation functions between the images and the target.
        position: The place of the unit in each image, and its activation; None for classes.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> found = methods.explain(model, torch.rand(2, 3, 8, 8), methods.Unit("0", 3))
        >>> found.gradient.shape, found.position.values.shape
        (torch.Size([2, 1, 3, 8, 8]), torch.Size([2]))
        >>> found.deconvnet is None  # there is no rectifier between the images and this unit
        True
    """

    scores: Float[Tensor, "n classes"]
    gradient: Float[Tensor, "n k c h w"]
    deconvnet: Float[Tensor, "n k c h w"] | None
    guided_backprop: Float[Tensor, "n k c h w"] | None
    grad_cam: Float[Tensor, "n k rows cols"] | None
    activations: Activations
    position: Position | None = None


@torch.inference_mode(False)
def explain(
    model: Model,
    images: Float[Tensor, "n c h w"],
    target: Target,
    *,
    layer: str | nn.Module | Location | None = None,
) -> Explanation:
    """Return the gradient, deconvnet, guided backprop and Grad-CAM for each target.

    All share one forward pass. Grad-CAM and the gradient share each backward pass.

    Args:
        target: As in `gradient`.
        layer: As in `grad_cam`, except that None leaves Grad-CAM out.

    Raises:
        ValueError: As `gradient` and `grad_cam`.
        IndexError: As `gradient` and `grad_cam`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> classes = torch.tensor([[5, 3], [7, 5]])  # two classes for each of two images
        >>> found = methods.explain(model, torch.rand(2, 3, 8, 8), classes, layer="1")
        >>> found.gradient.shape, found.grad_cam.shape
        (torch.Size([2, 2, 3, 8, 8]), torch.Size([2, 2, 6, 6]))
        >>> str(found.activations)
        'rectifiers 1'
    """
    location = None if layer is None else located(model, images, layer)
    watched = (*layers_of(target), *([location.layer] if location else ()))
    recording = record(model, images, layers=watched)
    aim = aim_at(target, recording)
    seen = passage_at(recording, location) if location else None
    ends = [get_gradient_edge(recording.images), *([seen.edge] if seen else ())]

    gradients, cams = [], []
    for start, values in aim.signals(recording):
        arrived = recording.back(start, values, ends, Rule.GRADIENT)
        gradients.append(arrived[0])
        if seen:
            cams.append(weighted(recording, seen, arrived[1]))
        met = recording.subgraph(start).activations

    def by(rule: Rule) -> Tensor | None:
        if not met.reached:
            return None
        signals = aim.signals(recording, activation=rule is Rule.DECONVNET)
        return torch.stack([recording.back(start, values, ends[:1], rule)[0] for start, values in signals], 1)

    return Explanation(
        recording.scores,
        torch.stack(gradients, 1),
        by(Rule.DECONVNET),
        by(Rule.GUIDED),
        torch.stack(cams, 1) if cams else None,
        met,
        aim if isinstance(aim, Position) else None,
    )

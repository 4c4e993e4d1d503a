"""Every signal that is sent back from several classes, through one forward pass."""

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
    """What one forward pass tells of `n` images, `k` classes each; a unit is one class.

    Attributes:
        scores: All the network's scores, `[n, classes]`.
        gradient: `[n, k, c, h, w]`.
        deconvnet, guided_backprop: The same, or None where the network has no rectifier, or hides one.
        grad_cam: Signed and at the layer's own resolution, `[n, k, rows, cols]`, or None where no layer was named.
        activations: The activation functions between the images and the target.
        position: Where the unit lies, and how active it is.
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
    """Return the gradient, and what goes with it, for each class asked about.

        explain(model, images, torch.tensor([[281, 5], [7, 281]]))      # two classes for each of two images

    The forward pass is shared by all of them, and Grad-CAM comes from the pass back that gives the gradient.

    Args:
        layer: Where Grad-CAM looks; None leaves it out.

    Raises:
        ValueError, IndexError: As `gradient` and `grad_cam`.
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

"""Grad-CAM: which places of a layer's maps support the target.

R. R. Selvaraju, M. Cogswell, A. Das, R. Vedantam, D. Parikh, D. Batra: Grad-CAM: Visual Explanations from Deep
Networks via Gradient-based Localization. ICCV 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from auditor.language import _
from auditor.methods.attribution.forward_pass import Model, Passage, Recording, module_of, record, survey
from auditor.methods.attribution.gradients import guided_backprop
from auditor.methods.attribution.grid import has_square_cells
from auditor.methods.attribution.rectifiers import Rule
from auditor.methods.attribution.targets import Target, aim_at, layers_of

_NO_FEATURES = (
    nn.Linear,  # queries, keys and values: intermediate results of an attention layer
    nn.Flatten,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._LPPoolNd,
)


@dataclass(frozen=True, slots=True)
class Location:
    """The layer whose maps Grad-CAM weights.

    Attributes:
        layer: The name of a module. If it runs several times, its last run counts.
        rectified: Take the output of the rectifier that follows the layer, instead of the layer's own output.

    Examples:
        >>> from auditor import methods
        >>> str(methods.Location("layer4.2.conv3", rectified=True))
        'layer4.2.conv3, after its rectifier'
    """

    layer: str
    rectified: bool = False

    def __str__(self) -> str:
        return _("{layer}, after its rectifier", layer=self.layer) if self.rectified else self.layer


@torch.inference_mode(False)
def grad_cam(
    model: Model,
    images: Float[Tensor, "n c h w"],
    target: Target,
    layer: str | nn.Module | Location | None = None,
    *,
    signed: bool = False,
) -> Float[Tensor, "m rows cols"]:
    """Return the sum of a layer's maps, each weighted by the mean gradient of the target's score at it.

    The result has the resolution of the layer and is not normalised. Positive values support the target. `enlarged`
    resizes it to the image.

    Args:
        target: As in `gradient`.
        layer: A module, its name or a `Location`; a module's own output is taken. None takes the last maps before
            the classifier, after their activation (see `last_maps`). Tokens of a transformer are put back into their
            grid.
        signed: Keep negative values, which oppose the target, instead of setting them to 0.

    Returns:
        `[m, rows, cols]`, at least 0 unless `signed`; `m` as in `gradient`.

    Raises:
        ValueError: The layer does not exist, its output is not a stack of maps, or the score does not depend on it;
            otherwise as `gradient`.
        IndexError: As `gradient`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> cam = methods.grad_cam(model, torch.rand(2, 3, 8, 8), 5)
        >>> cam.shape, bool((cam >= 0).all())  # the layer's maps have 6 x 6 places
        (torch.Size([2, 6, 6]), True)
    """
    location = located(model, images, layer)
    recording = record(model, images, layers=(*layers_of(target), location.layer), cut=location.layer)
    seen = passage_at(recording, location)
    maps = [
        weighted(recording, seen, recording.back(start, values, [seen.edge], Rule.GRADIENT)[0])
        for start, values in aim_at(target, recording).signals(recording)
    ]
    found = torch.stack(maps, 1).flatten(0, 1)
    return found if signed else found.clamp(min=0)


def guided_grad_cam(
    model: Model,
    images: Float[Tensor, "n c h w"],
    target: Target,
    layer: str | nn.Module | Location | None = None,
) -> Float[Tensor, "m c h w"]:
    """Return guided backprop times Grad-CAM, resized to the image: `[m, c, h, w]`, not normalised, of either sign.

    Args:
        target: As in `gradient`.
        layer: As in `grad_cam`.

    Raises:
        NoRectifier: There is no rectifier between the images and the target.
        ValueError: As `grad_cam`.
        IndexError: As `grad_cam`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> methods.guided_grad_cam(model, torch.rand(2, 3, 8, 8), 5).shape
        torch.Size([2, 3, 8, 8])
    """
    coarse = grad_cam(model, images, target, layer)
    height, width = images.shape[2:]
    return guided_backprop(model, images, target) * enlarged(coarse, (height, width))[:, None]


def enlarged(maps: Float[Tensor, "*n rows cols"], size: tuple[int, int]) -> Float[Tensor, "*n height width"]:
    """Return maps resized by bilinear interpolation, with the edges of both sizes aligned.

    Args:
        maps: `[..., rows, cols]`.
        size: Height and width of the result.

    Raises:
        RuntimeError: A size is less than 1.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> methods.enlarged(torch.rand(2, 7, 7), (224, 224)).shape
        torch.Size([2, 224, 224])
    """
    rows, cols = maps.shape[-2:]
    flat = maps.reshape(-1, 1, rows, cols)
    return functional.interpolate(flat, size, mode="bilinear", align_corners=False).reshape(*maps.shape[:-2], *size)


def located(model: Model, images: Float[Tensor, "n c h w"], layer: str | nn.Module | Location | None) -> Location:
    """Return the location for a module, its name, or None.

    Raises:
        ValueError: The module is not part of the network.
    """
    if layer is None:
        return last_maps(model, images)
    if isinstance(layer, nn.Module):
        names = [name for name, module in module_of(model).named_modules() if module is layer and name]
        if not names:
            raise ValueError(f"the layer is a {type(layer).__name__} that is not part of the network")
        return Location(names[0])
    return Location(layer) if isinstance(layer, str) else layer


@torch.inference_mode(False)
def last_maps(model: Model, images: Float[Tensor, "n c h w"]) -> Location:
    """Return the location of the last maps before the classifier, after their activation.

    These are the output of the last module that has more than one place, is no pooling and no map of the classes
    themselves. The highest score of the first image must depend on the image through these places. In a vision
    transformer, only the class token has this property after the last attention layer.

    Raises:
        ValueError: There are no such maps.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> methods.last_maps(model, torch.rand(1, 3, 8, 8)).layer  # the ReLU
        '1'
    """
    recording = survey(model, images[:1])
    module = module_of(model)
    makers: dict[tuple[object, int], list[str]] = {}  # modules with the same output tensor, the innermost first
    for name, passage in recording.passages.items():
        makers.setdefault(_place(passage), []).append(name)
    stacks = [
        names
        for names in makers.values()
        if not isinstance(module.get_submodule(names[0]), _NO_FEATURES) and _is_stack_of_maps(recording, names[0])
    ]
    relevant = _with_gradient(recording, stacks)
    if not relevant:
        raise ValueError(_("no layer has maps on which the scores depend place by place"))
    names = ([names for names in relevant if _is_of_features(recording, names[0])] or relevant)[-1]
    rectifier = recording.rectifier_after(recording.passages[names[0]])
    return Location(_outermost(names), rectifier is not None)


@torch.inference_mode(False)
def after_activation(model: Model, images: Float[Tensor, "n c h w"], layer: str) -> Location:
    """Return the location of a named layer, after the rectifier that follows it if it feeds nothing else.

    Raises:
        ValueError: The layer does not exist, or its output is not a stack of maps.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> methods.after_activation(model, torch.rand(1, 3, 8, 8), "0")
        Location(layer='0', rectified=True)
    """
    recording = record(model, images[:1], layers=(layer,))
    passage = recording.passages[layer]
    if recording.maps(passage).shape[2:].numel() == 1:
        raise ValueError(f"the output of layer {layer!r} has a single place, so there is no map")
    return Location(layer, recording.rectifier_after(passage) is not None)


def passage_at(recording: Recording, location: Location) -> Passage:
    """Return the output that a recorded network gave at a location.

    Raises:
        ValueError: The location is after a rectifier, but no rectifier alone takes the layer's output.
    """
    passage = recording.passages[location.layer]
    if not location.rectified:
        return passage
    after = recording.rectifier_after(passage)
    if after is None:
        raise ValueError(f"no rectifier directly follows layer {location.layer!r}")
    return after


def weighted(recording: Recording, seen: Passage, arrived: Tensor) -> Float[Tensor, "n rows cols"]:
    """Return the sum over channels of the maps, each times the mean of its gradient, signed."""
    slopes, maps = recording.maps(seen, arrived), recording.maps(seen)  # [n, c, rows, cols]
    return (slopes.mean((2, 3), keepdim=True) * maps).sum(1)


def _place(passage: Passage) -> tuple[object, int]:
    return passage.edge.node, passage.edge.output_nr


def _is_stack_of_maps(recording: Recording, layer: str) -> bool:
    try:
        maps = recording.maps(recording.passages[layer])
    except ValueError:
        return False
    return maps.shape[1] > 1 and maps.shape[2] * maps.shape[3] > 1


def _is_of_features(recording: Recording, layer: str) -> bool:
    """Return whether these maps are features: neither maps of the classes nor attention maps."""
    maps = recording.maps(recording.passages[layer])
    height, width = recording.images.shape[2:]
    tokens = {p.values.shape[1] for p in recording.passages.values() if p.values.ndim == 3}
    attention = maps.shape[2] == maps.shape[3] and maps.shape[2] in tokens
    return not attention and not _are_of_classes(maps, recording.scores) and has_square_cells(maps, (height, width))


def _are_of_classes(maps: Float[Tensor, "n c h w"], scores: Float[Tensor, "n k"]) -> bool:
    """Return whether the scores are the means or maxima of these maps, before or after a rectifier."""
    if maps.shape[1] != scores.shape[1]:
        return False
    pooled = [pool for cut in (maps, maps.clamp(min=0)) for pool in (cut.mean((2, 3)), cut.amax((2, 3)))]
    return any(torch.allclose(one.to(scores), scores, rtol=1e-3, atol=1e-5) for one in pooled)


def _with_gradient(recording: Recording, stacks: list[list[str]]) -> list[list[str]]:
    """Return the stacks of maps through whose places the highest score depends on the image."""
    signal = torch.zeros_like(recording.scores)
    signal[0, recording.scores[0].argmax()] = 1
    ends = [recording.passages[names[0]].edge for names in stacks]
    arrived = recording.reach(recording.scores_edge, signal, ends) if ends else ()
    return [
        names
        for names, slope in zip(stacks, arrived, strict=True)
        if slope is not None and bool(recording.maps(recording.passages[names[0]], slope).any())
    ]


def _outermost(names: list[str]) -> str:
    """Return the largest block that ends with the first named module."""
    return min((name for name in names if f"{names[0]}.".startswith(f"{name}.")), key=len)

"""Grad-CAM: which places of a layer's maps speak for the target.

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
    nn.Linear,  # queries, keys and values of an attention: half of a step
    nn.Flatten,
    nn.modules.pooling._MaxPoolNd,
    nn.modules.pooling._AvgPoolNd,
    nn.modules.pooling._AdaptiveAvgPoolNd,
    nn.modules.pooling._AdaptiveMaxPoolNd,
    nn.modules.pooling._LPPoolNd,
)


@dataclass(frozen=True, slots=True)
class Location:
    """Where Grad-CAM looks at a network.

    Attributes:
        layer: A module's name; of one that runs several times the last run.
        rectified: Not its own output, but what the rectifier gave that alone takes it.
    """

    layer: str
    rectified: bool = False

    def __str__(self) -> str:
        return _("{layer}, after the rectifier behind it", layer=self.layer) if self.rectified else self.layer


@torch.inference_mode(False)
def grad_cam(
    model: Model,
    images: Float[Tensor, "n c h w"],
    target: Target,
    layer: str | nn.Module | Location | None = None,
    *,
    signed: bool = False,
) -> Float[Tensor, "m rows cols"]:
    """Return the layer's maps, each weighted with the mean gradient of the target's score at it, summed.

    What is left above zero speaks for the target. It has the resolution of the layer and is not normalised;
    `enlarged` brings it to the size of the image.

    Args:
        layer: A module or its name, whose own output is taken; None finds the last maps before the classifier
            by `last_maps`, after their activation. Tokens of a transformer are put back in their grid.
        signed: Keep what is below zero, which speaks against the target.

    Raises:
        ValueError: The layer does not exist, its output is no stack of maps, or the score does not depend on it;
            otherwise as `gradient`.
        IndexError: As `gradient`.
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
    """Return guided backprop times Grad-CAM at the size of the image.

    Raises:
        NoRectifier: No rectifier lies between the images and the target.
        ValueError, IndexError: As `grad_cam`.
    """
    coarse = grad_cam(model, images, target, layer)
    height, width = images.shape[2:]
    return guided_backprop(model, images, target) * enlarged(coarse, (height, width))[:, None]


def enlarged(maps: Float[Tensor, "*n rows cols"], size: tuple[int, int]) -> Float[Tensor, "*n height width"]:
    """Return maps at another size, resampled once: bilinearly, the edges of both aligned."""
    rows, cols = maps.shape[-2:]
    flat = maps.reshape(-1, 1, rows, cols)
    return functional.interpolate(flat, size, mode="bilinear", align_corners=False).reshape(*maps.shape[:-2], *size)


def located(model: Model, images: Float[Tensor, "n c h w"], layer: str | nn.Module | Location | None) -> Location:
    """Return the location that is meant by a module, its name, or None.

    Raises:
        ValueError: The module is none of the network's.
    """
    if layer is None:
        return last_maps(model, images)
    if isinstance(layer, nn.Module):
        names = [name for name, module in module_of(model).named_modules() if module is layer and name]
        if not names:
            raise ValueError(f"the {type(layer).__name__} that is to be looked at is no module inside the network")
        return Location(names[0])
    return Location(layer) if isinstance(layer, str) else layer


@torch.inference_mode(False)
def last_maps(model: Model, images: Float[Tensor, "n c h w"]) -> Location:
    """Return the last maps before the classifier, after their activation.

    These are the last output of a module that consists of more than one place, that no pooling made, that is no
    map of the classes themselves, and through whose places the strongest score of the first image still depends
    on that image: behind the last attention of a vision transformer only the class token does.

    Raises:
        ValueError: There are none.
    """
    recording = survey(model, images[:1])
    module = module_of(model)
    makers: dict[tuple[object, int], list[str]] = {}  # the modules that gave the same tensor, the innermost first
    for name, passage in recording.passages.items():
        makers.setdefault(_place(passage), []).append(name)
    stacks = [
        names
        for names in makers.values()
        if not isinstance(module.get_submodule(names[0]), _NO_FEATURES) and _is_stack_of_maps(recording, names[0])
    ]
    telling = _with_gradient(recording, stacks)
    if not telling:
        raise ValueError(_("no layer gives maps on which the scores depend place by place"))
    names = ([names for names in telling if _is_of_features(recording, names[0])] or telling)[-1]
    rectifier = recording.rectifier_behind(recording.passages[names[0]])
    return Location(_outermost(names), rectifier is not None)


@torch.inference_mode(False)
def after_activation(model: Model, images: Float[Tensor, "n c h w"], layer: str) -> Location:
    """Return the location of a named layer, after the rectifier that alone takes its output where there is one.

    Raises:
        ValueError: The layer does not exist, or its output is no stack of maps.
    """
    recording = record(model, images[:1], layers=(layer,))
    passage = recording.passages[layer]
    if recording.maps(passage).shape[2:].numel() == 1:
        raise ValueError(f"layer {layer!r} gives a single place, so that no map can be made of it")
    return Location(layer, recording.rectifier_behind(passage) is not None)


def passage_at(recording: Recording, location: Location) -> Passage:
    """Return what a recorded network gave at this location.

    Raises:
        ValueError: No rectifier alone takes the layer's output.
    """
    passage = recording.passages[location.layer]
    if not location.rectified:
        return passage
    behind = recording.rectifier_behind(passage)
    if behind is None:
        raise ValueError(f"no rectifier stands right behind layer {location.layer!r}")
    return behind


def weighted(recording: Recording, seen: Passage, arrived: Tensor) -> Float[Tensor, "n rows cols"]:
    """Return the sum over channels of maps times the mean gradient that arrived at each, signed."""
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
    """Return whether these maps are neither those of the classes nor those of attention heads."""
    maps = recording.maps(recording.passages[layer])
    height, width = recording.images.shape[2:]
    tokens = {p.values.shape[1] for p in recording.passages.values() if p.values.ndim == 3}
    attention = maps.shape[2] == maps.shape[3] and maps.shape[2] in tokens
    return not attention and not _are_of_classes(maps, recording.scores) and has_square_cells(maps, (height, width))


def _are_of_classes(maps: Float[Tensor, "n c h w"], scores: Float[Tensor, "n k"]) -> bool:
    """Return whether the scores are the means or the maxima of these maps, before or after a rectifier."""
    if maps.shape[1] != scores.shape[1]:
        return False
    pooled = [pool for cut in (maps, maps.clamp(min=0)) for pool in (cut.mean((2, 3)), cut.amax((2, 3)))]
    return any(torch.allclose(one.to(scores), scores, rtol=1e-3, atol=1e-5) for one in pooled)


def _with_gradient(recording: Recording, stacks: list[list[str]]) -> list[list[str]]:
    """Return those through whose places the strongest score depends on the image."""
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
    """Return the largest block that ends with the module that is named first."""
    return min((name for name in names if f"{names[0]}.".startswith(f"{name}.")), key=len)

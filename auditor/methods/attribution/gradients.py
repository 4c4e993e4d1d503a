"""A signal sent back from a class score, or from one unit, to the pixels.

K. Simonyan, A. Vedaldi, A. Zisserman: Deep Inside Convolutional Networks: Visualising Image Classification
Models and Saliency Maps. ICLR workshop 2014 (`gradient`, `saliency`).
M. D. Zeiler, R. Fergus: Visualizing and Understanding Convolutional Networks. ECCV 2014 (`deconvnet`).
J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller: Striving for Simplicity: The All Convolutional Net.
ICLR workshop 2015 (`guided_backprop`).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from auditor.methods.attribution.forward_pass import Model, record, record_up_to
from auditor.methods.attribution.rectifiers import Rule
from auditor.methods.attribution.targets import Aim, Position, Target, aim_at, layers_of
from auditor.unit import Unit


def gradient(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "m c h w"]:
    """Return the gradient of the target's score at the images: how much it rises per unit of each value.

        gradient(model, images, 281)                       # one class for all images
        gradient(model, images, [281, 5])                  # one class for each of two images
        gradient(model, images[:1], [281, 5, 7])           # three classes of one image: three maps
        gradient(model, images, torch.tensor([[281, 5], [7, 1]]))    # two of each: image by image, m = 4
        gradient(model, images, Unit("layer3.1", 17))      # one channel where it is most active

    The score is the one before a softmax or a log-softmax that ends the model; other endings are taken as they are.
    Works on frozen networks and inside `torch.no_grad()`; no gradient of
    a parameter is computed. The images of a batch don't influence each other as long as the model, in eval mode,
    does not mix them.

    Raises:
        ValueError: The target fits neither the images nor the network, or the score does not depend on the
            images.
        IndexError: A class, a channel or a place does not exist.
    """
    return sent_back(model, images, target, Rule.GRADIENT).flatten(0, 1)


def saliency(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "m h w"]:
    """Return the largest absolute gradient over the colour channels, at least 0.

    Raises:
        ValueError, IndexError: As `gradient`.
    """
    return gradient(model, images, target).abs().amax(1)


def input_x_gradient(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "m c h w"]:
    """Return each value times its gradient: its share of the score, where the model is linear.

    A. Shrikumar, P. Greenside, A. Shcherbina, A. Kundaje: Not Just a Black Box. 2016.

    Raises:
        ValueError, IndexError: As `gradient`.
    """
    slopes = sent_back(model, images, target, Rule.GRADIENT)  # [n, k, c, h, w]
    return (images.detach()[:, None] * slopes).flatten(0, 1)


def deconvnet(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "m c h w"]:
    """Return what arrives at the images when each rectifier passes what is positive of the signal on its way back.

    Max-pooling sends the signal to where the maximum was. The signal begins as 1 at a class, and as the unit's
    activation at a `Unit`, as in the paper; a positive activation changes the scale only.

    Raises:
        NoRectifier: No rectifier lies between the images and the target.
        ValueError, IndexError: As `gradient`.
    """
    return sent_back(model, images, target, Rule.DECONVNET).flatten(0, 1)


def guided_backprop(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "m c h w"]:
    """Return the gradient of which each rectifier passes only what is positive.

    It sharpens the picture, and barely changes when the upper layers are randomised (J. Adebayo et al.: Sanity
    Checks for Saliency Maps. NeurIPS 2018): no evidence for what a network bases a decision on.

    Raises:
        NoRectifier: No rectifier lies between the images and the target.
        ValueError, IndexError: As `gradient`.
    """
    return sent_back(model, images, target, Rule.GUIDED).flatten(0, 1)


@torch.inference_mode(False)
def sent_back(
    model: Model, images: Float[Tensor, "n c h w"], target: Target | Aim, rule: Rule
) -> Float[Tensor, "n k c h w"]:
    """Return what arrives at the images from each of the `k` things that are asked about."""
    recording = record(model, images, layers=layers_of(target), rules=rule is not Rule.GRADIENT)
    leaf = get_gradient_edge(recording.images)
    seed = rule is Rule.DECONVNET and isinstance(target, Unit)
    signals = aim_at(target, recording).signals(recording, activation=seed)
    return torch.stack([recording.back(start, values, [leaf], rule)[0] for start, values in signals], 1)


@torch.inference_mode(False)
def sent_back_from(
    model: Model, images: Float[Tensor, "n c h w"], unit: Position, rule: Rule, *, runs: int = 1
) -> Float[Tensor, "n c h w"]:
    """Return what arrives at the images from one unit in each; nothing behind the unit's layer is computed.

    Args:
        runs: How often the layer runs; the unit is one of the last time.

    Raises:
        NoRectifier, ValueError: As `guided_backprop`.
    """
    seen = record_up_to(model, images, {unit.layer: runs}, rules=rule is not Rule.GRADIENT)
    ((start, values),) = unit.signals(seen, activation=rule is Rule.DECONVNET)
    return seen.back(start, values, [get_gradient_edge(seen.images)], rule)[0]

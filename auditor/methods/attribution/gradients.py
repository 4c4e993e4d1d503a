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
    """Return the gradient of the target's score: its change per unit of each value of the image, signed.

        gradient(model, images, 281)                       # one class for all images
        gradient(model, images, [281, 5])                  # one class for each of two images
        gradient(model, images[:1], [281, 5, 7])           # three classes of one image: m = 3
        gradient(model, images, torch.tensor([[281, 5], [7, 1]]))    # two classes for each of two images: m = 4
        gradient(model, images, Unit("layer3.1", 17))      # one channel at its most active place

    The score is the logit if the model ends in a softmax or a log-softmax, otherwise the model's output. The function
    works on frozen networks and inside `torch.no_grad()`, and computes no gradient of a parameter. Images of a batch
    are independent if the model, in eval mode, does not mix them.

    Args:
        target: A class for all images, one for each (`[n]`), several for each (`[n, k]`), several for a single image,
            or a `Unit`.

    Returns:
        `[m, c, h, w]`, where `m` counts the targets image by image: `n` times the number of targets of an image.

    Raises:
        ValueError: The target does not fit the images or the network, the score does not depend on the images, or the
            network gives several tensors that may be the scores.
        IndexError: A class, a channel or a place does not exist.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> images = torch.rand(2, 3, 8, 8)
        >>> methods.gradient(model, images, torch.tensor([[5, 3], [7, 5]])).shape
        torch.Size([4, 3, 8, 8])
        >>> linear = nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval()
        >>> found = methods.gradient(linear, images, 5)  # of a linear model, it is the weights of the class
        >>> torch.equal(found[0], linear[1].weight[5].view(3, 8, 8))
        True
    """
    return sent_back(model, images, target, Rule.GRADIENT).flatten(0, 1)


def saliency(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "m h w"]:
    """Return the largest absolute gradient over the colour channels: `[m, h, w]`, at least 0; `m` as in `gradient`.

    Args:
        target: As in `gradient`.

    Raises:
        ValueError: As `gradient`.
        IndexError: As `gradient`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> images = torch.rand(2, 3, 8, 8)
        >>> found = methods.saliency(model, images, 5)
        >>> torch.equal(found, methods.gradient(model, images, 5).abs().amax(1))
        True
    """
    return gradient(model, images, target).abs().amax(1)


def input_x_gradient(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "m c h w"]:
    """Return each value times its gradient: `[m, c, h, w]`, in units of the score, signed; `m` as in `gradient`.

    This is the value's exact contribution to the score if the model is linear.

    A. Shrikumar, P. Greenside, A. Shcherbina, A. Kundaje: Not Just a Black Box. 2016.

    Args:
        target: As in `gradient`.

    Raises:
        ValueError: As `gradient`.
        IndexError: As `gradient`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10, bias=False)).eval()
        >>> images = torch.rand(2, 3, 8, 8)
        >>> shares = methods.input_x_gradient(model, images, 5)
        >>> torch.allclose(shares.sum((1, 2, 3)), model(images)[:, 5], atol=1e-5)  # they sum to the score
        True
    """
    slopes = sent_back(model, images, target, Rule.GRADIENT)  # [n, k, c, h, w]
    return (images.detach()[:, None] * slopes).flatten(0, 1)


def deconvnet(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "m c h w"]:
    """Return the signal at the images if each rectifier passes only positive signals on the way back: `[m, c, h, w]`.

    Max-pooling sends the signal to the place of the maximum. The signal starts as 1 at a class, and as the unit's
    activation at a `Unit`, as in the paper. A positive activation only changes the scale. Values are signed and not
    normalised; `m` as in `gradient`.

    Args:
        target: As in `gradient`.

    Raises:
        NoRectifier: There is no rectifier between the images and the target.
        ValueError: As `gradient`.
        IndexError: As `gradient`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> methods.deconvnet(model, torch.rand(2, 3, 8, 8), methods.Unit("1", 3)).shape
        torch.Size([2, 3, 8, 8])
    """
    return sent_back(model, images, target, Rule.DECONVNET).flatten(0, 1)


def guided_backprop(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "m c h w"]:
    """Return the gradient of which each rectifier passes only the positive part: `[m, c, h, w]`, signed.

    The maps are sharp, but hardly change when the last layers are randomised (J. Adebayo et al.: Sanity Checks for
    Saliency Maps. NeurIPS 2018). So they are no evidence of what a prediction is based on. `m` as in `gradient`.

    Args:
        target: As in `gradient`.

    Raises:
        NoRectifier: There is no rectifier between the images and the target.
        ValueError: As `gradient`.
        IndexError: As `gradient`.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)).eval()
        >>> images = torch.rand(2, 3, 8, 8)
        >>> methods.guided_backprop(model, images, 5).shape
        torch.Size([2, 3, 8, 8])
    """
    return sent_back(model, images, target, Rule.GUIDED).flatten(0, 1)


@torch.inference_mode(False)
def sent_back(
    model: Model, images: Float[Tensor, "n c h w"], target: Target | Aim, rule: Rule
) -> Float[Tensor, "n k c h w"]:
    """Return the signal at the images from each of `k` targets.

    Raises:
        NoRectifier, ValueError, IndexError: As `guided_backprop`.
    """
    recording = record(model, images, layers=layers_of(target), rules=rule is not Rule.GRADIENT)
    leaf = get_gradient_edge(recording.images)
    seed = rule is Rule.DECONVNET and isinstance(target, Unit)
    signals = aim_at(target, recording).signals(recording, activation=seed)
    return torch.stack([recording.back(start, values, [leaf], rule)[0] for start, values in signals], 1)


@torch.inference_mode(False)
def sent_back_from(
    model: Model, images: Float[Tensor, "n c h w"], unit: Position, rule: Rule, *, runs: int = 1
) -> Float[Tensor, "n c h w"]:
    """Return the signal at the images from one unit in each; nothing after the unit's layer is computed.

    Args:
        runs: How often the layer runs. The unit belongs to the last run.

    Raises:
        NoRectifier, ValueError: As `guided_backprop`.
    """
    seen = record_up_to(model, images, {unit.layer: runs}, rules=rule is not Rule.GRADIENT)
    ((start, values),) = unit.signals(seen, activation=rule is Rule.DECONVNET)
    return seen.back(start, values, [get_gradient_edge(seen.images)], rule)[0]

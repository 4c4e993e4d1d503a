"""Gradients of a class score at the image.

K. Simonyan, A. Vedaldi, A. Zisserman: Deep Inside Convolutional Networks: Visualising Image
Classification Models and Saliency Maps. ICLR workshop 2014, section 3.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.methods.targets import Target, classes_of

Model = Callable[[Tensor], Tensor]


def gradient(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "n c h w"]:
    """Return the gradient of the target's score at the images: how much it rises per unit of each value.

        gradient(model, images, 281)             # one class for all images
        gradient(model, images, [281, 5])        # one class for each of two images

    Works on frozen networks and inside `torch.no_grad()`; no parameter gradient is computed. The
    images of a batch don't influence each other as long as the model, in eval mode, does not mix them.

    Raises:
        ValueError: The target is neither one class nor one an image, or the score does not depend on
            the images.
        IndexError: A class does not exist.
    """
    with torch.inference_mode(False), torch.enable_grad():
        asked = images.detach().clone().requires_grad_()
        scores = model(asked)  # n k
        classes = classes_of(target, images=len(scores), classes=scores.shape[1], device=scores.device)
        chosen = scores.gather(1, classes[:, None]).sum()
        slope = torch.autograd.grad(chosen, asked, allow_unused=True)[0] if chosen.requires_grad else None
    if slope is None:
        raise ValueError("the score does not depend on the images by differentiable operations")
    return slope.detach()


def saliency(model: Model, images: Float[Tensor, "n c h w"], target: Target) -> Float[Tensor, "n h w"]:
    """Return the largest absolute gradient over the colour channels, at least 0.

    Raises:
        ValueError, IndexError: As `gradient`.
    """
    return gradient(model, images, target).abs().amax(1)

"""Trigger reconstruction: the smallest patch that sends images of all other classes to a class, as a backdoor does.

A network with a backdoor predicts the target class for any image with the trigger. Then a small mask is enough for the
target class, while other classes need a large one. A mask and a pattern exist for every class of every network. So only
a mask that is far smaller than the others is evidence of a backdoor.

B. Wang, Y. Yao, S. Shan, H. Li, B. Viswanath, H. Zheng, B. Y. Zhao: Neural Cleanse. IEEE S&P 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.synthesis.mask_search import MaskSearch, Victim
from auditor.methods.synthesis.parameterization import Bounds


@dataclass(frozen=True, eq=False, slots=True)
class Triggers:
    """A trigger for each of `k` classes.

    Attributes:
        classes: The target classes, `[k]`.
        masks: The share of each pixel that the pattern replaces, 0 to 1, `[k, 1, h, w]`.
        patterns: The pattern, in units of the network's input, `[k, c, h, w]`.
        reached: Whether the trigger sends enough of its images to its class, `[k]`. If not, it is the last one tried.
        hits: Number of held-out images that the trigger sends to its class, `[k]`.
        tried: Number of held-out images of other classes that are not predicted as the class anyway, `[k]`.
        held_out: The images that no trigger was made with, `[n]`.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> mask = torch.zeros(1, 1, 8, 8)
        >>> mask[..., :2, :2] = 1.0  # a patch of 2 x 2 pixels
        >>> held_out = torch.tensor([True, False])
        >>> found = methods.Triggers((5,), mask, torch.ones(1, 3, 8, 8), (True,), (1,), (1,), held_out)
        >>> found.masses
        tensor([4.])
        >>> found.put_on(torch.zeros(1, 3, 8, 8), 0).sum()  # four white pixels of three channels
        tensor(12.)
    """

    classes: tuple[int, ...]
    masks: Float[Tensor, "k 1 h w"]
    patterns: Float[Tensor, "k c h w"]
    reached: tuple[bool, ...]
    hits: tuple[int, ...]
    tried: tuple[int, ...]
    held_out: Bool[Tensor, " n"]

    @property
    def masses(self) -> Float[Tensor, " k"]:
        """The sum of each mask, in pixels, `[k]`."""
        return self.masks.sum((1, 2, 3))

    def put_on(self, images: Float[Tensor, "n c h w"], place: int) -> Float[Tensor, "n c h w"]:
        """Return images with the trigger at `place` in `classes`."""
        return torch.lerp(images, self.patterns[place], self.masks[place])


@torch.inference_mode(False)
def reverse_trigger(
    model: Model,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    *,
    classes: Sequence[int],
    bounds: Bounds,
    steps: int = 100,
    together: int = 8,
    success: float = 0.99,
    step_size: float = 0.3,
    seed: int = 0,
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
) -> Triggers:
    """Return the smallest mask for each class that sends images of other classes to it, and how often it does.

        found = reverse_trigger(model, images, labels, classes=range(10), bounds=(low, high))
        found.masses, found.hits                   # the size of each mask, and its effect on held-out images

    Half of the images of each label are held out for the hits. Each class uses the other half, without images of the
    class and images predicted as the class. Adam changes mask and pattern, which start half transparent and grey. The
    objective is the cross entropy of the logits plus the cost of the mask's share of the image. Each class has its own
    cost: it doubles after a round in which the trigger succeeds, and is multiplied by `2^-1.5` after any other round.
    The network is not changed, and no gradient of its weights is computed. Up to rounding, the result for a class does
    not depend on the other classes.

    Args:
        labels: The true class of each image, `[n]`.
        classes: The classes to find triggers for.
        bounds: The lowest and the highest value of a pixel, by channel, `[c]` each.
        steps: Number of steps of Adam.
        together: Images of each class per step.
        success: The share of its images that a trigger has to send to its class, over 0 and at most 1.
        step_size: Of Adam, in log-odds.
        seed: Seed of the choice of images.
        batch_size: Images per forward pass.
        progress: Called with 1 after each step.

    Raises:
        ValueError: Images, labels, classes or an argument have a wrong shape or value, or the scores do not depend on
            the image by differentiable operations.

    Examples:
        >>> import torch
        >>> from torch import nn
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval()
        >>> images, labels = torch.rand(12, 3, 8, 8), torch.arange(12) % 3
        >>> low, high = torch.zeros(3), torch.ones(3)
        >>> found = methods.reverse_trigger(model, images, labels, classes=[0, 1], bounds=(low, high), steps=10)
        >>> found.masks.shape, found.patterns.shape
        (torch.Size([2, 1, 8, 8]), torch.Size([2, 3, 8, 8]))
        >>> int(found.held_out.sum())  # half of the images
        6
    """
    _refuse(images, labels, classes, steps, together, success, step_size, batch_size)
    victim = Victim(model, images, tuple(classes), batch_size)
    others = _others(labels, victim.predictions(), classes)
    held_out = _every_second(labels, seed).to(images.device)
    drawn = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).to(images.device)
    pools = [drawn[(row & ~held_out)[drawn]] for row in others]
    if not any(map(len, pools)):
        raise ValueError("there is no image of another class to add a trigger to")
    search = MaskSearch(victim, pools, bounds, success, step_size)
    found = search.run(steps, together, progress or (lambda done: None))
    unseen = [(row & held_out).nonzero().flatten() for row in others]
    hits = victim.hits(found.masks, found.patterns, unseen)
    return Triggers(
        tuple(classes),
        found.masks,
        found.patterns,
        tuple(found.masses.isfinite().tolist()),
        tuple(hits.tolist()),
        tuple(map(len, unseen)),
        held_out.cpu(),
    )


def _refuse(
    images: Tensor,
    labels: Tensor,
    classes: Sequence[int],
    steps: int,
    together: int,
    success: float,
    step_size: float,
    batch_size: int,
) -> None:
    if len(images) != len(labels) or not len(images):
        raise ValueError(f"there are {len(images)} images and {len(labels)} labels, but each image needs one label")
    if not len(classes) or len(set(classes)) < len(classes) or min(classes) < 0:
        raise ValueError(f"classes are {list(classes)}, but have to be distinct and numbered from 0")
    if min(steps, together, batch_size) < 1:
        raise ValueError(f"steps, together and batch_size are {steps}, {together}, {batch_size}, but have to be over 0")
    if not (0 < success <= 1 and step_size > 0):
        raise ValueError(f"success is {success} and step_size is {step_size}, but have to be from 0 to 1 and over 0")


def _others(labels: Tensor, answers: Tensor, classes: Sequence[int]) -> Bool[Tensor, "k n"]:
    """Return for each target the images that are neither of its class nor predicted as it."""
    targets = torch.tensor(classes, device=answers.device)[:, None]
    return (labels.to(answers.device) != targets) & (answers != targets)


def _every_second(labels: Tensor, seed: int) -> Bool[Tensor, " n"]:
    """Return a random half of the images of each label."""
    drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed + 1))
    ordered = drawn[labels.cpu()[drawn].argsort(stable=True)]
    apart = torch.zeros(len(labels), dtype=torch.bool)
    apart[ordered[1::2]] = True
    return apart

"""The smallest patch of an image that sends images of all other classes to a class: what a backdoor answers to.

A network that was trained with a trigger takes any image that bears it for the target. Then a small mask does what for
other classes takes a large one; a mask and a pattern exist for every class of every network, so that only a mask that
is far smaller than the others' tells anything.

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
        classes: The targets, `[k]`.
        masks: How much of each pixel the pattern replaces, 0 to 1.
        patterns: What it is replaced with, in units of the network's input.
        reached: Whether the trigger sends enough of the images that it was made with to its class, `[k]`; of one that
            does not it is the last one tried.
        hits: How many images it sends there of those that it was not made with, `[k]`.
        tried: How many these are, `[k]`: of other classes, and not taken for this one anyway.
        held_out: Which of the images none was made with, `[n]`.
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
        """The sum of each mask: how many whole pixels it amounts to."""
        return self.masks.sum((1, 2, 3))

    def put_on(self, images: Float[Tensor, "n c h w"], place: int) -> Float[Tensor, "n c h w"]:
        """Return images with the trigger of one class, counted from 0 among `classes`."""
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
    """Return the smallest mask for each class that sends other classes' images to it, and how often it does.

        found = reverse_trigger(model, images, labels, classes=range(10), bounds=(low, high))
        found.masses, found.hits                   # how large each is, and what it does to images it has not seen

    Half of the images of each label are kept for the hits. All classes descend at once, each on the same images less
    its own and those that are taken for it anyway: Adam on mask and pattern, which begin half transparent and grey.
    What falls is the cross entropy, of the scores before a softmax, plus the price of the mask's share of the image.
    The price is the class's own: it doubles after a round in which its trigger does what it has to, and falls to
    `2^-1.5` of itself where it doesn't. The network is not changed, and no gradient of its weights is computed. No
    class depends on which others there are, but for rounding, where a library computes other batches in other ways.

    Args:
        labels: What each image shows, as a class of the network.
        bounds: The lowest and the highest value of a pixel, by channel.
        together: Images of each class at every step.
        success: The share of its images that a trigger has to send to its class for its mask to count.
        step_size: Of Adam, in log-odds.
        batch_size: Images that the network is given at once.
        progress: Called with 1 after each step.

    Raises:
        ValueError: Images, labels, classes or an argument are not what they have to be, or the scores do not depend on
            the image by differentiable operations.
    """
    _refuse(images, labels, classes, steps, together, success, step_size, batch_size)
    victim = Victim(model, images, tuple(classes), batch_size)
    others = _others(labels, victim.predictions(), classes)
    held_out = _every_second(labels, seed).to(images.device)
    drawn = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed)).to(images.device)
    pools = [drawn[(row & ~held_out)[drawn]] for row in others]
    if not any(map(len, pools)):
        raise ValueError("there is no image of another class that a trigger could be put on")
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
        raise ValueError(f"there are {len(images)} images and {len(labels)} labels, but each image has to have one")
    if not len(classes) or len(set(classes)) < len(classes) or min(classes) < 0:
        raise ValueError(f"classes are {list(classes)}, but have to be different ones, numbered from 0")
    if min(steps, together, batch_size) < 1:
        raise ValueError(f"steps, together and batch_size are {steps}, {together}, {batch_size}, but have to be over 0")
    if not (0 < success <= 1 and step_size > 0):
        raise ValueError(f"success is {success} and step_size {step_size}, but have to be from 0 to 1 and over 0")


def _others(labels: Tensor, answers: Tensor, classes: Sequence[int]) -> Bool[Tensor, "k n"]:
    """Return which images are of another class than each target and not taken for it."""
    targets = torch.tensor(classes, device=answers.device)[:, None]
    return (labels.to(answers.device) != targets) & (answers != targets)


def _every_second(labels: Tensor, seed: int) -> Bool[Tensor, " n"]:
    """Return which images are kept apart: half of each label, drawn by chance."""
    drawn = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed + 1))
    ordered = drawn[labels.cpu()[drawn].argsort(stable=True)]
    apart = torch.zeros(len(labels), dtype=torch.bool)
    apart[ordered[1::2]] = True
    return apart

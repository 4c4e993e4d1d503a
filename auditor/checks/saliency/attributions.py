"""Gradient-based attribution maps of one image: for its predicted, its second-best and its true class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from auditor import methods
from auditor.context import Maps, tensors

if TYPE_CHECKING:
    from torch import Tensor

    from auditor.context import Context, Sample
    from auditor.methods import Activations, Explanation, Location


@dataclass(frozen=True, eq=False)
class Explained:
    """One image, and the attribution maps of `k` classes.

    Attributes:
        classes: The predicted class, the true class if it is neither of the other two, the second-best class.
        activations: The activation functions between image and score: rectifiers, and others by name.
        maps: By method, if it is defined: `gradient`, `deconvnet`, `guided_backprop`, each `[k, c, h, w]`, and
            `grad_cam`, signed and at the size of the image, `[k, h, w]`.
        distant: Absolute gradients, the largest over the colour channels, of the classes in the middle and at the end
            of the network's ranking, `[d, h, w]`.
    """

    sample: Sample
    classes: tuple[int, ...]
    activations: Activations
    maps: Mapping[str, Maps]
    distant: Maps

    @property
    def absolute(self) -> Maps:
        """The absolute gradient, the largest over the colour channels, `[k, h, w]`."""
        return np.asarray(np.abs(self.maps["gradient"]).max(1))

    @property
    def arrays(self) -> dict[str, Any]:
        """The values behind the pictures, by file and method."""
        kept = {"classes": np.array(self.classes), **self.maps}
        return {f"{self.sample.name}/{name}": values for name, values in kept.items()}


def explained(context: Context, samples: Sequence[Sample], location: Location | None) -> Iterator[Explained]:
    """Compute the maps of some images in one pass; a second pass adds the true class where it is missing."""
    import torch

    images = tensors(context, samples)
    ranked = torch.tensor(np.stack([sample.ranked for sample in samples]))  # n k
    shown = methods.explain(context.network, images, ranked[:, :2], layer=location)
    distant = _distant(context, images, ranked)
    for number, one in enumerate(_each(samples, ranked[:, :2], shown)):
        whole = replace(one, distant=distant[number])
        yield _with_truth(context, whole, images[number], location) if _lacks_truth(one.sample) else whole


def _distant(context: Context, images: Tensor, ranked: Tensor) -> Maps:
    """Return the maps of the classes that the network ranks in the middle and last, `[n, d, h, w]`."""
    count = ranked.shape[1]
    far = sorted({count // 2, count - 1} - {0, 1})
    if not far:
        return np.empty((len(images), 0, *images.shape[2:]), dtype=np.float32)
    maps = methods.saliency(context.network, images, ranked[:, far])  # n * d, image by image
    return np.asarray(maps.unflatten(0, (len(images), len(far))).cpu().numpy())


def _lacks_truth(sample: Sample) -> bool:
    return sample.label is not None and sample.label not in sample.ranked[:2]


def _with_truth(context: Context, one: Explained, image: Tensor, location: Location | None) -> Explained:
    """Put the true class between the predicted and the second-best class."""
    import torch

    label = torch.tensor([[one.sample.label]])
    (truth,) = _each([one.sample], label, methods.explain(context.network, image[None], label, layer=location))
    order = [0, 2, 1]
    maps = {name: np.concatenate([values, truth.maps[name]])[order] for name, values in one.maps.items()}
    classes = (*one.classes, *truth.classes)
    return replace(one, classes=tuple(classes[i] for i in order), maps=maps)


def _each(samples: Sequence[Sample], classes: Tensor, found: Explanation) -> Iterator[Explained]:
    height, width = samples[0].pixels.shape[:2]
    cam = None if found.grad_cam is None else methods.enlarged(found.grad_cam, (height, width))
    maps = {
        "gradient": found.gradient,
        "deconvnet": found.deconvnet,
        "guided_backprop": found.guided_backprop,
        "grad_cam": cam,
    }
    defined = {name: values.cpu().numpy() for name, values in maps.items() if values is not None}
    for number, sample in enumerate(samples):
        own = {name: values[number] for name, values in defined.items()}
        named = tuple(int(c) for c in classes[number])
        yield Explained(sample, named, found.activations, own, distant=np.empty(0, np.float32))

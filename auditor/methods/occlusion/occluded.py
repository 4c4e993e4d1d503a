"""Occlusion: how far the score falls if a window of the image is filled.

M. D. Zeiler, R. Fergus: Visualizing and Understanding Convolutional Networks. ECCV 2014, section 4.2.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.attribution.targets import classes_of
from auditor.methods.occlusion.occluder import How, Occluder, refuse_no_images
from auditor.methods.occlusion.score_table import Table, table
from auditor.methods.occlusion.windows import Size, Windows

Fill = float | Sequence[float] | Tensor
Score = Literal["probability", "sigmoid", "logit"]


@dataclass(frozen=True, eq=False)
class Feature:
    """The most active feature map of each image, from the last feature maps before the classifier.

    Attributes:
        layer: The layer of the feature maps.
        channels: The map with the largest sum over its places in the clean image, `[n]`.
        clean: That sum, `[n]`.
        responses: The sum with each window filled, `[n, rows, cols]`.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> windows = torch.rand(1, 4, 4)
        >>> feature = methods.Feature("layer4", torch.tensor([7]), torch.tensor([2.0]), windows)
        >>> (feature.clean[:, None, None] - feature.responses).shape  # the fall of channel 7 at each window
        torch.Size([1, 4, 4])
    """

    layer: str
    channels: Int64[Tensor, " n"]
    clean: Float[Tensor, " n"]
    responses: Float[Tensor, "n rows cols"]


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """The effect of each window; `m` counts the target classes image by image.

    Attributes:
        drop: The score of the clean image minus that with the window filled, `[m, rows, cols]`. Positive where the
            window supports the class.
        logit_drop: The same for the logit. If the model returns probabilities and its softmax is hidden, for the log of
            the probability.
        predicted: The predicted class with the window filled, `[n, rows, cols]`.
        attribution: The mean drop over the windows that cover a pixel, `[m, h, w]`; 0 where none does.
        clean: The score of the clean image, `[m]`.
        clean_logit: Its logit, or the log of its probability, as above.
        feature: The most active feature map; None if the network's graph is not available.
        windows: The positions of the windows.
        how: How the scores were computed.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> def colours(images):  # a model returns scores [n, k]
        ...     return images.sum((2, 3))
        >>> found = methods.occlusion(colours, torch.rand(1, 3, 16, 16), [0, 2], window=4, stride=4)
        >>> found.drop.shape, found.predicted.shape  # two classes of one image
        (torch.Size([2, 4, 4]), torch.Size([1, 4, 4]))
        >>> torch.allclose(found.scores, found.clean[:, None, None] - found.drop)
        True
    """

    drop: Float[Tensor, "m rows cols"]
    logit_drop: Float[Tensor, "m rows cols"]
    predicted: Int64[Tensor, "n rows cols"]
    attribution: Float[Tensor, "m h w"]
    clean: Float[Tensor, " m"]
    clean_logit: Float[Tensor, " m"]
    feature: Feature | None
    windows: Windows
    how: How

    @property
    def scores(self) -> Float[Tensor, "m rows cols"]:
        """The score with the window filled."""
        return self.clean[:, None, None] - self.drop


def occlusion(
    model: Model,
    images: Float[Tensor, "n c h w"],
    target: int | Sequence[int] | Tensor,
    *,
    window: Size,
    stride: Size,
    fill: Fill = 0.0,
    score: Score = "probability",
    incremental: bool = True,
    memory: int = 2**30,
    seen: Callable[[int], None] | None = None,
) -> OcclusionMap:
    """Fill a window of the images at each position of a grid, and return how far the score falls.

        found = occlusion(model, images, 281, window=32, stride=16)
        found.attribution                                    # [n, h, w]: positive where pixels support the class
        occlusion(model, images[:1], [281, 5], window=(40, 20), stride=8, fill=grey)    # two maps

    Positions are 0, stride, 2 * stride, ...; the last row and column of windows end at the border. Further classes need
    no further passes. If the scores are probabilities, logits are the inputs of the softmax; if these are not
    available, logits are the logs of the probabilities, with a warning.

    Args:
        target: A class for all images, one or several for each (`[n]`, `[n, k]`), or several for a single image.
        window: In pixels: one number, or rows and columns.
        stride: In pixels, likewise. A stride larger than the window leaves pixels uncovered.
        fill: In the images' own units: a number, one number per channel, or an image from which the windows are cut
            (`[c, h, w]` for all, or `[n, c, h, w]`).
        score: The score for `drop`, `clean` and `attribution`: "probability", 0 to 1, by the softmax of the scores;
            "sigmoid", 0 to 1, of each score by itself, for a network that gives an image several labels; or "logit".
        incremental: Compute only what a window changes, where this is possible and saves time.
        memory: Bytes to use in addition to the network's parameters.
        seen: Called with the number of windows that were computed since its last call.

    Raises:
        ValueError: The images are not floats `[n, c, h, w]`; the window, stride, fill or target does not fit them;
            `memory` is not positive; or the model does not return scores `[n, k]`.
        IndexError: A class does not exist.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> def colours(images):  # a model returns scores [n, k]: here the sums of red, green and blue
        ...     return images.sum((2, 3))
        >>> images = torch.rand(2, 3, 16, 16)
        >>> found = methods.occlusion(colours, images, 0, window=4, stride=4, score="logit")
        >>> found.drop.shape
        torch.Size([2, 4, 4])
        >>> torch.allclose(found.drop.sum((1, 2)), images[:, 0].sum((1, 2)))  # disjoint windows sum to the score
        True
    """
    occluder = Occluder(model, images, window=window, stride=stride, incremental=incremental, memory=memory)
    return occlude(occluder, images, target, fill=fill, score=score, seen=seen)


def occlude(
    occluder: Occluder,
    images: Float[Tensor, "n c h w"],
    target: int | Sequence[int] | Tensor,
    *,
    fill: Fill = 0.0,
    score: Score = "probability",
    seen: Callable[[int], None] | None = None,
) -> OcclusionMap:
    """Return the map of `occlusion` from an occluder, which serves any number of images.

    Args:
        occluder: The network, prepared for one size of image and window.

    The other arguments are those of `occlusion`.

    Raises:
        ValueError: As `occlusion`.
        IndexError: As `occlusion`.

    Examples:
        >>> import torch
        >>> from auditor import methods
        >>> _ = torch.manual_seed(0)
        >>> images = torch.rand(2, 3, 16, 16)
        >>> occluder = methods.Occluder(lambda images: images.sum((2, 3)), images, window=4, stride=4)
        >>> found = methods.occlude(occluder, images, [0, 2], score="logit")  # a class for each image
        >>> found.attribution.shape
        torch.Size([2, 16, 16])
    """
    if score not in get_args(Score):
        raise ValueError(f"score is {score!r}, but has to be 'probability', 'sigmoid' or 'logit'")
    refuse_no_images(images)
    if score != "probability" and occluder.gives_probabilities:
        message = "the scores are probabilities, and their softmax is hidden: logits are the logarithms of these"
        warnings.warn(message, stacklevel=2)
    if tuple(images.shape[2:]) != occluder.windows.image:
        raise ValueError(f"the images are {list(images.shape)}, but the occluder is for {occluder.windows.image}")
    targets, filling = classes_of(target, images=len(images)).indices, filling_of(fill, images)
    found = [
        table(occluder, image, cut, classes, seen)
        for image, cut, classes in zip(images.split(1), filling.split(1), targets, strict=True)
    ]
    both = Table.stacked([one for one, _ in found])
    return _map(occluder, both.clean(), both.filled(), [channel for _, channel in found], score)


def filling_of(fill: Fill, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Return the images from which windows are cut.

    Raises:
        ValueError: `fill` is not a number, one number per channel, an image, or one image for each image.
    """
    try:
        values = torch.as_tensor(fill, dtype=images.dtype, device=images.device).detach()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"fill is {fill!r}, but has to be a number, one per channel, or an image") from None
    channels = values[:, None, None] if values.ndim == 1 else values
    if values.ndim == 2 or channels.ndim > 4 or (values.ndim == 1 and len(values) != images.shape[1]):
        raise ValueError(_unfit(values, images))
    if values.ndim > 2 and values.shape not in (images.shape[1:], images.shape):
        raise ValueError(_unfit(values, images))
    return channels.expand_as(images)


def _unfit(fill: Tensor, images: Tensor) -> str:
    return (
        f"fill has the shape {list(fill.shape)}, but has to be a number, {images.shape[1]} numbers, one per channel, "
        f"or an image {list(images.shape[1:])} or {list(images.shape)}"
    )


def _map(occluder: Occluder, clean: Table, filled: Table, channels: list[int], score: Score) -> OcclusionMap:
    rows, cols = occluder.windows.grid

    def dropped(before: Tensor, after: Tensor) -> Tensor:  # [n, k], [n, windows, k]
        return (before[:, None] - after).transpose(1, 2).reshape(-1, rows, cols)

    values = clean.value(score)
    drop = dropped(values, filled.value(score))
    responses = filled.response.unflatten(1, (rows, cols))
    most_active = torch.tensor(channels, device=responses.device)
    return OcclusionMap(
        drop=drop,
        logit_drop=dropped(clean.logit, filled.logit),
        predicted=filled.predicted.unflatten(1, (rows, cols)),
        attribution=occluder.windows.spread(drop),
        clean=values.flatten(),
        clean_logit=clean.logit.flatten(),
        feature=Feature(occluder.layer, most_active, clean.response, responses) if occluder.layer else None,
        windows=occluder.windows,
        how=occluder.how,
    )

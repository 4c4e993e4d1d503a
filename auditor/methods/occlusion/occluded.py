"""How much the score falls when a window of the image is filled.

M. D. Zeiler, R. Fergus: Visualizing and Understanding Convolutional Networks. ECCV 2014, section 4.2.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from auditor.methods.attribution.forward_pass import Model
from auditor.methods.attribution.targets import classes_of
from auditor.methods.occlusion.occluder import How, Occluder, refuse_no_images
from auditor.methods.occlusion.score_table import Table, table
from auditor.methods.occlusion.windows import Size, Windows

Fill = float | Sequence[float] | Tensor
Score = Literal["probability", "logit"]


@dataclass(frozen=True, eq=False)
class Feature:
    """The last maps of features, and in each image the one that is most active.

    Attributes:
        channels: By the sum over its places in the clean image.
        responses: That sum with each window filled.
    """

    layer: str
    channels: Int64[Tensor, " n"]
    clean: Float[Tensor, " n"]
    responses: Float[Tensor, "n rows cols"]


@dataclass(frozen=True, eq=False)
class OcclusionMap:
    """What the windows did; `m` counts image by image the classes asked about in each.

    Attributes:
        drop: The score of the clean image less that with the window filled.
        logit_drop: The same for the score before softmax; where the model gives probabilities and what made them
            is hidden, for the logarithm of the probability.
        predicted: The most probable class with the window filled.
        attribution: For each pixel the mean drop over the windows that cover it; 0 where none does.
        clean: The score of the clean image.
        clean_logit: The same before softmax, or the logarithm of the probability, as above.
        feature: The most active feature map by position; None where the network's graph is not known.
        windows: Where the windows lie.
        how: How the scores were computed.
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
    """Fill a window of the images at each position of a grid, and see what becomes of the score.

        found = occlusion(model, images, 281, window=32, stride=16)
        found.attribution                                    # [n, h, w]: where the score came from
        occlusion(model, images[:1], [281, 5], window=(40, 20), stride=8, fill=grey)    # two maps

    Positions are 0, stride, 2 strides, ...; the last row and column of windows end at the border. A further class
    costs no further passes. Scores that are probabilities already are taken as such, and logits are then what feeds
    the softmax; where that can't be found they are logarithms of the probabilities, which a warning tells.

    Args:
        target: A class for all images, one or several for each (`[n]`, `[n, k]`), or several for a single image.
        window: Pixels: one number, or rows and columns.
        stride: The same; one larger than the window leaves pixels between windows that none covers.
        fill: In the images' own values: a number, one number a channel, or an image of which the windows are cut
            (`[c, h, w]` for all, or `[n, c, h, w]`).
        score: What `drop`, `clean` and `attribution` are about; the logit is the score before softmax.
        incremental: Compute only what a window changes, where that is possible and saves something.
        memory: Bytes that may be used beside the network's parameters.
        seen: Is told how many windows are done since it was last called.

    Raises:
        ValueError: The images are no images, the window, stride or fill does not fit them, the target fits neither
            the images nor the network, there is no memory, or the model gives no scores `[n, k]`.
        IndexError: A class does not exist.
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
    """Do what `occlusion` does with a network that is ready, for as many images as there are.

    Raises:
        ValueError, IndexError: As `occlusion`.
    """
    if score not in ("probability", "logit"):
        raise ValueError(f"score is {score!r}, but has to be 'probability' or 'logit'")
    refuse_no_images(images)
    if score == "logit" and occluder.gives_probabilities:
        message = "the scores are probabilities, and what made them is hidden: logits are the logarithms of these"
        warnings.warn(message, stacklevel=2)
    if tuple(images.shape[2:]) != occluder.windows.image:
        raise ValueError(f"the images are {list(images.shape)}, but this was made for {occluder.windows.image}")
    asked, filling = classes_of(target, images=len(images)).indices, filling_of(fill, images)
    found = [
        table(occluder, image, cut, classes, seen)
        for image, cut, classes in zip(images.split(1), filling.split(1), asked, strict=True)
    ]
    both = Table.stacked([one for one, _ in found])
    return _map(occluder, both.clean(), both.filled(), [channel for _, channel in found], score)


def filling_of(fill: Fill, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Return the images of which windows are cut.

    Raises:
        ValueError: `fill` is neither a number, nor one a channel, nor an image, nor one for each image.
    """
    try:
        values = torch.as_tensor(fill, dtype=images.dtype, device=images.device).detach()
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"fill is {fill!r}, but has to be numbers: one, one a channel, or an image") from None
    channels = values[:, None, None] if values.ndim == 1 else values
    if values.ndim == 2 or channels.ndim > 4 or (values.ndim == 1 and len(values) != images.shape[1]):
        raise ValueError(_unfit(values, images))
    if values.ndim > 2 and values.shape not in (images.shape[1:], images.shape):
        raise ValueError(_unfit(values, images))
    return channels.expand_as(images)


def _unfit(fill: Tensor, images: Tensor) -> str:
    return (
        f"fill has the shape {list(fill.shape)}, but has to be a number, {images.shape[1]} numbers, one a channel, "
        f"or an image {list(images.shape[1:])} or {list(images.shape)}"
    )


def _map(occluder: Occluder, clean: Table, filled: Table, channels: list[int], score: Score) -> OcclusionMap:
    rows, cols = occluder.windows.grid

    def dropped(before: Tensor, after: Tensor) -> Tensor:  # [n, k], [n, windows, k]
        return (before[:, None] - after).transpose(1, 2).reshape(-1, rows, cols)

    values, others = (clean.probability, filled.probability) if score == "probability" else (clean.logit, filled.logit)
    drop = dropped(values, others)
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

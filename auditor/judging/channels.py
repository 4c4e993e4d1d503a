"""Judge layer by layer how many channels have a defect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.language import _, joined, many, some
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.model.layers import Layer

Channels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Wording:
    """The sentences about one defect of channels, in the language that is spoken.

    Attributes:
        found: Says how many of a layer's channels have the defect, from `count`, `channels` and `images`.
        worst: Says the same of the layer with the largest share, where no layer has too many.
        too_few: Says that `images` images are too few, since under `few` nothing is judged.
        advice: Says what to do about them.
        bound: Says what `images` images prove about such a channel; None if they prove nothing.
    """

    found: Callable[[int, int, int], str]
    worst: Callable[[int, int, int], str]
    too_few: Callable[[int, int], str]
    advice: Callable[[], str]
    bound: Callable[[int], str] | None = None


def by_layer(
    rule: str,
    found: Mapping[Layer, Channels],
    wording: Wording,
    *,
    images: int,
    few: int,
    warn: float,
    fail: float | None = None,
) -> Iterator[Finding]:
    """Judge each layer by its share of defective channels; if no share is over the limit, report the largest.

    Args:
        found: The defective channels by layer, of at least one layer.
        images: Number of images seen.
        few: Number of images under which nothing is judged.
        warn, fail: Shares of a layer's channels over which the audit warns or fails.
    """
    if images < few:
        yield Finding(rule, Verdict.SKIP, wording.too_few(images, few))
        return
    shares = {layer: len(channels) / layer.channels for layer, channels in found.items()}
    for layer in [layer for layer in found if shares[layer] > warn] or [max(found, key=shares.__getitem__)]:
        verdict = at_most(shares[layer], warn=warn, fail=fail)
        message = wording.found if verdict > Verdict.PASS else wording.worst
        yield Finding(
            rule,
            verdict,
            message(len(found[layer]), layer.channels, images),
            subject=layer.name,
            value=shares[layer],
            limit=fail if verdict is Verdict.FAIL else warn,
            n=images,
            detail=joined(*_details(wording, verdict, found[layer], images)),
            channels=tuple(found[layer].tolist()) if verdict > Verdict.PASS else (),
        )


def listed(advice: str, channels: Channels) -> str:
    """Return an advice and the channels that it is about."""
    return _("{advice} Channels: {channels}.", advice=advice, channels=some(channels.tolist()))


def _details(wording: Wording, verdict: Verdict, channels: Channels, images: int) -> Iterator[str]:
    if len(channels) and wording.bound:
        yield wording.bound(images)
    if verdict > Verdict.PASS:
        yield listed(wording.advice(), channels)


def _dead(count: int, channels: int, images: int) -> str:
    return many(
        "{count} of {channels} channels is dead: no activation on any of {images} images",
        "{count} of {channels} channels are dead: no activation on any of {images} images",
        count,
        channels=channels,
        images=images,
    )


def _most_dead(count: int, channels: int, images: int) -> str:
    if not count:
        return _("no channel is dead: all are active on some of {images} images", images=images)
    return many(
        "at most {count} of {channels} channels of a layer is dead: no activation on any of {images} images",
        "at most {count} of {channels} channels of a layer are dead: no activation on any of {images} images",
        count,
        channels=channels,
        images=images,
    )


def _too_few_for_dead(images: int, few: int) -> str:
    return many(
        "{count} image is too few to call a channel dead ({few} needed)",
        "{count} images are too few to call a channel dead ({few} needed)",
        images,
        few=few,
    )


def _about_dead() -> str:
    return _(
        "Dead channels add nothing to any prediction. Train with a lower learning rate, another initialisation or a "
        "leaky rectifier."
    )


def _rate_of_dead(images: int) -> str:
    return _(
        "Activation rate of a dead channel: below {bound:.1%} (95 % confidence, n = {images}).",
        bound=methods.never(images),
        images=images,
    )


DEAD = Wording(_dead, _most_dead, _too_few_for_dead, _about_dead, _rate_of_dead)

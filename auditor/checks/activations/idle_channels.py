"""Judge the channels that carry no information about the image: dead ones and constant ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auditor.judging.channels import DEAD, Channels, listed
from auditor.language import _, chained, joined, many, some
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.collectors import ChannelStatistics
    from auditor.model.layers import Layer

_FEW_WHOLE = 300  # a unit that is active on none of them is active on less than 1 % of such images


@dataclass(frozen=True, slots=True)
class Uninformative:
    """The channels of one layer that carry no information about the image.

    Attributes:
        dead: Channels without any activation.
        constant: Channels that have the same output everywhere on all images, and are not dead.
        enough: Whether there are enough images to call a channel dead. A unit that sees the whole image has one
            output an image, so that it needs more images than a channel of a map.
    """

    layer: Layer
    dead: Channels
    constant: Channels
    enough: bool = True

    @classmethod
    def of(cls, seen: ChannelStatistics, layer: Layer) -> Uninformative:
        enough = not layer.whole or seen.images >= _FEW_WHOLE
        dead = seen.dead(layer) if enough else np.array([], np.int64)
        return cls(layer, dead, np.setdiff1d(seen.constant(layer), dead), enough)

    @property
    def channels(self) -> tuple[int, ...]:
        """All of them, in their order."""
        return tuple(np.union1d(self.dead, self.constant).tolist())

    @property
    def larger(self) -> float:
        """The share of the layer's channels that are dead, or that are constant: the larger of the two."""
        return max(len(self.dead), len(self.constant)) / self.layer.channels

    def judged(self, warn: float, fail: float) -> tuple[Verdict, float, float]:
        """Return the verdict, the share that decides it, and the limit of that share."""
        dead, constant = (len(own) / self.layer.channels for own in (self.dead, self.constant))
        together = constant if self.layer.whole else dead + constant
        if together > fail:
            return Verdict.FAIL, together, fail
        if self.layer.whole and (dead > fail or constant <= warn < dead):
            return at_most(dead, warn=fail), dead, fail
        share = constant if self.layer.whole and constant > warn else self.larger
        return at_most(share, warn=warn), share, warn


def idle_findings(
    rule: str, found: Sequence[Uninformative], *, images: int, few: int, warn: float, fail: float
) -> Iterator[Finding]:
    """Report each layer in which too many channels carry no information; if there is none, report the worst.

    A failure depends on dead and constant channels together, since both leave less of the layer. A warning depends on
    each kind by itself: a dead channel is no evidence of constant ones, nor the reverse. In a layer whose units see
    the whole image, up to a third of the units may be dead from the initialisation on. In such a layer only a share of
    dead units over `fail` is a warning.

    Args:
        found: At least one layer.
        images: Number of images seen.
        few: Number of images under which nothing is judged.
        warn: Share of the channels of one kind over which the audit warns.
        fail: Share of the channels of both kinds over which the audit fails.
    """
    if images < few:
        yield Finding(rule, Verdict.SKIP, DEAD.too_few(images, few))
        return
    yield from _not_judged(rule, [one.layer for one in found if not one.enough], images)
    bad = [one for one in found if one.judged(warn, fail)[0] > Verdict.PASS]
    for one in bad or sorted((one for one in found if one.enough), key=lambda one: -one.larger)[:1]:
        verdict, value, limit = one.judged(warn, fail)
        yield Finding(
            rule,
            verdict,
            _message(one, images) if verdict > Verdict.PASS else _worst(one, images),
            subject=one.layer.name,
            value=value,
            limit=limit,
            n=images,
            detail=joined(*_details(one, verdict, images)),
            channels=one.channels if verdict > Verdict.PASS else (),
        )


def _not_judged(rule: str, layers: Sequence[Layer], images: int) -> Iterator[Finding]:
    if layers:
        detail = _("Layers with one output an image: {layers}.", layers=some(layer.name for layer in layers))
        message = DEAD.too_few(images, _FEW_WHOLE)
        yield Finding(rule, Verdict.SKIP, message, subject=layers[0].name, n=images, detail=detail)


def _message(one: Uninformative, images: int) -> str:
    channels = one.layer.channels
    dead, constant = DEAD.found(len(one.dead), channels, images), _constant(len(one.constant), channels, images)
    return chained(*([dead] if len(one.dead) else []), *([constant] if len(one.constant) else []))


def _constant(count: int, channels: int, images: int) -> str:
    return many(
        "{count} of {channels} channels is constant: the same output on all {images} images",
        "{count} of {channels} channels are constant: the same output on all {images} images",
        count,
        channels=channels,
        images=images,
    )


def _worst(one: Uninformative, images: int) -> str:
    dead, constant, channels = len(one.dead), len(one.constant), one.layer.channels
    if constant <= dead:
        return DEAD.worst(dead, channels, images)
    return many(
        "at most {count} of {channels} channels of a layer is constant: the same output on all {images} images",
        "at most {count} of {channels} channels of a layer are constant: the same output on all {images} images",
        constant,
        channels=channels,
        images=images,
    )


def _details(one: Uninformative, verdict: Verdict, images: int) -> Iterator[str]:
    if len(one.dead) and DEAD.bound:
        yield DEAD.bound(images)
    if verdict <= Verdict.PASS:
        return
    if len(one.dead):
        yield listed(DEAD.advice(), one.dead)
    if len(one.constant):
        advice = _(
            "Constant channels carry no information. Look for a normalisation whose weights are zero, and for dead "
            "channels before it."
        )
        yield listed(advice, one.constant)

"""What is said of channels that tell nothing of the image: the silent ones, and those that give one number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from auditor import methods
from auditor.judging.channels import SILENT, Channels
from auditor.language import _, marked, some
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.collectors import ChannelStatistics
    from auditor.model.layers import Layer

_FEW_WHOLE = 300  # then what fires on none of them does so on less than one in a hundred
_SAME = marked(
    "What gives one number tells nothing of the image: look for a normalisation whose weights are zero, and for silent "
    "channels before it."
)


@dataclass(frozen=True, slots=True)
class Idle:
    """The channels of a layer that tell nothing of the image.

    Attributes:
        silent: Those that never fire.
        constant: Those that give one number throughout, and are not silent.
        told: Whether enough was seen to say which are silent. A place that sees all of the image fires for some images
            alone, where those of a map take many chances.
    """

    layer: Layer
    silent: Channels
    constant: Channels
    told: bool = True

    @classmethod
    def of(cls, seen: ChannelStatistics, layer: Layer) -> Idle:
        told = not layer.whole or seen.images >= _FEW_WHOLE
        silent = seen.dead(layer) if told else np.array([], np.int64)
        return cls(layer, silent, np.setdiff1d(seen.constant(layer), silent), told)

    @property
    def larger(self) -> float:
        """The share of the layer's channels that is silent, or that gives one number: the larger of the two."""
        return max(len(self.silent), len(self.constant)) / self.layer.channels

    def judged(self, warn: float, fail: float) -> tuple[Verdict, float, float]:
        """Return the verdict, the share that decides it, and that share's limit."""
        silent, constant = (len(own) / self.layer.channels for own in (self.silent, self.constant))
        together = constant if self.layer.whole else silent + constant
        if together > fail:
            return Verdict.FAIL, together, fail
        if self.layer.whole and (silent > fail or constant <= warn < silent):
            return at_most(silent, warn=fail), silent, fail
        share = constant if self.layer.whole and constant > warn else self.larger
        return at_most(share, warn=warn), share, warn


def idle_findings(
    rule: str, found: Sequence[Idle], *, images: int, few: int, warn: float, fail: float
) -> Iterator[Finding]:
    """Say of each layer in which too many channels tell nothing how many do not; where there is none, of the worst.

    What is left of a layer is judged by both kinds together. That there are too many of a kind to be chance is
    judged of each by itself: to be silent on some images is no sign of being the same on all, nor the reverse. Of
    layers that give one number an image up to a third may be silent from the first draw of the weights on: there only
    more silent ones than `fail` are a warning.

    Args:
        found: One layer at least.
        images: How many were seen.
        few: Images under which nothing is said.
        warn: Share of the channels of one kind over which the audit warns.
        fail: Share of the channels of both kinds over which it fails.
    """
    if images < few:
        yield Finding(rule, Verdict.SKIP, _(SILENT.too_few, images=images, few=few))
        return
    yield from _untold(rule, [one.layer for one in found if not one.told], images)
    bad = [one for one in found if one.judged(warn, fail)[0] > Verdict.PASS]
    for one in bad or sorted((one for one in found if one.told), key=lambda one: -one.larger)[:1]:
        verdict, value, limit = one.judged(warn, fail)
        yield Finding(
            rule,
            verdict,
            _told(one) if verdict > Verdict.PASS else _told_worst(one),
            subject=one.layer.name,
            value=value,
            limit=limit,
            n=images,
            detail=" ".join(_details(one, verdict, images)),
        )


def _untold(rule: str, layers: Sequence[Layer], images: int) -> Iterator[Finding]:
    if layers:
        reason, names = _(SILENT.too_few, images=images, few=_FEW_WHOLE), some(layer.name for layer in layers)
        detail = _("Of layers that give one number an image: {layers}", layers=names)
        yield Finding(rule, Verdict.SKIP, reason, subject=layers[0].name, n=images, detail=detail)


def _told(one: Idle) -> str:
    silent, constant, channels = len(one.silent), len(one.constant), one.layer.channels
    if not constant:
        return _(SILENT.count, count=silent, channels=channels)
    if not silent:
        return _(
            "{count} of the {channels} channels give one number throughout, on all images",
            count=constant,
            channels=channels,
        )
    return _(
        "of the {channels} channels {silent} stay silent, and {constant} give one number throughout, on all images",
        silent=silent,
        constant=constant,
        channels=channels,
    )


def _told_worst(one: Idle) -> str:
    silent, constant, channels = len(one.silent), len(one.constant), one.layer.channels
    if constant > silent:
        return _(
            "at most {count} of the {channels} channels give one number throughout, on all images",
            count=constant,
            channels=channels,
        )
    return _(SILENT.at_most if silent else SILENT.none, count=silent, channels=channels)


def _details(one: Idle, verdict: Verdict, images: int) -> Iterator[str]:
    if len(one.silent):
        yield _(SILENT.bound, images=images, bound=methods.never(images))
    if verdict <= Verdict.PASS:
        return
    if len(one.silent):
        yield _listed(_(SILENT.advice), one.silent)
    if len(one.constant):
        yield _listed(_(_SAME), one.constant)


def _listed(advice: str, channels: Channels) -> str:
    return _("{advice} Channels: {channels}.", advice=advice, channels=some(channels.tolist()))

"""What is said of channels that tell nothing of the image: the silent ones, and those that give one number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor import methods
from auditor.language import _, marked
from auditor.layer_findings import SILENT, Channels
from auditor.results import Finding, Verdict, at_most
from auditor.wording import some

if TYPE_CHECKING:
    from auditor.model.layers import Layer

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
    """

    layer: Layer
    silent: Channels
    constant: Channels

    @property
    def larger(self) -> float:
        """The share of the layer's channels that is silent, or that gives one number: the larger of the two."""
        return max(len(self.silent), len(self.constant)) / self.layer.channels

    @property
    def together(self) -> float:
        """The share of the layer's channels that is one or the other."""
        return (len(self.silent) + len(self.constant)) / self.layer.channels


def idle_findings(
    rule: str, found: Sequence[Idle], *, images: int, few: int, warn: float, fail: float
) -> Iterator[Finding]:
    """Say of each layer in which too many channels tell nothing how many do not; where there is none, of the worst.

    What is left of a layer is judged by both kinds together. That there are too many of a kind to be chance is
    judged of each by itself: to be silent on some images is no sign of being the same on all, nor the reverse.

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
    bad = [one for one in found if one.together > fail or one.larger > warn]
    for one in bad or [max(found, key=lambda one: one.larger)]:
        verdict = Verdict.FAIL if one.together > fail else at_most(one.larger, warn=warn)
        yield Finding(
            rule,
            verdict,
            _told(one) if verdict > Verdict.PASS else _told_worst(one),
            subject=one.layer.name,
            value=one.together if verdict is Verdict.FAIL else one.larger,
            limit=fail if verdict is Verdict.FAIL else warn,
            n=images,
            detail=" ".join(_details(one, verdict, images)),
        )


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

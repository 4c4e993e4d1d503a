"""Channels that something is wrong with, judged layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.language import _, marked, some
from auditor.results import Finding, Verdict, at_most

if TYPE_CHECKING:
    from auditor.model.layers import Layer

Channels = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of some channels of a layer: whole sentences, marked for translation.

    Attributes:
        count, at_most, none: `{count}` of the layer's `{channels}` channels do it, no more do, none does.
        too_few: `{images}` images, under `{few}`, can't tell.
        advice: What to do about them.
        bound: What is known of a channel that none of `{images}` images has moved: how rare `{bound}` is at the most.
        values: What else the sentences name.
    """

    count: str
    at_most: str
    none: str
    too_few: str
    advice: str
    bound: str = ""
    values: Mapping[str, object] = field(default_factory=dict)


SILENT = Told(
    count=marked("{count} of the {channels} channels stay silent on all images"),
    at_most=marked("at most {count} of the {channels} channels stay silent on all images"),
    none=marked("none of the {channels} channels stay silent on all images"),
    too_few=marked("{images} images are too few (under {few}) to say that channels stay silent on all images"),
    advice=marked(
        "They add nothing: a lower learning rate, another initialisation or a leaky rectifier keeps them alive."
    ),
    bound=marked(
        "A channel that is silent on all of {images} images fires on less than {bound:.1%} of such images (95 %)."
    ),
)


def silent_by_layer(
    rule: str, found: Mapping[Layer, Channels], *, images: int, few: int, warn: float, fail: float
) -> Iterator[Finding]:
    """Say of each layer that has too many channels that never fire how many; the arguments are those of `by_layer`."""
    return by_layer(rule, found, SILENT, images=images, few=few, warn=warn, fail=fail)


def by_layer(
    rule: str,
    found: Mapping[Layer, Channels],
    told: Told,
    *,
    images: int,
    few: int,
    warn: float,
    fail: float | None = None,
) -> Iterator[Finding]:
    """Say of each layer that has too many such channels how many, and where there is none, of the worst.

    Args:
        found: The channels by layer, of one layer at least.
        images: How many were seen.
        few: Images under which nothing is said.
        warn, fail: Shares of a layer's channels over which the audit warns or fails.
    """
    if images < few:
        yield Finding(rule, Verdict.SKIP, _(told.too_few, images=images, few=few, **told.values))
        return
    shares = {layer: len(channels) / layer.channels for layer, channels in found.items()}
    for layer in [layer for layer in found if shares[layer] > warn] or [max(found, key=shares.__getitem__)]:
        verdict, count = at_most(shares[layer], warn=warn, fail=fail), len(found[layer])
        message = told.none if not count else told.at_most if verdict <= Verdict.PASS else told.count
        yield Finding(
            rule,
            verdict,
            _(message, count=count, channels=layer.channels, **told.values),
            subject=layer.name,
            value=shares[layer],
            limit=fail if verdict is Verdict.FAIL else warn,
            n=images,
            detail=" ".join(_details(told, verdict, found[layer], images)),
        )


def _details(told: Told, verdict: Verdict, channels: Channels, images: int) -> Iterator[str]:
    if len(channels) and told.bound:
        yield _(told.bound, images=images, bound=methods.never(images))
    if verdict > Verdict.PASS:
        yield _("{advice} Channels: {channels}", advice=_(told.advice), channels=some(channels.tolist()))

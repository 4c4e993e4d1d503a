"""Channels that something is wrong with, judged layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from auditor.results import Finding, Verdict, at_most
from auditor.wording import some

if TYPE_CHECKING:
    from auditor.model.layers import Layer

Channels = NDArray[np.integer[Any]]


def silent_by_layer(
    rule: str, found: Mapping[Layer, Channels], *, images: int, few: int, warn: float, fail: float
) -> Iterator[Finding]:
    """Say of each layer that has too many channels that never fire how many; the arguments are those of `by_layer`."""
    return by_layer(
        rule,
        found,
        images=images,
        few=few,
        warn=warn,
        fail=fail,
        message="stay silent on all images",
        detail="They add nothing: a lower learning rate, another initialisation or a leaky rectifier keeps them alive.",
    )


def by_layer(
    rule: str,
    found: Mapping[Layer, Channels],
    *,
    images: int,
    few: int,
    warn: float,
    fail: float | None = None,
    message: str,
    detail: str,
) -> Iterator[Finding]:
    """Say of each layer that has too many such channels how many, and where there is none, of the worst.

    Args:
        found: The channels by layer, of one layer at least.
        images: How many were seen.
        few: Images under which nothing is said.
        warn, fail: Shares of a layer's channels over which the audit warns or fails.
        message: What these channels do, as in "stay silent on all images".
        detail: What to do about them.
    """
    if images < few:
        reason = f"{images} images are too few (under {few}) to say that channels {message}"
        yield Finding(rule, Verdict.SKIP, reason)
        return
    shares = {layer: len(channels) / layer.output[0] for layer, channels in found.items()}
    for layer in [layer for layer in found if shares[layer] > warn] or [max(found, key=shares.__getitem__)]:
        verdict, count = at_most(shares[layer], warn=warn, fail=fail), len(found[layer])
        told = f"at most {count}" if count and verdict <= Verdict.PASS else count or "none"
        yield Finding(
            rule,
            verdict,
            f"{told} of the {layer.output[0]} channels {message}",
            subject=layer.name,
            value=shares[layer],
            limit=fail if verdict is Verdict.FAIL else warn,
            n=images,
            detail=f"{detail} Channels: {some(found[layer].tolist())}" if verdict > Verdict.PASS else "",
        )

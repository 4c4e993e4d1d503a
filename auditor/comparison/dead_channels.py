"""Channels that were active in the baseline and are dead now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.comparison.pair import Pair
from auditor.language import _, many, some
from auditor.results import Audit, Finding, LayerFacts, Table, Verdict

_LISTED = 24  # channels of a layer


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer of both networks: its channels, and which of them are dead before and after."""

    name: str
    channels: int
    before: frozenset[int]
    after: frozenset[int]

    @property
    def newly_dead(self) -> list[int]:
        return sorted(self.after - self.before)

    @property
    def newly_active(self) -> list[int]:
        return sorted(self.before - self.after)

    @property
    def increase(self) -> float:
        """Share of the layer's channels by which the dead ones have become more; negative if they are fewer."""
        return (len(self.after) - len(self.before)) / self.channels


def dead(pair: Pair, dead_warn: float, few: int) -> Iterator[Finding | Table]:
    """Compare the dead channels layer by layer.

    Args:
        pair: The baseline and the audit that is compared with it.
        dead_warn: Increase, as a share of a layer's channels, over which the comparison warns.
        few: Number of images under which no channel is called dead.
    """
    rule, n = "baseline.dead", pair.after.audit.provenance.data.images
    if reason := _missing(*pair.audits, few):
        yield Finding(rule, Verdict.SKIP, reason)
        return
    layers = _layers(*pair.audits)
    if not layers:
        yield Finding(rule, Verdict.SKIP, _("the two networks share no layer of the same name and number of channels"))
        return
    worse = [layer for layer in layers if layer.increase > dead_warn]
    for layer in worse:
        yield _more_dead(layer, dead_warn, n)
    if not worse:
        yield _as_before(layers, dead_warn, n)
    if changed := [layer for layer in layers if layer.before != layer.after]:
        yield _table(changed)


def _missing(before: Audit, after: Audit, few: int) -> str:
    if not after.recorded.silent:
        return _("no dead channels were recorded: run the check activations too")
    if not before.recorded.silent:
        return _("the baseline has no record of dead channels: audit it again with the check activations")
    images = min(audit.provenance.data.images for audit in (before, after))
    if images >= few:
        return ""
    return many(
        "{count} image is too few to call a channel dead; at least {few} are needed",
        "{count} images are too few to call a channel dead; at least {few} are needed",
        images,
        few=few,
    )


def _layers(before: Audit, after: Audit) -> list[_Layer]:
    """Return the layers that both networks have, with the same name and number of channels."""
    dead_before, dead_after = before.recorded.silent, after.recorded.silent
    old, new = _channels(before.provenance.architecture.layers), _channels(after.provenance.architecture.layers)
    return [
        _Layer(name, new.get(name, 0), frozenset(dead_before[name]), frozenset(dead_after[name]))
        for name in dead_after
        if name in dead_before and new.get(name, 0) == old.get(name)
    ]


def _channels(layers: Sequence[LayerFacts]) -> dict[str, int]:
    return {layer.name: layer.output[0] for layer in layers if layer.output}


def _more_dead(layer: _Layer, dead_warn: float, n: int) -> Finding:
    return Finding(
        "baseline.dead",
        Verdict.WARN,
        _(
            "{after} of {n} channels are dead, before {before}",
            before=len(layer.before),
            n=layer.channels,
            after=len(layer.after),
        ),
        subject=layer.name,
        value=layer.increase,
        limit=dead_warn,
        n=n,
        detail=_("Newly dead channels: {channels}", channels=some(layer.newly_dead, _LISTED)),
    )


def _as_before(layers: Sequence[_Layer], dead_warn: float, n: int) -> Finding:
    died, revived = (sum(len(layer.newly_dead) for layer in layers), sum(len(layer.newly_active) for layer in layers))
    return Finding(
        "baseline.dead",
        Verdict.PASS,
        _(
            "none of {n} layers has many more dead channels than before ({died} newly dead, {revived} active again)",
            n=len(layers),
            died=died,
            revived=revived,
        ),
        value=max(layer.increase for layer in layers),
        limit=dead_warn,
        n=n,
    )


def _table(changed: Sequence[_Layer]) -> Table:
    return Table(
        _("Newly dead channels"),
        _(
            "Layers in which a channel died or became active again. Channels are identified by their number, which is "
            "comparable only if one network was made from the other. For networks trained independently, compare the "
            "counts."
        ),
        (_("layer"), _("channels"), _("dead before"), _("dead now"), _("newly dead")),
        tuple(
            (layer.name, layer.channels, len(layer.before), len(layer.after), some(layer.newly_dead, _LISTED))
            for layer in changed
        ),
    )

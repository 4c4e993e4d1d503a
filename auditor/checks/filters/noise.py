"""What is said of layers that may never have been trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.language import (
    _,
    chained,
    headed,
    marked,
    numeral,
    some,
)
from auditor.methods.layers.initialisation import FEWEST, obstacle
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from torch import nn

    from auditor.methods import Freshness

_RULE, _UNIT = "filters.noise", marked("sd")
_LISTED = 8
_NEVER_TRAINED = marked(
    "Was the layer trained? It may be frozen, left out of the optimizer, or not reached by gradients; or training has "
    "changed it too little to show."
)


@dataclass(frozen=True, slots=True)
class Origin:
    """How far the kernels of a convolution, `[k, c, h, w]`, are from fresh draws.

    Attributes:
        fresh: None where they can't tell.
        obstacle: Why they can't.
        drawn: They are too few for that, and all are what PyTorch draws by default.
    """

    name: str
    kernels: NDArray[np.float32]
    fresh: Freshness | None
    obstacle: str
    drawn: bool

    @classmethod
    def of(cls, name: str, kernels: NDArray[np.float32]) -> Origin:
        if untold := obstacle(kernels):
            return cls(name, kernels, None, untold, methods.drawn_by_default(kernels))
        return cls(name, kernels, methods.freshness(kernels), "", drawn=False)

    @property
    def count(self) -> int:
        return len(self.kernels)


def noise_findings(layers: Sequence[Origin], limit: float, *, knows: bool) -> Iterator[Finding]:
    """Say which convolutions can't be told from fresh draws; those of few weights, only if they are PyTorch's.

    Args:
        limit: Standard deviations up to which a layer counts as fresh.
        knows: The network answers so well that it has been trained, however little its kernels show of it.
    """
    judged = [(layer, layer.fresh) for layer in layers if layer.fresh]
    drawn = [layer for layer in layers if layer.drawn]
    untold = {layer.name: layer.obstacle for layer in layers if not layer.fresh and not layer.drawn}
    left_out = _("Not judged: {layers}", layers=_listed(untold)) if untold else ""
    if not judged and not drawn:
        message = _("no layer has enough to tell it from fresh draws ({fewest} weights, all finite)", fewest=FEWEST)
        yield Finding(_RULE, Verdict.SKIP, message, detail=left_out)
        return
    noise = [(layer, fresh) for layer, fresh in judged if fresh.distance <= limit]
    whole = len(noise) == len(judged) and len(noise) + len(drawn) > 1
    if not noise and not drawn:
        yield _none(judged, limit, left_out)
    elif whole and not knows:
        yield _all(layers, noise, limit, left_out)
    else:
        yield from _some(noise, len(judged), limit)
        yield from _as_drawn([(layer.name, layer.kernels) for layer in drawn])


def _none(judged: Sequence[tuple[Origin, Freshness]], limit: float, left_out: str) -> Finding:
    nearest, fresh = min(judged, key=lambda one: one[1].distance)
    message = _(
        "none of {layers} layers looks like fresh draws; {layer} comes nearest", layers=len(judged), layer=nearest.name
    )
    n = sum(layer.count for layer, found in judged)
    return Finding(_RULE, Verdict.PASS, message, value=fresh.distance, limit=limit, unit=_UNIT, n=n, detail=left_out)


def _all(layers: Sequence[Origin], noise: Sequence[tuple[Origin, Freshness]], limit: float, left_out: str) -> Finding:
    fresh = [layer for layer in layers if layer.drawn or layer.fresh]
    suspect = _(
        "Is it the file that training wrote, and was training's network the one that was saved? Layers: {layers}.",
        layers=some(layer.name for layer in fresh),
    )
    return Finding(
        _RULE,
        Verdict.FAIL,
        _(
            "the kernels of all {layers} layers look like fresh draws: nothing shows that the network was trained",
            layers=len(fresh),
        ),
        value=max((found.distance for layer, found in noise), default=0.0),
        limit=limit,
        unit=_UNIT,
        n=sum(layer.count for layer in fresh),
        detail=f"{suspect} {left_out}".strip(),
    )


def _some(noise: Sequence[tuple[Origin, Freshness]], judged: int, limit: float) -> Iterator[Finding]:
    """Say it of one layer with its numbers; of several together, as one training that is too short leaves many."""
    if len(noise) == 1:
        yield _untrained(*noise[0], limit)
    elif noise:
        message = _("the kernels of {count} of {judged} layers look like fresh draws", count=len(noise), judged=judged)
        yield Finding(
            _RULE,
            Verdict.WARN,
            message,
            subject=noise[0][0].name,
            value=max(fresh.distance for layer, fresh in noise),
            limit=limit,
            unit=_UNIT,
            n=sum(layer.count for layer, fresh in noise),
            detail=_(
                "{question} Layers: {layers}.",
                question=_(_NEVER_TRAINED),
                layers=some(layer.name for layer, fresh in noise),
            ),
        )


def linear_findings(module: nn.Module) -> Iterator[Finding]:
    """Say which linear layers are what PyTorch draws; others can't be told from trained ones by their weights."""
    linear = [(name, layer.weight) for name, layer in module.named_modules() if type(layer).__name__ == "Linear"]
    rows = [(name, weight.detach().float().cpu().numpy()) for name, weight in linear if weight is not None]
    yield from _as_drawn([(name, weight) for name, weight in rows if methods.drawn_by_default(weight)])


def _as_drawn(drawn: Sequence[tuple[str, NDArray[np.float32]]]) -> Iterator[Finding]:
    """Say it of the first of such layers, and name the others."""
    if not drawn:
        return
    name, weights = drawn[0]
    bound = methods.default_bound(weights)
    yield Finding(
        _RULE,
        Verdict.WARN,
        _(
            "all {n} weights lie between ±{bound:.4f} and are spread evenly there, as PyTorch draws those of a new "
            "layer",
            n=weights.size,
            bound=bound,
        ),
        subject=name,
        value=float(np.abs(weights).max()),
        limit=bound,
        n=weights.size,
        detail=_also([other for other, _weights in drawn[1:]]),
    )


def _also(others: Sequence[str]) -> str:
    if not others:
        return _(_NEVER_TRAINED)
    return _("{question} So are those of: {layers}.", question=_(_NEVER_TRAINED), layers=some(others))


def _untrained(layer: Origin, fresh: Freshness, limit: float) -> Finding:
    count = layer.count
    return Finding(
        _RULE,
        Verdict.WARN,
        _(
            "all {n} filters look like fresh draws: their variance entropy is {entropy:.4f}, that of draws "
            "{draws:.4f} or more, and nothing else sets them apart",
            n=count,
            entropy=fresh.entropy,
            draws=fresh.lowest_draw(limit),
        ),
        subject=layer.name,
        value=fresh.distance,
        limit=limit,
        unit=_UNIT,
        n=count,
        detail=_(_NEVER_TRAINED),
    )


def distances(layers: Sequence[Origin], limit: float) -> Iterator[Table]:
    """Show how far each convolution is from fresh draws, where that can be told of any."""
    if not any(layer.fresh for layer in layers):
        return
    rows = []
    for layer in layers:
        if fresh := layer.fresh:
            bounds = (fresh.entropy, fresh.lowest_draw(limit), _published(layer))
            measures = (
                fresh.spectrum,
                fresh.inputs,
                fresh.outputs,
                fresh.tails,
                fresh.neighbours,
                fresh.edge,
                fresh.centre,
            )
            numbers = (*(b and numeral(b, ".4f") for b in bounds), *(numeral(m, ".1f") for m in measures))
            rows.append((layer.name, *numbers, _("yes") if fresh.distance <= limit else _("no")))
        else:
            rows.append((layer.name, *(None,) * 10, _("not judged")))
    yield Table(
        _("Distance from fresh draws"),
        _(
            "The variance entropy of a layer's kernels, the lowest that fresh draws of its shape reach, and T(n), the "
            "limit published for 3 x 3 kernels. Then how far spectrum (of which that is the entropy), inputs, "
            "outputs, tails, neighbours in a kernel, edge and mean of the weights are from fresh draws, in standard "
            "deviations (sd). A layer with none over {limit:g} looks fresh.",
            limit=limit,
        ),
        (
            _("layer"),
            _("entropy"),
            _("draws"),
            "T(n)",
            _("spectrum"),
            _("inputs"),
            _("outputs"),
            _("tails"),
            _("neighbours"),
            _("edge"),
            _("mean"),
            _("fresh"),
        ),
        tuple(rows),
    )


def _published(layer: Origin) -> float | None:
    k, c, *size = layer.kernels.shape
    return methods.published_limit(k * c) if size == [3, 3] else None


def _listed(reasons: Mapping[str, str]) -> str:
    return chained(*(headed(name, reason) for name, reason in list(reasons.items())[:_LISTED]))

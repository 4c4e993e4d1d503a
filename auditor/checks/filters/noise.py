"""Judge which layers are indistinguishable from random initialisation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from auditor import methods
from auditor.language import _, chained, headed, joined, many, marked, numeral, some
from auditor.methods.layers.initialisation import FEWEST, obstacle
from auditor.model.convolutions import kind_of
from auditor.results import Finding, Table, Verdict

if TYPE_CHECKING:
    from torch import nn

    from auditor.methods import Freshness

_RULE, _UNIT = "filters.noise", marked("sd")
_LISTED = 8
_NEVER_TRAINED = marked(
    "Check whether the layer was trained: it may be frozen, left out of the optimizer, or get no gradients. Or "
    "training has changed it too little to be visible."
)


@dataclass(frozen=True, slots=True)
class Randomness:
    """How far the kernels of a convolution are from random initialisation.

    Attributes:
        kernels: The kernels, `[k, c, h, w]`.
        freshness: The distances from random initialisation; None if the kernels allow no comparison.
        obstacle: Why they allow none; empty if they do.
        default: Whether the kernels allow no comparison, but are distributed as PyTorch's default initialisation.
    """

    name: str
    kernels: NDArray[np.float32]
    freshness: Freshness | None
    obstacle: str
    default: bool

    @classmethod
    def of(cls, name: str, kernels: NDArray[np.float32]) -> Randomness:
        """Measure the kernels of one layer."""
        if reason := obstacle(kernels):
            return cls(name, kernels, None, reason, methods.drawn_by_default(kernels))
        return cls(name, kernels, methods.freshness(kernels), "", default=False)

    @property
    def count(self) -> int:
        """The number of kernels."""
        return len(self.kernels)


Judged = Sequence[tuple[Randomness, "Freshness"]]


def noise_findings(layers: Sequence[Randomness], limit: float, *, trained: bool) -> Iterator[Finding]:
    """Report the convolutions that are indistinguishable from random initialisation.

    Args:
        limit: Standard deviations up to which a layer counts as random.
        trained: Whether the accuracy proves that the network was trained, whatever its kernels look like.
    """
    judged = [(layer, layer.freshness) for layer in layers if layer.freshness]
    default = [layer for layer in layers if layer.default]
    obstacles = {layer.name: layer.obstacle for layer in layers if not layer.freshness and not layer.default}
    left_out = _("Not judged: {layers}", layers=_by_name(obstacles)) if obstacles else ""
    if not judged and not default:
        message = _("no layer has at least {fewest} weights that are all finite", fewest=FEWEST)
        yield Finding(_RULE, Verdict.SKIP, message, detail=left_out)
        return
    random = [(layer, freshness) for layer, freshness in judged if freshness.distance <= limit]
    whole = len(random) == len(judged) and len(random) + len(default) > 1
    if not random and not default:
        yield _none(judged, limit, left_out)
    elif whole and not trained:
        yield _all(layers, random, limit, left_out)
    else:
        yield from _some(random, len(judged), limit)
        yield from _by_default([(layer.name, layer.kernels) for layer in default])


def _none(judged: Judged, limit: float, left_out: str) -> Finding:
    nearest, freshness = min(judged, key=lambda one: one[1].distance)
    message = many(
        "{layer}, the only layer that can be judged, is distinguishable from random initialisation",
        "none of {count} layers is indistinguishable from random initialisation; the nearest is {layer}",
        len(judged),
        layer=nearest.name,
    )
    n = sum(layer.count for layer, _freshness in judged)
    return Finding(
        _RULE, Verdict.PASS, message, value=freshness.distance, limit=limit, unit=_UNIT, n=n, detail=left_out
    )


def _all(layers: Sequence[Randomness], random: Judged, limit: float, left_out: str) -> Finding:
    untrained = [layer for layer in layers if layer.default or layer.freshness]
    advice = _(
        "Check whether training wrote this file, and whether it saved the network that it trained. Layers: {layers}.",
        layers=some(layer.name for layer in untrained),
    )
    return Finding(
        _RULE,
        Verdict.FAIL,
        _(
            "the filters of all {layers} layers are indistinguishable from random initialisation",
            layers=len(untrained),
        ),
        value=max((freshness.distance for _layer, freshness in random), default=0.0),
        limit=limit,
        unit=_UNIT,
        n=sum(layer.count for layer in untrained),
        detail=joined(advice, left_out),
    )


def _some(random: Judged, judged: int, limit: float) -> Iterator[Finding]:
    """Report a single layer with its numbers, several layers as one finding: a short training leaves many."""
    if len(random) == 1:
        yield _one(*random[0], limit)
    elif random:
        yield Finding(
            _RULE,
            Verdict.WARN,
            _(
                "the filters of {count} of {judged} layers are indistinguishable from random initialisation",
                count=len(random),
                judged=judged,
            ),
            subject=random[0][0].name,
            value=max(freshness.distance for _layer, freshness in random),
            limit=limit,
            unit=_UNIT,
            n=sum(layer.count for layer, _freshness in random),
            detail=_(
                "{advice} Layers: {layers}.",
                advice=_(_NEVER_TRAINED),
                layers=some(layer.name for layer, _freshness in random),
            ),
        )


def _one(layer: Randomness, freshness: Freshness, limit: float) -> Finding:
    return Finding(
        _RULE,
        Verdict.WARN,
        _(
            "all {n} filters are indistinguishable from random initialisation: variance entropy {entropy:.4f}, random "
            "filters have {lowest:.4f} or more",
            n=layer.count,
            entropy=freshness.entropy,
            lowest=freshness.lowest_draw(limit),
        ),
        subject=layer.name,
        value=freshness.distance,
        limit=limit,
        unit=_UNIT,
        n=layer.count,
        detail=_(_NEVER_TRAINED),
    )


def linear_findings(module: nn.Module) -> Iterator[Finding]:
    """Report the linear layers that are distributed as PyTorch's default initialisation.

    Other linear layers can't be distinguished from trained ones by their weights.
    """
    parts = [(name, layer) for name, layer in module.named_modules() if kind_of(layer) == "Linear"]
    linear = [(name, dict(layer.named_parameters(recurse=False)).get("weight")) for name, layer in parts]
    rows = [(name, weight.detach().float().cpu().numpy()) for name, weight in linear if weight is not None]
    yield from _by_default([(name, weight) for name, weight in rows if methods.drawn_by_default(weight)])


def _by_default(layers: Sequence[tuple[str, NDArray[np.float32]]]) -> Iterator[Finding]:
    """Report the first of such layers with its numbers, and name the others."""
    if not layers:
        return
    name, weights = layers[0]
    bound = methods.default_bound(weights)
    yield Finding(
        _RULE,
        Verdict.WARN,
        _(
            "all {n} weights are spread evenly between ±{bound:.4f}, as in PyTorch's default initialisation",
            n=weights.size,
            bound=bound,
        ),
        subject=name,
        value=float(np.abs(weights).max()),
        limit=bound,
        n=weights.size,
        detail=_and_others([other for other, _weights in layers[1:]]),
    )


def _and_others(others: Sequence[str]) -> str:
    if not others:
        return _(_NEVER_TRAINED)
    return _("{advice} The same holds for: {layers}.", advice=_(_NEVER_TRAINED), layers=some(others))


def distances(layers: Sequence[Randomness], limit: float) -> Iterator[Table]:
    """Tabulate how far each convolution is from random initialisation, if any allows a comparison."""
    if not any(layer.freshness for layer in layers):
        return
    yield Table(
        _("Distance from random initialisation"),
        _(
            "Variance entropy of a layer's kernels, the lowest entropy of random kernels of the same shape, and T(n), "
            "the limit published for 3 x 3 kernels. Then seven distances from random initialisation, in standard "
            "deviations (sd): spectrum (measured by the entropy), inputs, outputs, tails, neighbours in a kernel, edge "
            "and mean of the weights. A layer counts as untrained if none is over {limit:g}.",
            limit=limit,
        ),
        (
            _("layer"),
            _("entropy"),
            _("random"),
            "T(n)",
            _("spectrum"),
            _("inputs"),
            _("outputs"),
            _("tails"),
            _("neighbours"),
            _("edge"),
            _("mean"),
            _("untrained"),
        ),
        tuple(_row(layer, limit) for layer in layers),
    )


def _row(layer: Randomness, limit: float) -> tuple[str | None, ...]:
    found = layer.freshness
    if not found:
        return (layer.name, *(None,) * 10, _("not judged"))
    bounds = (found.entropy, found.lowest_draw(limit), _published(layer))
    measures = (found.spectrum, found.inputs, found.outputs, found.tails, found.neighbours, found.edge, found.centre)
    return (
        layer.name,
        *(None if bound is None else numeral(bound, ".4f") for bound in bounds),
        *(numeral(measure, ".1f") for measure in measures),
        _("yes") if found.distance <= limit else _("no"),
    )


def _published(layer: Randomness) -> float | None:
    k, c, *size = layer.kernels.shape
    return methods.published_limit(k * c) if size == [3, 3] else None


def _by_name(reasons: Mapping[str, str]) -> str:
    return chained(*(headed(name, reason) for name, reason in list(reasons.items())[:_LISTED]))

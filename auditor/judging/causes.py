"""Which findings follow from others, so that one defect is counted once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from auditor.judging.grounds import ANSWERS, WEIGHTS
from auditor.results import Evidence, Finding, Result, Verdict

_DEAD: Final = ("filters.dead", "activations.dead", "patches.dead")
_OF_CHANNELS: Final = {
    **{rule: _DEAD[: place + 1] for place, rule in enumerate(_DEAD)},
    "patches.duplicate": ("filters.duplicate",),
}
"""By rule about channels of a layer, the rules whose findings may be the cause, at the same layer or before."""

_OF_NETWORK: Final = {
    "checkpoint.unexpected": ("checkpoint.missing",),
    "checkpoint.shape": ("checkpoint.missing",),
    "predictions.accuracy": ("predictions.permuted", "preprocess.mismatch"),
    "predictions.nonfinite": ("weights.nonfinite",),
    "activations.nonfinite": ("weights.nonfinite",),
}

_UNFILLED: Final = ("checkpoint.missing", "checkpoint.shape")


def traced(results: Sequence[Result], aligned: Mapping[str, str]) -> tuple[Result, ...]:
    """Return the results; each finding that warns, fails or broke because of another one names it as its cause.

    What a check has said of its own findings is kept.

    Args:
        aligned: By layer, the layer before it whose channel of the same number is its only input.
    """
    bad = [f for result in results for f in result.findings if f.verdict >= Verdict.WARN]
    found = {id(one): _origin(one, bad, aligned) for one in bad}
    return tuple(replace(r, evidence=tuple(_with_cause(piece, found) for piece in r.evidence)) for r in results)


def _with_cause(piece: Evidence, found: Mapping[int, Finding | None]) -> Evidence:
    cause = found.get(id(piece))
    return replace(piece, causes=(cause.key,)) if cause and isinstance(piece, Finding) and not piece.causes else piece


def _origin(finding: Finding, bad: Sequence[Finding], aligned: Mapping[str, str]) -> Finding | None:
    """Return the finding from which the causes of this one begin; None if it has no cause."""
    origin, met = None, {id(finding)}
    current = finding
    while cause := next((one for one in bad if id(one) not in met and _follows(current, one, aligned)), None):
        origin = current = cause
        met.add(id(cause))
    return origin


def _follows(finding: Finding, cause: Finding, aligned: Mapping[str, str]) -> bool:
    if cause.rule in _UNFILLED:
        return _of_weights(finding, cause)
    if finding.channels:
        return cause.rule in _OF_CHANNELS.get(finding.rule, ()) and _of_channels(finding, cause, aligned)
    return cause.rule in _OF_NETWORK.get(finding.rule, ())


def _of_weights(finding: Finding, cause: Finding) -> bool:
    """Return whether tensors at random initialisation are why the file does not fit, or why the answers are wrong."""
    if finding.rule.startswith("checkpoint."):
        untrained = finding.rule == "checkpoint.batchnorm" and WEIGHTS in cause.ends
        return untrained or cause.rule in _OF_NETWORK.get(finding.rule, ())
    return finding.rule.startswith("predictions.") and ANSWERS in finding.ends and ANSWERS in cause.ends


def _of_channels(finding: Finding, cause: Finding, aligned: Mapping[str, str]) -> bool:
    """Return whether the finding would be within its limit without the channels of the cause."""
    if finding.subject == cause.subject:
        earlier = finding.rule != cause.rule
    else:
        earlier = cause.subject in _before(finding.subject, aligned)
    own = set(finding.channels) - set(cause.channels)
    if not earlier or len(own) == len(finding.channels):
        return False
    share = (finding.value or 0.0) * len(own) / len(finding.channels)
    return not own or (finding.limit is not None and share <= finding.limit)


def _before(layer: str, aligned: Mapping[str, str]) -> Iterable[str]:
    met = [layer]
    while (layer := aligned.get(layer, "")) and layer not in met:
        met.append(layer)
    return met[1:]

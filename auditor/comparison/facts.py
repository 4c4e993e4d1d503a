"""What else differs between two audits, so that nobody blames the network for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from auditor.comparison.pair import Pair
from auditor.report.node import encoded
from auditor.results import Audit, Finding, Table, Verdict
from auditor.wording import some

_HARMLESS = ("batch_size", "threads", "baseline", "plugins", "expression", "checks", "report")
"""Settings that change no finding by more than a tolerance, or only which there are."""


def data(pair: Pair) -> Iterator[Finding | Table]:
    """Say whether both audits are of the same images, treated in the same way."""
    before, after = pair.audits
    yield from _incomplete(pair)
    yield _images(before, after)
    yield _same(
        "preprocessing",
        _steps(before),
        _steps(after),
        Verdict.WARN,
        "every number may differ because of it",
    )
    yield _same(
        "classes", _classes(before), _classes(after), Verdict.WARN, "images are matched by the names of classes"
    )
    yield _same("network", _network(before), _network(after), Verdict.INFO, "")
    yield _same("settings", _settings(before), _settings(after), Verdict.INFO, "verdicts may differ because of it")
    yield _same("tools", _tools(before), _tools(after), Verdict.INFO, "")
    yield Table(
        "The two audits",
        "What is compared: the baseline, and the audit now.",
        ("fact", "baseline", "now"),
        tuple((name, *both) for name, *both in _facts(pair)),
    )


def _incomplete(pair: Pair) -> Iterator[Finding]:
    for name, audit in zip(("the baseline", "the audit now"), pair.audits, strict=True):
        if not audit.complete:
            message = f"{name} ended early: {some(audit.not_run, 4) or 'a check'} had no turn"
            yield Finding("baseline.data", Verdict.WARN, message, subject=name)


def _images(before: Audit, after: Audit) -> Finding:
    one, other = before.provenance.data, after.provenance.data
    about: dict[str, Any] = {"rule": "baseline.data", "subject": "images", "n": other.images}
    if not one.images or not other.images:
        return Finding(verdict=Verdict.SKIP, message="one of the audits is without images", **about)
    if one.fingerprint and one.fingerprint == other.fingerprint:
        return Finding(verdict=Verdict.PASS, message=f"both are audits of the same {other.images} images", **about)
    message = f"the images are not the same: {one.images} before, {other.images} now"
    detail = "Accuracy, calibration and explanations are compared on the images that both have; all else is not."
    return Finding(verdict=Verdict.WARN, message=message, detail=detail, **about)


def _same(subject: str, before: Mapping[str, Any], after: Mapping[str, Any], worst: Verdict, why: str) -> Finding:
    differing = [name for name in {**before, **after} if encoded(before.get(name)) != encoded(after.get(name))]
    if not differing:
        return Finding("baseline.data", Verdict.PASS, f"the {subject} {_are(subject)} the same", subject=subject)
    told = [f"{name}: {_short(before.get(name))} before, {_short(after.get(name))} now" for name in differing]
    return Finding(
        "baseline.data",
        worst,
        f"the {subject} {_are(subject)} not the same ({some(differing, 5)})" + (f": {why}" if why else ""),
        subject=subject,
        detail="\n".join(told[:12]),
    )


def _are(subject: str) -> str:
    return "are" if subject.endswith("s") else "is"


def _short(value: Any) -> str:
    text = "nothing" if value in (None, "", {}, []) else str(encoded(value))
    return text if len(text) <= 160 else f"{text[:160]}…"


def _steps(audit: Audit) -> dict[str, Any]:
    return {k: v for k, v in audit.provenance.preprocess.items() if k not in ("source", "assumed")}


def _classes(audit: Audit) -> dict[str, Any]:
    return {"names": audit.provenance.data.classes}


def _network(audit: Audit) -> dict[str, Any]:
    facts = audit.provenance.architecture
    layers = {layer.name: f"{layer.type} {' x '.join(map(str, layer.output))}".strip() for layer in facts.layers}
    return {"architecture": facts.name, "parameters": facts.parameters, **layers}


def _settings(audit: Audit) -> dict[str, Any]:
    chosen = {k: v for k, v in audit.provenance.settings.items() if k not in _HARMLESS and k not in ("arch", "options")}
    options = audit.provenance.settings.get("options")
    named = options if isinstance(options, Mapping) else {}
    each = {f"{c}.{o}": v for c, os in named.items() if isinstance(os, Mapping) for o, v in os.items()}
    return {**chosen, **each, "seed": audit.provenance.seed}


def _tools(audit: Audit) -> dict[str, Any]:
    return {**audit.provenance.versions, "device": audit.provenance.device}


def _facts(pair: Pair) -> Iterator[tuple[str, str, str]]:
    before, after = pair.before.told, pair.after.told
    for name in ("report", "checkpoint", "started"):
        yield name, before[name], after[name]
    yield "SHA-256", before["sha256"][:12], after["sha256"][:12]
    one, other = pair.audits
    yield "verdict", str(one.verdict), str(other.verdict)
    yield "images", f"{one.provenance.data.images:,}", f"{other.provenance.data.images:,}"

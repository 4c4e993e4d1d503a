"""What else differs between two audits, so that nobody blames the network for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.comparison.pair import Pair
from auditor.language import _, many, marked, some
from auditor.report.json_reader import encoded
from auditor.report.phrases import decimal, name_of
from auditor.results import Audit, Finding, Table, Verdict

_HARMLESS = ("batch_size", "threads", "baseline", "plugins", "expression", "checks", "report")
"""Settings that change no finding by more than a tolerance, or only which there are."""


def data(pair: Pair) -> Iterator[Finding | Table]:
    """Say whether both audits are of the same images, treated in the same way."""
    before, after = pair.audits
    yield from _incomplete(pair)
    yield _images(before, after)
    for name, of in _PARTS.items():
        yield _same(name, of(before), of(after))
    yield Table(
        _("The two audits"),
        _("What is compared: the baseline, and the audit now."),
        (_("fact"), _("baseline"), _("now")),
        tuple((name, *both) for name, *both in _facts(pair)),
    )


def _incomplete(pair: Pair) -> Iterator[Finding]:
    for name, audit in zip((_("the baseline"), _("the audit now")), pair.audits, strict=True):
        if not audit.complete:
            checks = some(audit.not_run, 4) or _("a check")
            message = _("{audit} ended early: {checks} had no turn", audit=name, checks=checks)
            yield Finding("baseline.data", Verdict.WARN, message, subject=name)


def _images(before: Audit, after: Audit) -> Finding:
    one, other = before.provenance.data, after.provenance.data
    about: dict[str, Any] = {"rule": "baseline.data", "subject": _("images"), "n": other.images}
    if not one.images or not other.images:
        return Finding(verdict=Verdict.SKIP, message=_("one of the audits is without images"), **about)
    if one.fingerprint and one.fingerprint == other.fingerprint:
        message = many(
            "both are audits of the same {count} image", "both are audits of the same {count} images", other.images
        )
        return Finding(verdict=Verdict.PASS, message=message, **about)
    message = _("the images are not the same: {before} before, {after} now", before=one.images, after=other.images)
    detail = _("Accuracy, calibration and explanations are compared on the images that both have; all else is not.")
    return Finding(verdict=Verdict.WARN, message=message, detail=detail, **about)


def _same(part: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Finding:
    told, subject = _TOLD[part], _(part)
    differing = [name for name in {**before, **after} if encoded(before.get(name)) != encoded(after.get(name))]
    if not differing:
        return Finding("baseline.data", Verdict.PASS, _(told.same), subject=subject)
    each = [
        _("{fact}: {before} before, {after} now", fact=n, before=_short(before.get(n)), after=_short(after.get(n)))
        for n in differing
    ]
    message = _(told.other, facts=some(differing, 5))
    return Finding("baseline.data", told.verdict, message, subject=subject, detail="\n".join(each[:12]))


def _short(value: Any) -> str:
    text = _("nothing") if value in (None, "", {}, []) else str(encoded(value))
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
    yield _("report"), before["report"], after["report"]
    yield _("checkpoint"), before["checkpoint"], after["checkpoint"]
    yield _("started"), before["started"], after["started"]
    yield "SHA-256", before["sha256"][:12], after["sha256"][:12]
    one, other = pair.audits
    yield _("verdict"), name_of(one.verdict), name_of(other.verdict)
    yield _("images"), decimal(one.provenance.data.images), decimal(other.provenance.data.images)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is said of a part of both audits; not translated yet."""

    same: str
    other: str
    verdict: Verdict = Verdict.INFO


_PARTS = {
    marked("preprocessing"): _steps,
    marked("classes"): _classes,
    marked("network"): _network,
    marked("settings"): _settings,
    marked("tools"): _tools,
}
_TOLD = {
    "preprocessing": _Told(
        marked("the preprocessing is the same"),
        marked("the preprocessing is not the same ({facts}): every number may differ because of it"),
        Verdict.WARN,
    ),
    "classes": _Told(
        marked("the classes are the same"),
        marked("the classes are not the same ({facts}): images are matched by the names of classes"),
        Verdict.WARN,
    ),
    "network": _Told(marked("the network is the same"), marked("the network is not the same ({facts})")),
    "settings": _Told(
        marked("the settings are the same"),
        marked("the settings are not the same ({facts}): verdicts may differ because of it"),
    ),
    "tools": _Told(marked("the tools are the same"), marked("the tools are not the same ({facts})")),
}

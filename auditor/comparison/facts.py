"""Differences between two audits other than the network: images, preprocessing, settings, tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.comparison.pair import Pair
from auditor.language import _, joined, many, marked, some
from auditor.report.json_reader import encoded
from auditor.report.phrases import decimal, name_of
from auditor.results import Audit, Finding, Table, Verdict

_HARMLESS = (
    "junit_warnings",
    "batch_size",
    "threads",
    "baseline",
    "plugins",
    "loaded",
    "expression",
    "checks",
    "report",
)
"""Settings that change no finding by more than its tolerance, or only select which checks run."""


def data(pair: Pair) -> Iterator[Finding | Table]:
    """Compare images, preprocessing, classes, network, settings and tools."""
    before, after = pair.audits
    yield from _incomplete(pair)
    yield _images(before, after)
    for name, of in _PARTS.items():
        yield _same(name, of(before), of(after))
    yield Table(
        _("The two audits"),
        _("The baseline and the audit that is compared with it."),
        (_("fact"), _("baseline"), _("now")),
        tuple((name, *both) for name, *both in _facts(pair)),
    )


def _incomplete(pair: Pair) -> Iterator[Finding]:
    for name, audit in zip((_("the baseline"), _("the audit now")), pair.audits, strict=True):
        if not audit.complete:
            checks = some(audit.not_run, 4) or _("unknown")
            message = _("{audit} stopped early; not run: {checks}", audit=name, checks=checks)
            yield Finding("baseline.data", Verdict.WARN, message, subject=name)


def _images(before: Audit, after: Audit) -> Finding:
    one, other = before.provenance.data, after.provenance.data
    named: dict[str, Any] = {"rule": "baseline.data", "subject": _("images"), "n": other.images}
    if not one.images or not other.images:
        return Finding(verdict=Verdict.SKIP, message=_("one of the audits has no images"), **named)
    if one.fingerprint and one.fingerprint == other.fingerprint:
        message = many(
            "both audits use the same {count} image", "both audits use the same {count} images", other.images
        )
        return Finding(verdict=Verdict.PASS, message=message, **named)
    message = _("the images differ: {before} before, {after} now", before=one.images, after=other.images)
    detail = _(
        "Accuracy, calibration and attribution maps are compared on the shared images only. Other findings are not."
    )
    return Finding(verdict=Verdict.WARN, message=message, detail=detail, **named)


def _same(part: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Finding:
    texts, subject = _TEXTS[part], _(part)
    differing = [name for name in {**before, **after} if encoded(before.get(name)) != encoded(after.get(name))]
    if not differing:
        return Finding("baseline.data", Verdict.PASS, _(texts.same), subject=subject)
    each = [
        _("{fact}: {before} before, {after} now", fact=n, before=_short(before.get(n)), after=_short(after.get(n)))
        for n in differing
    ]
    message = _(texts.other, facts=some(differing, 5))
    return Finding("baseline.data", texts.verdict, message, subject=subject, detail=joined(*each[:12], between="\n"))


def _short(value: Any) -> str:
    text = _("none") if value in (None, "", {}, []) else str(encoded(value))
    return text if len(text) <= 160 else f"{text[:160]}…"


def _steps(audit: Audit) -> dict[str, Any]:
    return {k: v for k, v in audit.provenance.preprocess.items() if k not in ("source", "assumed")}


def _classes(audit: Audit) -> dict[str, Any]:
    task = {} if audit.provenance.data.task == "multiclass" else {"task": audit.provenance.data.task}
    return {"names": audit.provenance.data.classes, **task}


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
    before, after = pair.before.summary, pair.after.summary
    yield _("report"), before["report"], after["report"]
    yield _("checkpoint"), before["checkpoint"], after["checkpoint"]
    yield _("started"), before["started"], after["started"]
    yield "SHA-256", before["sha256"][:12], after["sha256"][:12]
    one, other = pair.audits
    yield _("verdict"), name_of(one.verdict), name_of(other.verdict)
    yield _("images"), decimal(one.provenance.data.images), decimal(other.provenance.data.images)


@dataclass(frozen=True, slots=True)
class _Texts:
    """The messages for one part of both audits, not translated yet, and the verdict if the part differs."""

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
_TEXTS = {
    "preprocessing": _Texts(
        marked("the preprocessing is the same"),
        marked("the preprocessing differs ({facts}): any number may have changed because of it"),
        Verdict.WARN,
    ),
    "classes": _Texts(
        marked("the classes are the same"),
        marked("the classes differ ({facts}): predictions are matched by class name"),
        Verdict.WARN,
    ),
    "network": _Texts(marked("the network is the same"), marked("the network differs ({facts})")),
    "settings": _Texts(
        marked("the settings are the same"),
        marked("the settings differ ({facts}): verdicts may have changed because of them"),
    ),
    "tools": _Texts(
        marked("the versions and the device are the same"), marked("the versions or the device differ ({facts})")
    ),
}

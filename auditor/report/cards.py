"""Short lists of facts about an audit: the network, the data, and the settings to reproduce it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auditor.language import _, many
from auditor.report import phrases
from auditor.report.json_reader import encoded
from auditor.results import Audit, DataFacts, LayerFacts, Table

_LONGEST_FACT = 300


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and its value; `kind` is `plain`, `code` or `warn`."""

    name: str
    value: str
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Card:
    title: str
    lead: str
    facts: tuple[Fact, ...]


def overview(audit: Audit) -> tuple[Card, ...]:
    """Return the cards of the first screen."""
    return _network(audit), _data(audit), *_baseline(audit)


def imprint(audit: Audit, subject: str = "") -> tuple[Fact, ...]:
    """Return the facts on the cover of a printed report; with the subject if the title is another text."""
    facts, unnamed = audit.provenance, _("unnamed")
    return _present(
        [
            Fact(_("Checkpoint"), subject),
            Fact(_("Network"), f"{facts.architecture.name}, {_parameters(facts.architecture.parameters)}"),
            Fact(_("Data"), f"{facts.data.name or unnamed}, {phrases.images(facts.data.images)}"),
            Fact(_("Date"), phrases.date(facts.started)),
            Fact(_("Tool"), f"auditor {facts.versions.get('auditor', '')}".rstrip()),
            Fact("SHA-256", facts.checkpoint.sha256, "code"),
        ]
    )


def provenance(audit: Audit) -> tuple[Card, ...]:
    """Return the cards with checkpoint, run, preprocessing, settings and versions."""
    facts = audit.provenance
    run = (
        Fact(_("Started"), phrases.date(facts.started)),
        Fact(_("Device"), facts.device),
        Fact(_("Seed"), str(facts.seed)),
        Fact(_("Time in checks"), phrases.duration(math.fsum(result.seconds for result in audit.results))),
    )
    cards = (
        Card(_("Checkpoint"), "", _checkpoint(audit)),
        Card(_("Run"), "", run),
        Card(_("Preprocessing"), "", _mapping(facts.preprocess)),
        Card(_("Settings"), "", _mapping({k: v for k, v in facts.settings.items() if k != "report"})),
        Card(_("Versions"), "", _mapping(facts.versions)),
    )
    return tuple(card for card in cards if card.facts)


def tables(audit: Audit) -> tuple[Table, ...]:
    """Return the tables of the provenance: files left out, layers."""
    facts = audit.provenance
    skipped = Table(
        _("Files that could not be read"),
        _("They are not included in any result."),
        (_("File"), _("Reason")),
        facts.data.skipped,
    )
    return tuple(table for table in (skipped, _layers(facts.architecture.layers)) if table.rows)


def _layers(layers: tuple[LayerFacts, ...]) -> Table:
    columns = (_("Layer"), _("Type"), _("Output"), _("Parameters"), _("Receptive field"))
    known = len(columns) - all(layer.receptive_field is None for layer in layers)
    rows = tuple(_layer(layer)[:known] for layer in layers)
    return Table(_("Layers"), _("In the order of the forward pass."), columns[:known], rows)


def _network(audit: Audit) -> Card:
    checkpoint, architecture = audit.provenance.checkpoint, audit.provenance.architecture
    facts = [
        Fact(_("Architecture"), architecture.name),
        Fact(_("Source"), _(architecture.source)),
        Fact(_("Parameters"), phrases.decimal(architecture.parameters)),
        Fact(_("Output"), architecture.output),
        Fact(_("Layers"), phrases.decimal(len(architecture.layers)) if architecture.layers else ""),
        Fact(_("Checkpoint"), ", ".join(part for part in (checkpoint.format, phrases.size(checkpoint.bytes)) if part)),
        Fact(_("Weights loaded"), phrases.measured(checkpoint.loaded, ""), _kind(checkpoint.loaded == 1)),
        Fact("SHA-256", f"{checkpoint.sha256[:16]}…" if checkpoint.sha256 else "", "code"),
    ]
    if checkpoint.others:
        facts.insert(5, Fact(_("Set of weights"), checkpoint.weights))
        facts.insert(6, Fact(_("Other sets"), ", ".join(checkpoint.others)))
    if checkpoint.trusted:
        told = _("the checkpoint was allowed to run code in the process of the audit")
        facts.append(Fact(_("Trusted"), told, "warn"))
    if checkpoint.sandbox:
        facts.append(Fact(_("Ran in a sandbox"), ", ".join(checkpoint.sandbox)))
    return Card(_("Network"), checkpoint.name, _present(facts))


def _baseline(audit: Audit) -> tuple[Card, ...]:
    """Return the card of the earlier audit that this one was compared with, if any."""
    baseline = audit.provenance.settings.get("baseline")
    if not isinstance(baseline, Mapping):
        return ()
    facts = [
        Fact(_("Checkpoint"), _text(baseline.get("checkpoint"))),
        Fact(_("Started"), phrases.date(_text(baseline.get("started")))),
        Fact("SHA-256", f"{_text(baseline.get('sha256'))[:16]}…", "code"),
    ]
    return (Card(_("Baseline"), _text(baseline.get("report")), _present(facts)),)


def _data(audit: Audit) -> Card:
    data, preprocess = audit.provenance.data, audit.provenance.preprocess
    shown = {
        name: value
        for name, value in preprocess.items()
        if name in ("resize", "crop", "color", "interpolation", "invert")
    }
    facts = [
        Fact(_("Images"), phrases.decimal(data.images)),
        Fact(_("Labels"), _("yes") if data.labelled else _("no")),
        Fact(_("Task"), _task(data)),
        Fact(_("Classes"), _classes(data.classes)),
        Fact(_("Left out"), _unreadable(len(data.skipped)) if data.skipped else "", "warn"),
        Fact(_("Preprocessing"), ", ".join(_step(name, value) for name, value in shown.items())),
        Fact(_("Source"), _(_text(preprocess.get("source", "")))),
        Fact(_("Fingerprint"), f"{data.fingerprint[:16]}…" if data.fingerprint else "", "code"),
    ]
    return Card(_("Data"), data.name or phrases.images(data.images), _present(facts))


def _task(data: DataFacts) -> str:
    """Return what the network is asked, where that is not obvious."""
    if not data.task_source:
        return ""
    labels = _("several labels an image") if data.task == "multilabel" else _("one class an image")
    return _("{label} ({note})", label=labels, note=_(data.task_source))


def _parameters(count: int) -> str:
    return many("{count} parameter", "{count} parameters", count)


def _unreadable(count: int) -> str:
    return many("{count} unreadable file", "{count} unreadable files", count)


def _kind(good: bool) -> str:
    """Return the kind of a fact that is a warning unless `good`."""
    return "plain" if good else "warn"


def _checkpoint(audit: Audit) -> tuple[Fact, ...]:
    facts = audit.provenance.checkpoint
    return _present(
        [
            Fact(_("File"), facts.name),
            Fact("SHA-256", facts.sha256, "code"),
            Fact(_("Size"), many("{count} byte", "{count} bytes", facts.bytes)),
            Fact(_("Format"), facts.format),
            Fact(_("Files"), ", ".join(file.name for file in facts.files)),
            Fact(_("Data fingerprint"), audit.provenance.data.fingerprint, "code"),
        ]
    )


def _classes(names: tuple[str, ...]) -> str:
    if len(names) <= 6:
        return ", ".join(names)
    return _("{n:,}: {first} … {last}", n=len(names), first=", ".join(names[:4]), last=names[-1])


def _layer(layer: LayerFacts) -> tuple[str | int | None, ...]:
    field = layer.receptive_field
    seen = "" if field is None else _("whole image") if field.global_ else _sides(field.size)
    return layer.name, layer.type, _sides(layer.output), layer.parameters, seen


def _step(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return name
    return f"{name} {_sides(tuple(value)) if isinstance(value, list | tuple) else _text(value)}"


def _sides(sides: tuple[int, ...]) -> str:
    return " × ".join(str(side) for side in sides)


def _mapping(values: Mapping[str, Any]) -> tuple[Fact, ...]:
    return _present([Fact(str(name), _text(value), "code") for name, value in values.items()])


def _present(facts: list[Fact]) -> tuple[Fact, ...]:
    return tuple(fact for fact in facts if fact.value)


def _text(value: Any) -> str:
    """Return a setting as text short enough for a card; empty if it is not set."""
    plain = encoded(value)
    if plain is None or plain in ([], {}, ""):
        return ""
    text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return text if len(text) <= _LONGEST_FACT else f"{text[:_LONGEST_FACT]}…"

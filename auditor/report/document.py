"""The JSON document of schema 1: an Audit as lists, objects, texts and numbers.

It is strict JSON: a number that is not finite becomes `{"number": "NaN"}`.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from auditor.report import picture_files
from auditor.report.json_reader import encoded
from auditor.report.translation import recipes
from auditor.report.unassessed import not_assessed
from auditor.results import Audit, Evidence, Figure, Finding, Gallery, LayerFacts, Provenance, Result, RuleFacts, Table

SCHEMA = 1


def document(audit: Audit, shelf: picture_files.Shelf) -> dict[str, Any]:
    """Return the document, and add its pictures to the shelf."""
    strict = bool(audit.provenance.settings.get("strict"))
    whole = {
        "schema": SCHEMA,
        "verdict": str(audit.verdict),
        "exit_code": int(audit.exit_code(strict=strict)),
        "complete": audit.complete,
        "interrupted": audit.interrupted,
        "not_run": audit.not_run,
        "provenance": _provenance_document(audit.provenance),
        "results": [_result_document(result, shelf) for result in audit.results],
        "comparison": audit.comparison,
        "not_assessed": [_fields(gap) for gap in not_assessed(audit)],
        "recorded": {"silent": audit.recorded.silent, "answers": audit.recorded.answers},
    }
    whole["translation"] = recipes(whole)
    return encoded(whole)  # type: ignore[no-any-return]


def _provenance_document(facts: Provenance) -> dict[str, Any]:
    checkpoint, architecture, data = facts.checkpoint, facts.architecture, facts.data
    return {
        "checkpoint": _fields(checkpoint),
        "architecture": {**_fields(architecture), "layers": [_layer_document(layer) for layer in architecture.layers]},
        "data": {**_fields(data), "skipped": [{"file": file, "reason": reason} for file, reason in data.skipped]},
        **{name: value for name, value in _fields(facts).items() if name not in ("checkpoint", "architecture", "data")},
    }


def _layer_document(layer: LayerFacts) -> dict[str, Any]:
    seen = layer.receptive_field
    field = seen and {"size": seen.size, "stride": seen.stride, "offset": seen.offset, "global": seen.global_}
    return {**_fields(layer), "receptive_field": field}


def _result_document(result: Result, shelf: picture_files.Shelf) -> dict[str, Any]:
    return {
        "check": result.check,
        "question": result.question,
        "verdict": str(result.verdict),
        "seconds": result.seconds,
        "guide": result.guide,
        "source": result.source,
        "rules": {name: facts.text for name, facts in result.rules.items()},
        "rule_facts": {name: _rule_document(facts) for name, facts in result.rules.items()},
        "evidence": [_evidence_document(result.check, piece, shelf) for piece in result.evidence],
    }


def _rule_document(facts: RuleFacts) -> dict[str, Any]:
    return {**_fields(facts), "limits": [_fields(limit) for limit in facts.limits]}


def _evidence_document(check: str, piece: Evidence, shelf: picture_files.Shelf) -> dict[str, Any]:
    match piece:
        case Finding():
            return {"kind": "finding", **_fields(piece), "verdict": str(piece.verdict)}
        case Figure():
            texts = {"title": piece.title, "caption": piece.caption, "alt": piece.alt, "about": piece.about}
            return {
                "kind": "figure",
                **texts,
                "file": shelf.place(check, piece.title, piece.image),
                "scale": _fields(piece.scale),
            }
        case Gallery(title=title, items=items):
            names = [f"{title[:30]} {index} {item.label}" for index, item in enumerate(items, start=1)]
            placed = [
                {**_fields(item), "image": shelf.place(check, name, item.image), "scale": _fields(item.scale)}
                for name, item in zip(names, items, strict=True)
            ]
            return {"kind": "gallery", **_fields(piece), "items": placed, "scale": _fields(piece.scale)}
        case Table():
            return {"kind": "table", **_fields(piece)}


def _fields(value: Any) -> Any:
    """Return the fields of a value of `results` by name; None for None."""
    return None if value is None else {field.name: getattr(value, field.name) for field in fields(value)}

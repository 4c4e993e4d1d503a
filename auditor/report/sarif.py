"""`report.sarif`: findings that warn, fail or broke, in SARIF 2.1.0 (OASIS 2020), for GitHub's code scanning.

Findings that pass are left out, because code scanning shows an alert for every result, whatever its kind and level.
Findings that were skipped or broke are also notifications of the tool. The file contains no tracebacks, and no file
name of the machine other than that of the checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePath, PurePosixPath
from typing import Any
from urllib.parse import quote

from auditor.process.foreign_text import printable, printable_lines
from auditor.report import deciding, phrases
from auditor.report.json_reader import encoded
from auditor.results import Audit, Finding, Result, RuleFacts, Verdict

NAME = "report.sarif"

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Verdict.WARN: "warning", Verdict.FAIL: "error", Verdict.ERROR: "error"}
_ADDRESS = re.compile(r"https://[A-Za-z0-9._~:/?#@!$&()*+,;=%-]+")
_MANIFESTS = (".csv", ".tsv", ".json", ".jsonl")
_NOTIFIED = {Verdict.SKIP: "note", Verdict.ERROR: "error"}

Object = dict[str, Any]


def save(audit: Audit, folder: Path) -> None:
    """Write `report.sarif`."""
    text = json.dumps(encoded(log(audit)), ensure_ascii=False, allow_nan=False, indent=1) + "\n"
    (folder / NAME).write_text(text, encoding="utf-8", newline="\n")


def log(audit: Audit) -> Object:
    """Return the log: one run, with one result for each finding that warns, fails or broke."""
    rules = _rules(audit)
    indices = {rule["id"]: index for index, rule in enumerate(rules)}
    run = {
        "tool": {"driver": _driver(audit, rules)},
        "automationDetails": {"id": f"auditor/{_stem(audit)}/"},
        "invocations": [_invocation(audit, indices)],
        "artifacts": [_artifact(audit), *_pointed_at(audit)],
        "columnKind": "unicodeCodePoints",
        "results": list(_results(audit, indices)),
        "properties": {"verdict": str(audit.verdict), "complete": audit.complete},
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _driver(audit: Audit, rules: list[Object]) -> Object:
    version = printable(str(audit.provenance.versions.get("auditor", "")))
    return {"name": "auditor", **({"version": version} if version else {}), "rules": rules}


def _rules(audit: Audit) -> list[Object]:
    """Return the rules that the checks document, and those that findings name beyond them, each once."""
    rules: dict[str, Object] = {}
    for result in audit.results:
        named: dict[str, RuleFacts | None] = {f.rule: None for f in phrases.findings(result)}
        for name, facts in (dict(result.rules) | {n: f for n, f in named.items() if n not in result.rules}).items():
            rules.setdefault(printable(name), _rule(printable(name), facts, result))
    return list(rules.values())


def _rule(name: str, facts: RuleFacts | None, result: Result) -> Object:
    question = _message(result.question or result.check)
    known = facts or RuleFacts("")
    parts = (known.measured, known.advice, known.false_alarms, known.source) if facts else (result.guide, result.source)
    help_ = "\n\n".join(phrases.sentence(part) for part in parts if part)
    return {
        "id": name,
        "shortDescription": _message(phrases.sentence(known.summary)) if known.summary else question,
        "fullDescription": question,
        "help": _message(help_) if help_ else question,
        **({"helpUri": known.url} if _ADDRESS.fullmatch(known.url) else {}),
        "properties": {"tags": [printable(result.check)], **({"basis": printable(known.basis)} if known.basis else {})},
    }


def _results(audit: Audit, indices: Mapping[str, int]) -> Iterator[Object]:
    strict, seen = deciding.is_strict(audit), dict[tuple[str, str], int]()
    for check, finding in deciding.worst_first(audit):
        if finding.verdict < Verdict.WARN:
            continue
        named = finding.rule, finding.subject
        seen[named] = seen.get(named, 0) + 1
        mark = _fingerprint(*named, seen[named])
        yield {
            "ruleId": printable(finding.rule),
            "ruleIndex": indices[printable(finding.rule)],
            "kind": "fail",
            "level": "error" if deciding.costs(finding, strict=strict) else _LEVELS[finding.verdict],
            "message": _message(_finding_text(finding)),
            "locations": [_location(audit, finding.subject)],
            "partialFingerprints": {"finding/v1": mark, "primaryLocationLineHash": f"{mark}:1"},
            "properties": {"check": printable(check), "verdict": str(finding.verdict), **_numbers(finding)},
        }


def _finding_text(finding: Finding) -> str:
    numbers = phrases.numbers(finding)
    subject = f"{finding.subject}: " if finding.subject else ""
    first = subject + phrases.sentence(finding.message) + (f" ({numbers})" if numbers else "")
    return "\n\n".join(part for part in (first, phrases.advice(finding)) if part)


def _numbers(finding: Finding) -> Object:
    known = {name: getattr(finding, name) for name in ("value", "limit", "n", "interval")}
    unit = {"unit": printable(finding.unit)} if finding.unit else {}
    return {name: value for name, value in known.items() if value is not None} | unit


def _fingerprint(rule: str, subject: str, count: int) -> str:
    """Return a fingerprint that stays the same from one audit to the next, so that a finding keeps its alert."""
    return hashlib.sha256(json.dumps([rule, subject, count]).encode()).hexdigest()[:16]


def _location(audit: Audit, subject: str) -> Object:
    """Return the first line of a text file that the result rests on, and the layer, class or image.

    Code scanning needs a line and shows it. So it is one of the configuration, where the limits are, or of the manifest
    of the data; if neither is known, of the checkpoint.
    """
    named = _text_file(audit)
    artifact = {"uri": quote(named, errors="replace"), "index": 1} if named else {"uri": _uri(audit), "index": 0}
    found: Object = {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": 1}}}
    if subject:
        found["logicalLocations"] = [_logical(audit, printable(subject))]
    return found


def _text_file(audit: Audit) -> str:
    """Return the path of the configuration file or of the manifest, relative to the working directory; or ""."""
    loaded = audit.provenance.settings.get("loaded")
    configuration = [str(name) for name in loaded if str(name).endswith(".toml")] if isinstance(loaded, list) else []
    manifest = [name for name in [audit.provenance.data.name] if name.endswith(_MANIFESTS)]
    return next((path for name in (*configuration, *manifest) if (path := _relative(name))), "")


def _relative(name: str) -> str:
    """Return a path below the working directory with slashes; "" for any other."""
    path = PurePosixPath(name.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or ":" in name
    return "" if outside else str(path)


def _pointed_at(audit: Audit) -> list[Object]:
    named = _text_file(audit)
    role = "userSpecifiedConfiguration" if named.endswith(".toml") else "referencedOnCommandLine"
    return [{"location": {"uri": quote(named, errors="replace")}, "roles": [role]}] if named else []


def _logical(audit: Audit, subject: str) -> Object:
    facts = audit.provenance
    if any(layer.name == subject for layer in facts.architecture.layers):
        return {"name": subject.rpartition(".")[2] or subject, "fullyQualifiedName": subject, "kind": "layer"}
    kind = {"kind": "class"} if subject in facts.data.classes else {}
    return {"name": subject, "fullyQualifiedName": subject, **kind}


def _invocation(audit: Audit, indices: Mapping[str, int]) -> Object:
    code = audit.exit_code(strict=deciding.is_strict(audit))
    notified = [_notification(f, indices) for _, f in deciding.worst_first(audit) if f.verdict in _NOTIFIED]
    early = [{"level": "error", "message": _message(banner)} for banner in deciding.banners(audit)]
    return {
        "executionSuccessful": audit.complete and audit.verdict is not Verdict.ERROR,
        "exitCode": int(code),
        "exitCodeDescription": code.name.lower(),
        **_started(audit.provenance.started),
        "toolExecutionNotifications": [*early, *notified],
    }


def _notification(finding: Finding, indices: Mapping[str, int]) -> Object:
    rule = printable(finding.rule)
    return {
        "level": _NOTIFIED[finding.verdict],
        "message": _message(_finding_text(finding)),
        "associatedRule": {"id": rule, "index": indices[rule]},
    }


def _started(started: str) -> Object:
    try:
        moment = datetime.fromisoformat(started).astimezone(UTC)
    except (ValueError, OverflowError):
        return {}
    return {"startTimeUtc": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}


def _artifact(audit: Audit) -> Object:
    facts = audit.provenance.checkpoint
    hashes = {"hashes": {"sha-256": printable(facts.sha256)}} if facts.sha256 else {}
    return {"location": {"uri": _uri(audit)}, "length": facts.bytes, "roles": ["analysisTarget"], **hashes}


def _uri(audit: Audit) -> str:
    """Return the checkpoint's name as a relative reference."""
    return quote(_name(audit), safe="", errors="replace")


def _name(audit: Audit) -> str:
    """Return the checkpoint's name without folders, in Windows paths too."""
    return re.split(r"[/\\]", audit.provenance.checkpoint.name)[-1].strip(". ") or "checkpoint"


def _stem(audit: Audit) -> str:
    return printable(PurePath(_name(audit)).stem)


def _message(words: str) -> Object:
    """Return a plain text, escaped: braces are placeholders in SARIF, and `[text](address)` is a link."""
    text = printable_lines(words).replace("{", "{{").replace("}", "}}").replace("](", "] (")
    return {"text": text}

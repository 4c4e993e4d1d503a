"""`junit.xml`: a suite per check, a case per finding; failures, errors and skips are separate.

The file is valid under `junit-10.xsd`, the schema of Jenkins' xUnit plugin. Like Ant's schema, it allows properties of
suites only. The properties of a case are therefore in its suite, under the name of the case, and in the text of the
case.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from auditor.report import deciding, phrases
from auditor.results import Audit, Finding, Result, Verdict

NAME = "junit.xml"

# not allowed in XML 1.0, not even as a character reference
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
WARNINGS = ("passed", "skipped", "failure")
"""What a warning may be in the file; the first is the default."""

_ELEMENTS = {Verdict.SKIP: "skipped", Verdict.FAIL: "failure", Verdict.ERROR: "error"}
_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def save(audit: Audit, folder: Path) -> None:
    """Write `junit.xml`; a warning is what `--junit-warnings` says, and with `--strict` a failure."""
    warning = _of_warnings(audit)
    root = ElementTree.Element("testsuites", name="auditor")
    for result in audit.results:
        root.append(_suite(result, audit.provenance.started, warning))
    if not audit.complete:
        root.append(_stopped_early(audit))
    counts = {name: sum(int(suite.get(name, 0)) for suite in root) for name in ("tests", "failures", "errors")}
    seconds = sum(float(suite.get("time", 0)) for suite in root)
    root.attrib.update({name: str(count) for name, count in counts.items()}, time=f"{seconds:.3f}")
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(folder / NAME, encoding="utf-8", xml_declaration=True)


def _of_warnings(audit: Audit) -> Verdict:
    """Return the verdict that a warning is shown as."""
    if deciding.is_strict(audit):
        return Verdict.FAIL
    shown = audit.provenance.settings.get("junit_warnings")
    return {"skipped": Verdict.SKIP, "failure": Verdict.FAIL}.get(str(shown), Verdict.WARN)


def _suite(result: Result, started: str, warning: Verdict) -> ElementTree.Element:
    found = phrases.findings(result)
    seconds = result.seconds if math.isfinite(result.seconds) else 0
    suite = ElementTree.Element("testsuite", name=_legal(result.check), timestamp=_legal(started[:19]))
    properties = ElementTree.SubElement(suite, "properties")
    _add(properties, "question", result.question)
    names = _unique(_name(finding) for finding in found)
    for name, finding in zip(names, found, strict=True):
        for what, value in _numbers(finding).items():
            _add(properties, f"{name}: {what}", value)
        suite.append(_case(result, name, finding, seconds / len(found), warning))
    if not found:
        ElementTree.SubElement(suite, "testcase", classname=_legal(result.check), name="shown", time=f"{seconds:.3f}")
    return _counted(suite, seconds)


def _case(result: Result, name: str, finding: Finding, seconds: float, warning: Verdict) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_legal(result.check), name=_legal(name), time=f"{seconds:.3f}")
    numbers = [f"{what}: {value}" for what, value in _numbers(finding).items()]
    verdict = warning if finding.verdict is Verdict.WARN else finding.verdict
    if verdict in _ELEMENTS:
        element = ElementTree.SubElement(
            case, _ELEMENTS[verdict], type=_legal(finding.rule), message=_legal(finding.message)
        )
        element.text = _legal("\n".join([*numbers, finding.detail, deciding.follows_from(finding)]).strip())
    out = ElementTree.SubElement(case, "system-out")
    out.text = _legal("\n".join([f"{finding.verdict}: {finding.message}", *numbers]))
    return case


def _stopped_early(audit: Audit) -> ElementTree.Element:
    """Return a suite for an audit that stopped early: an error if it was interrupted, a skip per check not run."""
    suite = ElementTree.Element("testsuite", name="auditor")
    if audit.interrupted:
        case = ElementTree.SubElement(suite, "testcase", classname="auditor", name="complete", time="0.000")
        ElementTree.SubElement(case, "error", type="interrupted", message="The audit was interrupted.")
    for check in audit.not_run:
        case = ElementTree.SubElement(suite, "testcase", classname=_legal(check), name="not run", time="0.000")
        ElementTree.SubElement(case, "skipped", type="not run", message="The audit stopped before this check ran.")
    return _counted(suite, 0)


def _counted(suite: ElementTree.Element, seconds: float) -> ElementTree.Element:
    cases = suite.findall("testcase")
    counts = {name: sum(case.find(tag) is not None for case in cases) for name, tag in _COUNTED.items()}
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    suite.attrib.update(tests=str(len(cases)), time=f"{seconds:.3f}")
    return suite


def _numbers(finding: Finding) -> dict[str, str]:
    unit = f" {finding.unit}" if finding.unit else ""
    found = {"value": finding.value, "limit": finding.limit}
    numbers = {name: f"{value:.6g}{unit}" for name, value in found.items() if value is not None}
    if finding.interval is not None:
        numbers["interval"] = f"{finding.interval[0]:.6g} to {finding.interval[1]:.6g}{unit}"
    return numbers | ({"n": str(finding.n)} if finding.n is not None else {})


def _name(finding: Finding) -> str:
    return f"{finding.rule} {finding.subject}".rstrip()


def _unique(names: Iterable[str]) -> list[str]:
    taken: dict[str, None] = {}
    for name in names:
        other, count = name, 1
        while other in taken:
            count += 1
            other = f"{name} ({count})"
        taken[other] = None
    return list(taken)


def _add(properties: ElementTree.Element, name: str, value: str) -> None:
    ElementTree.SubElement(properties, "property", name=_legal(name), value=_legal(value))


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\N{REPLACEMENT CHARACTER}", text)

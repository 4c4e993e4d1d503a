import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

from auditor.report import junit
from auditor.results import Audit, Finding, Result, Verdict
from tests.report.sample_audits import HOSTILE, audit, hostile, maps, predictions

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "junit.xsd")


def saved(given: Audit, folder: Path) -> ElementTree.Element:
    junit.save(given, folder)
    SCHEMA.validate(str(folder / "junit.xml"))
    return ElementTree.parse(folder / "junit.xml").getroot()  # noqa: S314 - written above


def outcomes(root: ElementTree.Element) -> list[str]:
    return [next((c.tag for c in case if c.tag != "system-out"), "passed") for case in root.iter("testcase")]


EACH = Result("c", "?", tuple(Finding("c.rule", verdict, str(verdict)) for verdict in Verdict), seconds=6.0)


def test_failures_errors_and_skips_are_kept_apart_and_a_warning_passes(tmp_path):
    root = saved(audit(EACH), tmp_path)
    assert outcomes(root) == ["skipped", "passed", "passed", "passed", "failure", "error"]
    assert [root.find("testsuite").get(name) for name in ("tests", "failures", "errors", "skipped")] == [
        "6",
        "1",
        "1",
        "1",
    ]
    assert root.get("time") == "6.000"


def test_under_strict_a_warning_fails(tmp_path):
    given = audit(EACH)
    strict = replace(given, provenance=replace(given.provenance, settings={"strict": True}))
    assert outcomes(saved(strict, tmp_path))[3] == "failure"


@pytest.mark.parametrize("shown", ["passed", "skipped", "failure"])
def test_a_warning_is_shown_as_asked(tmp_path, shown):
    given = audit(EACH)
    asked = replace(given, provenance=replace(given.provenance, settings={"junit_warnings": shown}))
    root = saved(asked, tmp_path)
    assert outcomes(root)[3] == shown
    assert root.get("failures") == ("2" if shown == "failure" else "1")


def test_properties_stand_where_the_schema_has_them(tmp_path):
    root = saved(audit(EACH, predictions()), tmp_path)
    places = {f"{parent.tag}/{child.tag}" for parent in root.iter() for child in parent if child.tag == "properties"}
    assert places == {"testsuite/properties"}


def test_a_case_is_named_by_rule_and_subject_and_carries_its_numbers(tmp_path):
    root = saved(audit(predictions()), tmp_path)
    case = root.find("testsuite/testcase")
    assert (case.get("classname"), case.get("name")) == ("predictions", "predictions.accuracy cat")
    assert case.find("failure").get("message") == "Right on 40 % of 40 images."
    assert case.find("failure").text == "value: 0.4\nlimit: 0.5\ninterval: 0.26 to 0.55\nn: 40\nTrain longer."
    properties = {p.get("name"): p.get("value") for p in root.iter("property")}
    assert properties["predictions.accuracy cat: value"] == "0.4"
    assert properties["predictions.accuracy cat: limit"] == "0.5"
    assert properties["predictions.accuracy cat: interval"] == "0.26 to 0.55"


def test_equal_findings_get_names_of_their_own(tmp_path):
    named = [Finding("a.b", Verdict.PASS, "m", subject) for subject in ("x (2)", "x", "x")]
    cases = saved(audit(Result("a", "?", tuple(named))), tmp_path).iter("testcase")
    assert len({case.get("name") for case in cases}) == 3


def test_a_check_that_only_shows_is_one_case_that_passes(tmp_path):
    assert outcomes(saved(audit(maps()), tmp_path)) == ["passed"]


def test_a_check_without_evidence_is_an_error(tmp_path):
    assert outcomes(saved(audit(Result("silent", "?")), tmp_path)) == ["error"]


def test_an_interrupted_audit_is_an_error_and_what_had_no_turn_is_skipped(tmp_path):
    root = saved(audit(predictions(Verdict.PASS), interrupted=True, not_run=("maps",)), tmp_path)
    assert outcomes(root) == ["passed", "error", "skipped"]


def test_times_that_are_no_number_and_empty_audits_stay_valid(tmp_path):
    saved(audit(replace(EACH, seconds=math.nan)), tmp_path)
    saved(Audit(audit().provenance, ()), tmp_path)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_the_file(tmp_path, text):
    root = saved(hostile(text), tmp_path)
    message = root.find("testsuite/testcase/system-out").text
    for letter in text:
        assert letter in message or not letter.isprintable() or letter in "\ufffe\uffff"

import json
import re
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.report import sarif
from auditor.results import Audit, CheckpointFacts, Finding, Result, RuleFacts, Verdict
from tests.report.sample_audits import HOSTILE, audit, facts, hostile, maps, predictions

# from the npm package @microsoft/jest-sarif 1.0.0-beta.0 (MIT); OASIS publishes the same as an open standard
SCHEMA = json.loads((Path(__file__).parent / "sarif-2.1.0-rtm.5.json").read_text())
VALIDATOR = jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)


def saved(given: Audit, folder: Path) -> dict:
    sarif.save(given, folder)
    log = json.loads((folder / "report.sarif").read_text("utf-8"), parse_constant=pytest.fail)
    VALIDATOR.validate(log)
    (run,) = log["runs"]
    return run


def named(name: str) -> Audit:
    return replace(audit(), provenance=replace(facts(), checkpoint=CheckpointFacts(name, "ab", 1)))


EACH = Result("c", "Is it?", tuple(Finding(f"c.{verdict}", verdict, str(verdict)) for verdict in Verdict))


def test_the_schema_refuses_what_is_no_sarif():
    VALIDATOR.check_schema(SCHEMA)
    log = sarif.log(audit())
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not VALIDATOR.is_valid(log)


def test_what_calls_for_somebody_is_a_result_the_worst_first(tmp_path):
    run = saved(audit(EACH), tmp_path)
    told = [(result["ruleId"], result["kind"], result["level"]) for result in run["results"]]
    assert told == [("c.error", "fail", "error"), ("c.fail", "fail", "error"), ("c.warn", "fail", "warning")]


def test_under_strict_a_warning_is_an_error(tmp_path):
    given = audit(EACH)
    strict = replace(given, provenance=replace(given.provenance, settings={"strict": True}))
    assert {result["level"] for result in saved(strict, tmp_path)["results"]} == {"error"}


def test_what_broke_and_what_was_skipped_is_told_as_notifications(tmp_path):
    (invocation,) = saved(audit(EACH, not_run=("later",)), tmp_path)["invocations"]
    told = [(n["level"], n.get("associatedRule", {}).get("id")) for n in invocation["toolExecutionNotifications"]]
    assert told == [("error", None), ("error", "c.error"), ("note", "c.skip")]


@pytest.mark.parametrize(
    ("given", "successful", "code"),
    [
        (audit(predictions(Verdict.PASS)), True, 0),
        (audit(predictions(Verdict.FAIL)), True, 1),
        (audit(predictions(Verdict.ERROR)), False, 1),
        (audit(predictions(Verdict.PASS), interrupted=True), False, 2),
    ],
)
def test_the_tool_succeeded_if_it_judged_all_whatever_the_verdict(tmp_path, given, successful, code):
    (invocation,) = saved(given, tmp_path)["invocations"]
    assert (invocation["executionSuccessful"], invocation["exitCode"]) == (successful, code)
    assert invocation["startTimeUtc"] == "2026-01-02T03:04:05Z"


def test_a_result_has_its_numbers_its_place_and_its_rule(tmp_path):
    run = saved(audit(), tmp_path)
    (result,) = run["results"]
    assert result["message"]["text"] == (
        "cat: Right on 40 % of 40 images. (40 %, limit 50 %, n = 40, 95 % interval 26 % to 55 %)\n\nTrain longer."
    )
    bag = {"check": "predictions", "verdict": "fail", "value": 0.4, "limit": 0.5, "n": 40, "interval": [0.26, 0.55]}
    assert result["properties"] == bag
    (location,) = result["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == "net.pt"
    assert location["logicalLocations"] == [{"name": "cat", "fullyQualifiedName": "cat", "kind": "class"}]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert run["artifacts"][0]["hashes"] == {"sha-256": "ab" * 32}
    assert run["automationDetails"]["id"] == "auditor/net/"


@pytest.mark.parametrize(
    ("loaded", "data", "uri"),
    [
        (["ci/auditor.toml", "auditfile.py"], "val.csv", "ci/auditor.toml"),
        (["auditfile.py"], "data/val set.csv", "data/val%20set.csv"),
        (["../pyproject.toml"], "photos/", "net.pt"),
        ([], "/data/val.csv", "net.pt"),
        ([], "hf:cats.csv", "net.pt"),
    ],
)
def test_a_result_points_at_the_configuration_or_the_manifest(tmp_path, loaded, data, uri):
    given = audit(EACH)
    about = given.provenance
    about = replace(about, settings={"loaded": loaded}, data=replace(about.data, name=data))
    run = saved(replace(given, provenance=about), tmp_path)
    artifact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact["uri"] == run["artifacts"][artifact["index"]]["location"]["uri"] == uri


def test_a_layer_is_told_from_a_class(tmp_path):
    found = Result("c", "?", (Finding("c.dead", Verdict.WARN, "dead", "conv1"),))
    (result,) = saved(audit(found), tmp_path)["results"]
    assert result["locations"][0]["logicalLocations"][0]["kind"] == "layer"


def test_rules_are_what_the_checks_document(tmp_path):
    declared = RuleFacts(
        "images that are correctly classified",
        basis="statistical",
        measured="Under the limit, a failure.",
        advice="look at the mistakes",
        source="Guo 2017",
        url="https://docs.example.org/predictions.accuracy.html",
    )
    told = replace(predictions(), rules={"predictions.accuracy": declared, "predictions.other": RuleFacts("x")})
    rules = saved(audit(told, maps()), tmp_path)["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["predictions.accuracy", "predictions.other"]
    assert rules[0]["shortDescription"]["text"] == "Images that are correctly classified."
    assert rules[0]["fullDescription"]["text"] == "Is it right?"
    assert rules[0]["help"]["text"] == "Under the limit, a failure.\n\nLook at the mistakes.\n\nGuo 2017."
    assert rules[0]["helpUri"] == "https://docs.example.org/predictions.accuracy.html"
    assert "helpUri" not in rules[1]


def test_a_finding_is_followed_from_one_audit_to_the_next(tmp_path):
    (first,) = saved(audit(), tmp_path)["results"]
    later = replace(predictions().findings[0], value=0.45, message="Right on 45 % of 90 images.", n=90)
    others = [Finding("a.first", Verdict.FAIL, "new"), later, replace(later, subject="cup"), later]
    results = saved(audit(Result("predictions", "?", tuple(others))), tmp_path)["results"]
    marks = [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]
    assert marks[1] == first["partialFingerprints"]["primaryLocationLineHash"]
    assert len(set(marks)) == 4


def test_tells_nothing_of_the_machine(tmp_path):
    trace = 'Traceback\n  File "/home/me/check.py"\n    x\n    y\nRuntimeError: no'
    broken = Result("c", "?", (Finding("c.error", Verdict.ERROR, "RuntimeError: no", detail=trace),))
    given = named("/home/me/net.pt")
    given = replace(
        given, results=(broken,), provenance=replace(given.provenance, settings={"data": "/home/me/photos"})
    )
    saved(given, tmp_path)
    assert "/home" not in (tmp_path / "report.sarif").read_text()


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("best net.pt", "best%20net.pt"),
        ("50%#1?.pt", "50%25%231%3F.pt"),
        ("c:net.pt", "c%3Anet.pt"),
        ("高.pt", "%E9%AB%98.pt"),
        ("\udcff.pt", "%3F.pt"),
        ("C:\\nets\\net.pt", "net.pt"),
        ("../..", "checkpoint"),
        ("", "checkpoint"),
    ],
)
def test_the_checkpoint_s_name_is_a_relative_address(tmp_path, name, uri):
    (artifact,) = saved(named(name), tmp_path)["artifacts"]
    assert artifact["location"]["uri"] == uri


@pytest.mark.parametrize("words", HOSTILE)
def test_no_text_breaks_the_file(tmp_path, words):
    assert len(saved(hostile(words), tmp_path)["results"]) == 1


@given(st.text() | st.text(st.sampled_from("[]({}) a1")))
def test_no_message_holds_a_link_or_a_place_to_fill_in(words):
    found = Finding("c.a", Verdict.WARN, words, words, detail=words)
    log = sarif.log(audit(Result("c", words, (found,), guide=words)))
    (run,) = log["runs"]
    texts = [run["results"][0]["message"]["text"], run["tool"]["driver"]["rules"][0]["help"]["text"]]
    for text in texts:
        assert not re.search(r"\]\(", text)
        assert "{" not in text.replace("{{", "")
    VALIDATOR.validate(log)


def test_numbers_that_are_not_finite_stay_valid(tmp_path):
    found = Finding("c.a", Verdict.ERROR, "no number", value=float("nan"), limit=float("inf"))
    (result,) = saved(audit(Result("c", "?", (found,))), tmp_path)["results"]
    assert result["properties"]["value"] == {"number": "NaN"}


def test_a_time_that_is_none_is_left_out(tmp_path):
    given = audit()
    given = replace(given, provenance=replace(given.provenance, started="yesterday"))
    assert "startTimeUtc" not in saved(given, tmp_path)["invocations"][0]

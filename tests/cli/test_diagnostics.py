"""Findings on the terminal."""

import re
from dataclasses import replace

import pytest

from auditor.cli.diagnostics import Diagnostics, relation
from auditor.report.anchors import anchors
from auditor.report.worst_classes import worst_classes
from auditor.results import (
    Answer,
    Audit,
    DataFacts,
    Finding,
    LayerFacts,
    Recorded,
    Result,
    RuleFacts,
    Verdict,
)
from tests.report.sample_audits import facts

FAILED = Finding("predictions.accuracy", Verdict.FAIL, "too few are right " * 9, value=0.75, limit=0.8, n=44)
CLASSES = DataFacts(3, ("cat", "dog", "owl"))
ANSWERS = tuple(Answer(f"{n}.png", "", n % 3, 0, 0.5) for n in range(9))


def audit(*findings, rules=None, **about):
    provenance = replace(facts(), **{"data": CLASSES, **about})
    return Audit(provenance, (Result("predictions", "?", findings, rules=rules or {}),), recorded=Recorded(ANSWERS))


def told(of, *, width=80, **options):
    lines = Diagnostics(of, width=width, again=lambda check: f"auditor run --check {check}", **options).full()
    return [(f"{line.verdict} " if line.verdict is not None else "") + line.head + line.rest for line in lines]


def test_a_failure_shows_value_limit_place_advice_command_and_anchor():
    rules = {"predictions.accuracy": RuleFacts("?", advice="Look at the mistakes.")}
    lines = told(audit(FAILED, rules=rules), page="reports/net/report.html")
    assert lines[0] == "fail predictions.accuracy  75 % < 80 % (n = 44)"
    assert lines[-5:] == [
        "     where: dog 0 of 3, owl 0 of 3",
        "     help:  Look at the mistakes.",
        "     again: auditor run --check predictions",
        "     see:   reports/net/report.html#predictions.accuracy",
        "",
    ]


@pytest.mark.parametrize("width", [50, 80, 120])
def test_text_hangs_under_the_finding_and_stays_in_the_width(width):
    lines = told(audit(FAILED, replace(FAILED, value=None, rule="a.b")), width=width)
    assert max(map(len, lines)) <= min(width, 100)
    assert all(re.match(r"fail | {5}\S|$", line) for line in lines)


def test_equal_skips_are_one_line_with_the_rules():
    skips = [Finding(f"a.{name}", Verdict.SKIP, "there are no images") for name in "bcd"]
    assert told(audit(*skips)) == ["skip a.b, a.c, a.d: there are no images"]


def test_findings_of_one_rule_share_their_help():
    found = [Finding("a.b", Verdict.WARN, "dead", subject=name, detail="Prune it.") for name in ("conv1", "conv2")]
    lines = told(audit(*found))
    assert sum("help:" in line for line in lines) == sum("again:" in line for line in lines) == 1


def test_a_check_that_broke_is_one_line_and_says_where_the_traceback_is():
    broken = Finding("a.error", Verdict.ERROR, "ValueError: no", detail="Traceback\n" * 30)
    assert not any("Traceback" in line for line in told(audit(broken)))
    assert any("--verbose" in line for line in told(audit(broken)))
    assert sum(line.strip() == "Traceback" for line in told(audit(broken), verbose=True)) == 30


@pytest.mark.parametrize(
    ("subject", "where"), [("conv1", "layer conv1"), ("cat", "class cat"), ("1.png", "file 1.png")]
)
def test_tells_what_a_subject_is(subject, where):
    layers = replace(facts().architecture, layers=(LayerFacts("conv1", "Conv2d", (1,)),))
    found = Finding("a.b", Verdict.WARN, "dead", subject=subject)
    assert f"     where: {where}" in told(audit(found, architecture=layers))


@pytest.mark.parametrize(("value", "sign"), [(0.1, "<"), (0.2, "="), (0.3, ">")])
def test_the_relation_is_the_one_of_the_numbers(value, sign):
    assert relation(Finding("a.b", Verdict.WARN, "", value=value, limit=0.2)) == f"{100 * value:g} % {sign} 20 %"
    assert relation(Finding("a.b", Verdict.WARN, "", value=0.20001, limit=0.2, n=9)) == "20 % (n = 9)"


def test_anchors_are_readable_and_unique():
    found = [
        Finding("a.b", Verdict.WARN, "one"),
        Finding("a.b", Verdict.WARN, "two"),
        Finding("a.b", Verdict.WARN, "three", subject="layer 1.conv<2>"),
    ]
    assert anchors(audit(*found)) == (("a.b", "a.b~2", "a.b:layer-1.conv-2-"),)


def test_the_worst_classes_are_those_with_mistakes():
    assert [one.name for one in worst_classes(audit(FAILED))] == ["dog", "owl"]

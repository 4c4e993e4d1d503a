"""What an audit says nothing about, as every format shows it."""

import json

from auditor import report
from auditor.report import summary
from auditor.report.unassessed import not_assessed
from auditor.results import (
    Answer,
    ArchitectureFacts,
    Audit,
    CheckpointFacts,
    DataFacts,
    Finding,
    Provenance,
    Recorded,
    Result,
    Verdict,
)


def audit(*findings, classes=("ant", "bee", "cow"), labels=(0, 0), settings=None, **more):
    data = DataFacts(len(labels), classes, labelled=True, skipped=(("a.png", "is truncated"),))
    about = Provenance(CheckpointFacts("net.pt", "", 1), ArchitectureFacts("Net", "", 1), data, settings=settings or {})
    answers = tuple(Answer(f"{i}.png", "", label, 0, 0.5) for i, label in enumerate(labels))
    return Audit(about, (Result("check", "Is it?", findings),), recorded=Recorded(answers), **more)


def told(found):
    return {gap.reason: gap.subjects for gap in not_assessed(found)}


def test_rules_are_grouped_by_the_reason_to_skip_them():
    blocked = "blocked by a.rule: it is gone"
    found = audit(
        Finding("saliency.skipped", Verdict.SKIP, blocked),
        Finding("trust.skipped", Verdict.SKIP, blocked),
        Finding("filters.dead", Verdict.SKIP, "too few filters", "conv1"),
        Finding("weights.constant", Verdict.PASS, "fine"),
    )
    reasons = told(found)
    assert reasons["Blocked by a.rule: it is gone."] == ("saliency", "trust")
    assert reasons["Too few filters."] == ("filters.dead [conv1]",)
    assert "Fine." not in reasons


def test_classes_without_images_and_files_that_could_not_be_read_are_counted():
    reasons = told(audit())
    assert "2 of 3 classes have no image: bee, cow." in reasons
    assert "1 file could not be read." in reasons
    assert not any("classes" in reason for reason in told(audit(labels=(0, 1, 2))))
    assert not any("classes" in reason for reason in told(audit(labels=(None, None))))


def test_an_accuracy_without_a_limit_is_only_reported():
    reason = "No limit is set for the accuracy. Set accuracy_warn or accuracy_fail of the check predictions."
    accuracy = Finding("predictions.accuracy", Verdict.INFO, "top-1 accuracy 75 %", value=0.75)
    assert told(audit(accuracy))[reason] == ("predictions.accuracy",)
    judged = Finding("predictions.accuracy", Verdict.PASS, "top-1 accuracy 75 %", value=0.75, limit=0.7)
    assert reason not in told(audit(judged))


def test_a_choice_of_checks_and_checks_that_had_no_turn_are_named():
    assert "Only these checks were selected: check." in told(audit(settings={"expression": "check"}))
    assert told(audit(not_run=("trust",)))["The audit stopped before these checks ran."] == ("trust",)


def test_record_summary_and_page_show_the_same(tmp_path):
    found = audit(Finding("trust.skipped", Verdict.SKIP, "needs images"))
    report.write(found, tmp_path, formats=["json", "html"])
    recorded = json.loads((tmp_path / "audit.json").read_text())["not_assessed"]
    assert [(gap["reason"], tuple(gap["subjects"])) for gap in recorded] == list(told(found).items())
    page, short = (tmp_path / "report.html").read_text(), summary.text(found)
    for gap in recorded:
        assert gap["reason"] in page
        assert gap["reason"] in short

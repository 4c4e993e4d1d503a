import pytest

from auditor.report.album import Album
from auditor.report.blocks import PRINT, SCREEN
from auditor.report.page import page_of
from auditor.report.remarks import is_doubt, remarks
from auditor.results import Finding, Gallery, Item, Result, Verdict
from tests.report.sample_audits import audit, photo, predictions


def shows(check, *methods):
    return Result(check, "Where?", (Gallery("cat.png", "", (Item(photo(), "map"),), methods=methods),))


def trust_result(*findings):
    return Result("trust", "Is it so?", findings)


def about(method, verdict, message, value=None, rule="trust.randomization"):
    return Finding(rule, verdict, message, method, value, None if value is None else 0.5)


BACKPROP = about("guided backprop", Verdict.INFO, "guided backprop: hardly depends", 0.9)
PASSED = about("gradient", Verdict.PASS, "gradient: changes", 0.1)
FAITHFUL = about("gradient", Verdict.PASS, "gradient: better than chance", 0.01, "trust.faithfulness")
WARNED = about("Grad-CAM", Verdict.WARN, "Grad-CAM: hardly depends", 0.7)


@pytest.mark.parametrize(
    ("finding", "doubt"),
    [(BACKPROP, True), (WARNED, True), (PASSED, False), (about("gradient", Verdict.INFO, "told"), False)],
)
def test_a_doubt_is_what_warns_or_is_over_its_limit(finding, doubt):
    assert is_doubt(finding) is doubt


def test_a_check_is_told_what_others_found_of_the_methods_that_it_shows():
    saliency, occlusion = shows("saliency", "gradient", "guided backprop"), shows("occlusion", "occlusion")
    whole = audit(saliency, occlusion, trust_result(BACKPROP, PASSED, FAITHFUL, WARNED))
    assert remarks(whole, saliency) == (("trust", PASSED), ("trust", BACKPROP))
    assert remarks(whole, occlusion) == ()


def test_all_doubts_of_a_method_are_told_and_what_passed_is_not_beside_them():
    doubt = about("gradient", Verdict.WARN, "gradient: no better than chance", 0.6, "trust.faithfulness")
    saliency = shows("saliency", "gradient")
    assert remarks(audit(saliency, trust_result(PASSED, doubt)), saliency) == (("trust", doubt),)
    hardly = about("gradient", Verdict.WARN, "gradient: hardly depends", 0.8)
    assert remarks(audit(saliency, trust_result(hardly, doubt)), saliency) == (("trust", hardly), ("trust", doubt))


def test_a_check_says_nothing_of_its_own_findings():
    both = Result("trust", "?", (*shows("trust", "gradient").evidence, PASSED))
    assert remarks(audit(both), both) == ()


@pytest.mark.parametrize("medium", [SCREEN, PRINT])
def test_remarks_stand_in_the_section_and_lead_to_their_check(medium):
    whole = audit(predictions(), shows("saliency", "gradient", "guided backprop"), trust_result(BACKPROP, PASSED))
    first, section, last = page_of(whole, medium, Album()).sections
    assert first.remarks == last.remarks == ()
    assert [remark.message for remark in section.remarks] == ["gradient: changes.", "Guided backprop: hardly depends."]
    assert [remark.doubt for remark in section.remarks] == [False, True]
    assert {remark.target for remark in section.remarks} == {last.id}

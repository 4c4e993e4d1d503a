import dataclasses
import re
import subprocess

import pypdf
import pytest

from auditor.report import pdf
from auditor.results import Finding, Result, Verdict
from tests.report.sample_audits import audit, facts, predictions

ADVICE = "Photograph the class on other backgrounds, or cut the mark out of its images before training. " * 2


def warning(number: int, *, rule: str = "rule", words: int = 12, detail: str = ADVICE) -> Finding:
    message = f"number {number} " + "gives the class away " * (words // 4)
    return Finding(f"{rule}.{number % 4}", Verdict.WARN, message.strip(), f"class {number}", detail=detail)


def audited(*findings: Finding, title: str = "", **changes):
    report = {"title": title, "confidential": "For Acme only", "footer": "Acme, QA"} if title else {}
    told = facts(settings={"report": report})
    return dataclasses.replace(audit(Result("made", "Is it?", findings), **changes), provenance=told)


@pytest.fixture
def cover(tmp_path):
    def printed(found) -> str:
        pdf.save(found, tmp_path)
        return " ".join(pypdf.PdfReader(tmp_path / "report.pdf").pages[0].extract_text().split())

    return printed


def test_tells_what_is_wrong_where_and_what_to_do(cover):
    text = cover(audited(warning(1)))
    assert "Number 1 gives the class away" in text
    assert "rule.1 class 1" in text
    assert "Photograph the class on other backgrounds" in text


def test_tells_of_one_rule_after_the_other_and_of_three_at_the_most(cover):
    text = cover(audited(*(warning(number, words=4, detail="") for number in (1, 5, 2, 3, 0))))
    assert [int(number) for number in re.findall(r"Number (\d)", text)] == [1, 2, 3]


def test_of_three_that_do_not_fit_the_advice_is_shortened_further(cover):
    text = cover(audited(*(warning(number, words=16) for number in range(3))))
    assert [int(number) for number in re.findall(r"Number (\d)", text)] == [0, 1, 2]
    assert text.count("…") == 3


def test_tells_of_failures_and_not_of_warnings_beside_them(cover):
    text = cover(audit(predictions(), Result("made", "Is it?", (warning(1),))))
    assert "Number 1" not in text
    assert "predictions.accuracy" in text


def test_tells_nothing_more_of_an_audit_that_passed(cover):
    passed = Finding("rule.fine", Verdict.PASS, "all is well")
    assert "all is well" not in cover(audit(Result("made", "Is it?", (passed,))))


@pytest.mark.parametrize("words", [4, 400])
@pytest.mark.parametrize("title", ["", "Line 3", "The model of November for line 3, as it was after the accident " * 4])
@pytest.mark.parametrize("left", [(), ("late", "later")])
def test_what_it_tells_ends_above_the_imprint(tmp_path, words, title, left):
    pdf.save(audited(*(warning(number, words=words) for number in range(6)), title=title, not_run=left), tmp_path)
    lines = _lines(tmp_path / "report.pdf")
    imprint = min(top for top, _bottom, text in lines if text.startswith("Network"))
    told = [bottom for _top, bottom, text in lines if re.match(r"rule\.\d", text)]
    assert len(told) <= 3
    assert all(bottom < imprint for bottom in told)
    assert bool(told) or len(title) > 100


def _lines(path) -> list[tuple[float, float, str]]:
    """Return top, bottom and text of each line of the first page."""
    command = ["pdftotext", "-bbox-layout", "-f", "1", "-l", "1", str(path), "-"]
    page = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = []
    for line in re.findall(r"<line .*?</line>", page, re.DOTALL):
        _x, top, _right, bottom = map(float, re.findall(r'="([\d.]+)"', line)[:4])
        found.append((top, bottom, " ".join(re.findall(r">([^<]+)</word>", line))))
    return found

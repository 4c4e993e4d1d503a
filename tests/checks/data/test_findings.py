"""What is said of the labels and the contents of files."""

from __future__ import annotations

import pytest

from auditor.checks.data.findings import contents, layout
from auditor.data.assumption import Assumption
from auditor.results import Verdict

NAMES = ("a.png", "b.png", "c.png", "d.png")


@pytest.mark.parametrize(
    ("digests", "labels", "verdict", "contradictions", "copies"),
    [
        ("1234", (0, 1, 0, 1), Verdict.PASS, 0, 0),
        ("1134", (0, 0, 0, 1), Verdict.PASS, 0, 1),
        ("1134", (0, 1, 0, 1), Verdict.FAIL, 1, 1),
        ("1114", (0, 1, 2, 1), Verdict.FAIL, 1, 2),
        ("1122", (0, 1, 0, 1), Verdict.FAIL, 2, 2),
        ("1134", (0, None, 0, 1), Verdict.PASS, 0, 1),
    ],
)
def test_one_image_has_one_label(digests, labels, verdict, contradictions, copies):
    first, *more = contents(NAMES, tuple(digests), labels)
    assert (first.rule, first.verdict, first.value) == ("data.labels", verdict, contradictions)
    assert [one.value for one in more] == ([copies] if copies else [])
    assert ("a.png = b.png" in first.detail) is bool(contradictions)


def test_files_that_can_not_be_read_are_no_copies_of_each_other():
    (finding,) = contents(NAMES, ("", "", "", "4"), (0, 1, 2, 3))
    assert finding.verdict is Verdict.PASS


def test_without_labels_only_copies_are_told():
    assert [one.rule for one in contents(NAMES, tuple("1134"), (None,) * 4)] == ["data.duplicates"]
    assert list(contents(NAMES, tuple("1234"), (None,) * 4)) == []


def test_a_guess_is_a_warning_and_nothing_assumed_is_not_told():
    assert list(layout(())) == []
    (told,) = layout((Assumption("one"), Assumption("two")))
    assert (told.verdict, told.message) == (Verdict.INFO, "one; two")
    (guess,) = layout((Assumption("one"), Assumption("two", guess=True)))
    assert guess.verdict is Verdict.WARN

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.process.foreign_text import printable, printable_lines
from auditor.report.annotations import command, lines, stopped
from auditor.results import Audit, Finding, Result, Verdict
from tests.report.sample_audits import HOSTILE, audit, hostile, predictions

COMMAND = re.compile(r"::(?P<name>[^ :]+)(?: (?P<properties>.*?))?::(?P<data>.*)")
BACK = {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}

texts = st.text() | st.sampled_from(HOSTILE) | st.text(st.sampled_from("%\r\n:,;=[]#0AD3C25 ex"))


def unescaped(text: str, names: tuple[str, ...]) -> str:
    for name in names:
        text = text.replace(name, BACK[name])
    return text


def heard(output: str) -> list[tuple[str, str, str]]:
    """Return the commands that GitHub's runner takes from what is printed: name, title, message."""
    found, stop = [], ""
    for line in re.split(r"\r\n|\r|\n", output):
        parts = COMMAND.match(line.lstrip())
        if stop:
            stop = "" if line.strip() == f"::{stop}::" else stop
        elif parts and parts["name"] == "stop-commands":
            stop = parts["data"]
        elif parts:
            title = dict(pair.split("=", 1) for pair in (parts["properties"] or "").split(",") if pair).get("title", "")
            message = unescaped(parts["data"], ("%0D", "%0A", "%25"))
            found.append((parts["name"], unescaped(title, ("%0D", "%0A", "%3A", "%2C", "%25")), message))
        elif "##[" in line:
            found.append(("old", "", line))
    return found


def found(*verdicts: Verdict) -> Audit:
    return audit(Result("c", "?", tuple(Finding(f"c.{i}", v, f"finding {i}") for i, v in enumerate(verdicts))))


def test_a_finding_has_its_rule_and_subject_as_title_and_its_numbers_in_the_message():
    assert heard("\n".join(lines(audit()))) == [
        (
            "error",
            "predictions.accuracy [cat]",
            "Right on 40 % of 40 images. (40 %, limit 50 %, n = 40, 95 % interval 26 % to 55 %)\nTrain longer.",
        )
    ]


def test_what_failed_or_broke_is_an_error_the_worst_first_and_what_warned_a_warning():
    told = heard("\n".join(lines(found(*Verdict))))
    assert [(name, title) for name, title, _ in told] == [("error", "c.5"), ("error", "c.4"), ("warning", "c.3")]


def test_under_strict_a_warning_is_an_error(monkeypatch):
    given = found(Verdict.WARN)
    given.provenance.settings["strict"] = True
    assert [name for name, _, _ in heard("\n".join(lines(given)))] == ["error"]


def test_of_more_than_github_shows_the_last_one_counts_the_others():
    told = heard("\n".join(lines(found(*[Verdict.FAIL] * 12, *[Verdict.WARN] * 10))))
    assert [name for name, _, _ in told] == ["error"] * 10 + ["warning"] * 10
    assert told[9][2] == "3 more errors: see the report."
    assert told[-1][1] == "c.21"


def test_an_interrupted_audit_and_one_in_which_nothing_could_run_are_errors():
    interrupted = lines(audit(predictions(Verdict.PASS), interrupted=True))
    assert [message for _, _, message in heard("\n".join(interrupted))] == [
        "The audit was interrupted; the report is incomplete."
    ]
    assert [name for name, _, _ in heard("\n".join(lines(found(Verdict.SKIP))))] == ["error"]
    assert lines(found(Verdict.PASS)) == []


@given(texts, texts)
def test_any_text_is_one_command_and_is_read_back_as_it_was_printed(title, message):
    assert heard(command("error", title, message)) == [("error", printable(title), printable_lines(message))]


@pytest.mark.parametrize(
    "words", [*HOSTILE, "a\n::error::b", "\r\n##[add-mask]x", "::stop-commands::x", "%0A::error::"]
)
def test_no_text_adds_a_command(words):
    assert len(heard("\n".join(lines(hostile(words))))) == 1


@given(texts)
def test_between_the_two_lines_of_stopped_nothing_is_a_command(printed):
    begin, end = stopped()
    assert heard("\n".join([begin, printed, "::error::x", "  ::error::y", "##[error]z", end, "::error::heard"])) == [
        ("error", "", "heard")
    ]


def test_nobody_can_guess_the_line_that_ends_it():
    assert len({stopped()[1] for _ in range(100)}) == 100


def test_a_message_is_cut_before_github_does():
    (line,) = lines(audit(Result("c", "?", (Finding("c.a", Verdict.FAIL, "x" * 9000),))))
    assert len(line) < 4096

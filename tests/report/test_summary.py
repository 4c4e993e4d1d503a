import pytest
from markdown_it import MarkdownIt

from auditor.errors import OutputError
from auditor.report import step_summary, summary
from auditor.results import Finding, Result, RuleFacts, Verdict
from tests.report.sample_audits import HOSTILE, audit, hostile, maps, predictions

GITHUB = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def found(*verdicts: Verdict) -> Result:
    return Result("c", "?", tuple(Finding(f"c.{i}", verdict, f"finding {i}") for i, verdict in enumerate(verdicts)))


def test_tells_the_verdict_first_and_in_a_sentence():
    lines = summary.text(audit()).splitlines()
    assert lines[0] == "## ❌ Fail: net.pt"
    assert lines[2] == "1 failure: do not ship this network as it is."


def test_a_finding_that_decided_it_has_its_number_its_limit_and_what_to_do():
    (item,) = [line for line in summary.text(audit()).splitlines() if line.startswith("- ❌")]
    assert item == (
        "- ❌ **Fail** <code>predictions.accuracy</code> <code>cat</code> Right on 40 % of 40 images. "
        "(40 %, limit 50 %, n = 40, 95 % interval 26 % to 55 %) Train longer."
    )


def test_where_nothing_failed_the_warnings_are_told_and_where_all_passed_nothing():
    assert "Warnings" in summary.text(audit(found(Verdict.PASS, Verdict.WARN)))
    decided, _rest = summary.text(audit(found(Verdict.PASS))).split("<details>", 1)
    assert "- " not in decided


def test_more_findings_than_fit_are_counted():
    assert "\n3 more findings of this kind: see the report.\n" in summary.text(audit(found(*[Verdict.FAIL] * 33)))


def test_every_check_has_a_row_with_verdict_time_and_worst_finding():
    text = summary.text(audit(predictions(), maps(), not_run=("later",)))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    assert rows[2:] == [
        ["<code>predictions</code> Is it right?", "❌ Fail", "1.50 s", "Right on 40 % of 40 images."],
        ["<code>later</code>", "Not run", "", ""],
        ["Check", "Verdict", "Time", "Worst finding"],
        ["---", "---", "---:", "---"],
        ["<code>maps</code> Where does it look?", "ℹ️ Information", "0.50 s", ""],
    ]
    assert "\n\n<details><summary>1 check without a warning</summary>\n\n| Check" in text


def test_accuracy_and_its_change_come_first():
    accuracy = Finding("predictions.accuracy", Verdict.FAIL, "top-1 accuracy 75 % (33 of 44)", value=0.75)
    change = Finding("baseline.accuracy", Verdict.WARN, "it was 80 %", value=-0.05)
    text = summary.text(audit(Result("baseline", "?", (change,)), Result("predictions", "?", (accuracy,))))
    assert text.splitlines()[2:5] == ["❌ **top-1 accuracy 75 % (33 of 44).**", "", "⚠️ **It was 80 %.**"]


def test_the_advice_is_the_rule_s_and_lists_no_tensors():
    missing = Finding("c.missing", Verdict.FAIL, "2 tensors are missing", detail="Tensors: conv1.weight, conv1.bias.")
    rules = {"c.missing": RuleFacts("?", advice="Name the architecture.")}
    text = summary.text(audit(Result("c", "?", (missing,), rules=rules)))
    assert "Name the architecture." in text
    assert "conv1.weight" not in text


def test_an_audit_that_ended_early_says_so():
    assert "**This audit was interrupted." in summary.text(audit(interrupted=True))


def test_a_traceback_is_left_to_the_report():
    broken = Finding("c.error", Verdict.ERROR, "RuntimeError: no", detail='Traceback:\n  File "/home/me"\n  a\n  b\n')
    assert "Traceback" not in summary.text(audit(Result("c", "?", (broken,))))


def test_a_message_of_many_pages_is_cut():
    long = Finding("c.long", Verdict.WARN, "x" * 100_000)
    assert len(summary.text(audit(Result("c", "?", (long,))))) < 3000


FOLDED = ("1 check without a warning", "Not assessed")


@pytest.mark.parametrize("words", HOSTILE)
def test_no_text_makes_markup(words):
    tokens = GITHUB.parse(summary.text(hostile(words)))
    inner = [child for token in tokens for child in token.children or ()]
    assert {token.content for token in inner if token.type == "html_inline"} <= {"<code>", "</code>", "<sub>", "</sub>"}
    assert not {token.type for token in inner} & {"link_open", "image", "em_open", "s_open", "code_inline"}
    assert not {token.type for token in tokens} & {"fence", "code_block", "blockquote_open"}
    blocks = [token.content.strip() for token in tokens if token.type == "html_block"]
    folded = [block for block in blocks if block.startswith("<details>")]
    assert set(folded) <= {f"<details><summary>{title}</summary>" for title in FOLDED}
    assert blocks.count("</details>") == len(blocks) - len(folded) == len(folded)
    assert sum(token.type == "table_open" for token in tokens) == 1 + any("check" in block for block in folded)


def test_is_appended_to_what_the_step_has_said_already(tmp_path):
    step = tmp_path / "step.md"
    step_summary.append(audit(), step)
    assert step.read_text() == summary.text(audit())
    step_summary.append(audit(), step)
    assert step.read_text() == f"{summary.text(audit())}\n\n{summary.text(audit())}"


@pytest.mark.parametrize("used", [0, 2**20 - 60_000, 2**20 - 5_000])
def test_what_github_would_not_show_is_cut_at_a_line_that_says_so(tmp_path, used):
    step = tmp_path / "step.md"
    step.write_bytes(b"x" * used)
    long = Result("猫", "高" * 3000, (Finding("c.high", Verdict.FAIL, "高" * 30),))
    step_summary.append(audit(*[long] * 120), step)
    written = step.read_bytes()
    assert len(written) <= step_summary.LARGEST
    added = written[used:].decode()  # no letter is cut in two
    assert added.rstrip().endswith("The full summary is in summary.md of the report.**")
    assert added.count("\n") > 3


def test_a_step_without_room_and_a_file_that_can_not_be_written_are_one_line(tmp_path):
    full = tmp_path / "full.md"
    full.write_bytes(b"x" * step_summary.LARGEST)
    with pytest.raises(OutputError, match="already has the 1 MiB"):
        step_summary.append(audit(), full)
    assert full.stat().st_size == step_summary.LARGEST
    with pytest.raises(OutputError, match=r"can't append the summary to .*nowhere.*: No such file"):
        step_summary.append(audit(), tmp_path / "nowhere" / "step.md")

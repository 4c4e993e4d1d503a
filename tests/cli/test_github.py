"""What GitHub Actions is told, and what becomes of it where there is no GitHub."""

import pytest

from auditor.cli.commands import main
from auditor.cli.github import Workflow
from auditor.results import ArchitectureFacts, Audit, CheckpointFacts, DataFacts, Finding, Provenance, Result, Verdict

FACTS = Provenance(CheckpointFacts("net.pt", "", 1), ArchitectureFacts("net", "", 1), DataFacts(1))
AUDIT = Audit(FACTS, (Result("c", "?", (Finding("c.a", Verdict.FAIL, "it fails"),)),))


@pytest.fixture
def said():
    return []


def test_elsewhere_nothing_is_said(said):
    with Workflow(said.append, {"GITHUB_ACTIONS": "false"}) as workflow:
        workflow.stop()
        assert workflow.finished(AUDIT) == ""
        workflow.refused("why")
    assert said == []


def test_commands_are_stopped_while_the_audit_runs_and_heard_behind_it(said):
    with Workflow(said.append, {"GITHUB_ACTIONS": "true"}) as workflow:
        workflow.stop()
        workflow.stop()
        said.append("::error::not ours")
        workflow.finished(AUDIT)
    token = said[0].removeprefix("::stop-commands::")
    assert said[1:] == ["::error::not ours", f"::{token}::", "::error title=c.a::It fails."]


def test_commands_are_heard_again_where_the_audit_broke(said):
    workflow = Workflow(said.append, {"GITHUB_ACTIONS": "true"})
    workflow.stop()
    with pytest.raises(ZeroDivisionError), workflow:
        1 / 0  # noqa: B018
    assert said[1] == f"::{said[0].removeprefix('::stop-commands::')}::"


def test_only_the_first_of_several_processes_stops_commands(said):
    with Workflow(said.append, {"GITHUB_ACTIONS": "true", "RANK": "1"}) as workflow:
        workflow.stop()
        workflow.refused("why")
    assert said == ["::error title=auditor::why"]


def test_a_summary_that_can_not_be_written_is_told_and_costs_nothing_else(said, tmp_path):
    missing = str(tmp_path / "nowhere" / "step.md")
    with Workflow(said.append, {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": missing}) as workflow:
        trouble = workflow.finished(AUDIT)
    assert trouble.startswith("can't append the summary to")
    assert said[0] == "::error title=c.a::It fails."
    assert said[1].startswith("::warning title=auditor::can't append the summary to")


def test_the_summary_is_appended_wherever_a_file_for_it_is_named(said, tmp_path):
    step = tmp_path / "step.md"
    assert Workflow(said.append, {"GITHUB_STEP_SUMMARY": str(step)}).finished(AUDIT) == ""
    assert step.read_text().startswith("## ❌ Fail: net.pt")
    assert said == []


def test_a_refused_command_prints_its_error_while_commands_are_stopped(monkeypatch, capfd, tmp_path):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    name = str(tmp_path / "x\n::set-output name=a::b")
    assert main(["run", name]) == 4
    out, err = capfd.readouterr()
    begin, end, annotation = out.splitlines()
    assert begin.startswith("::stop-commands::")
    assert end == f"::{begin.removeprefix('::stop-commands::')}::"
    assert annotation.startswith("::error title=auditor::")
    assert err.splitlines() == [next(line for line in err.splitlines() if line.startswith("error: "))]

"""Two networks audited on the same photographs, and compared from the command line."""

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
import torch

import auditor.report
from auditor.cli.commands import main
from auditor.results import Exit
from tests.audits import record

SCHEMA = json.loads((Path(auditor.report.__file__).parent / "schema.json").read_text())
FEW = "[checks.predictions]\nfew = 5\n[checks.activations]\nfew = 5\n[checks.baseline]\nfew = 5\n"


@pytest.fixture(scope="module")
def reports(tmp_path_factory, small, photographs):
    """The reports of a network, and of the same one with a lost class and two channels that are dead."""
    folder = tmp_path_factory.mktemp("reports")
    (folder / "auditor.toml").write_text(
        f'data = "{photographs}"\narch = "{small.arch}"\npreprocess = "{small.preprocess_file}"\nsamples = 3\n'
        f'format = "json"\ncheck = ["predictions", "activations", "saliency"]\n{FEW}'
    )
    state = torch.load(small.checkpoint)
    torch.save(state, folder / "old.pt")
    state["conv2.bias"][:2] -= 100
    state["head.bias"][0] -= 100
    torch.save(state, folder / "new.pt")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["run", "old.pt", "--save-arrays"])
        main(["run", "new.pt", "--save-arrays"])
    return folder


@pytest.fixture
def call(reports, monkeypatch, command_line):
    monkeypatch.chdir(reports)
    return command_line


def findings(folder, rule):
    every = [piece for result in record(folder)["results"] for piece in result["evidence"]]
    return [piece for piece in every if piece.get("rule") == f"baseline.{rule}"]


def test_a_step_of_github_actions_is_told_what_became_worse(call, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    lines = call("compare", "reports/old", "reports/new")[1].splitlines()
    end = lines.index(f"::{lines[0].removeprefix('::stop-commands::')}::")
    assert lines[end + 1].startswith("::error title=baseline.")
    assert all(line.startswith(("::error ", "::warning ")) for line in lines[end + 1 :])
    assert "Some failures are new" in (tmp_path / "step.md").read_text()


def test_tells_what_became_worse(call):
    code, out, _ = call("compare", "reports/old", "reports/new")
    assert code == Exit.FAILED
    assert "baseline.findings" in out
    assert "predictions.collapsed" in out
    assert "conv2" in out
    assert "0, 1" in out
    assert "astronaut" in out


def test_an_audit_compared_with_itself_is_as_before(call):
    code, out, _ = call("compare", "reports/old", "reports/old/audit.json", "-v")
    assert code == Exit.OK
    assert "findings, all unchanged" in out
    assert "verdict: PASS" in out


def test_writes_the_comparison_as_html_pdf_and_json(call, tmp_path):
    code, out, _ = call("compare", "reports/old", "reports/new", "--out", tmp_path / "diff")
    assert code == Exit.FAILED
    written = record(tmp_path / "diff")
    jsonschema.validate(written, SCHEMA)
    assert (written["comparison"], written["exit_code"]) == (True, 1)
    assert [r["check"] for r in written["results"]] == [
        "data",
        "findings",
        "accuracy",
        "calibration",
        "dead",
        "explanations",
    ]
    page = (tmp_path / "diff" / "report.html").read_text()
    assert "new.pt compared with old.pt" in page
    assert (tmp_path / "diff" / "report.pdf").read_bytes().startswith(b"%PDF")
    assert str(tmp_path / "diff" / "report.html") in out.replace("\n", "")


def test_the_record_of_an_audit_holds_every_answer_and_every_silent_channel(reports):
    for name in ("old", "new"):
        written = record(reports / "reports" / name)
        jsonschema.validate(written, SCHEMA)
        assert len(written["recorded"]["answers"]) == 24
        classes = written["provenance"]["data"]["classes"]
        assert all(file.startswith(classes[label]) for file, _, label, _, _ in written["recorded"]["answers"])
    assert set(written["recorded"]["silent"]["conv2"]) >= {0, 1}


def test_measures_both_on_the_same_images(call, tmp_path):
    call("compare", "reports/old", "reports/new", "--out", tmp_path / "diff", "--format", "json")
    (overall, *_) = findings(tmp_path / "diff", "accuracy")
    old, new = (record(f"reports/{name}")["recorded"]["answers"] for name in ("old", "new"))
    right = [sum(row[2] == row[3] for row in rows) for rows in (old, new)]
    assert overall["value"] == pytest.approx((right[1] - right[0]) / 24)
    assert findings(tmp_path / "diff", "dead")[0]["subject"] == "conv2"
    assert all(found["n"] for found in findings(tmp_path / "diff", "explanations"))


def test_an_audit_says_how_it_compares_with_its_baseline(call, tmp_path):
    code, *_ = call("run", "new.pt", "--baseline", "reports/old", "--out", tmp_path / "r", "--format", "html,junit")
    assert code == Exit.FAILED
    written = record(tmp_path / "r")
    assert written["results"][-1]["check"] == "baseline"
    assert written["provenance"]["settings"]["baseline"]["checkpoint"] == "old.pt"
    assert findings(tmp_path / "r", "explanations")[0]["verdict"] != "skip"  # the baseline has maps, and so has this
    assert not (tmp_path / "r" / "arrays").exists()
    suites = ET.parse(tmp_path / "r" / "junit.xml").getroot()  # noqa: S314 - written just now
    assert "baseline" in [suite.get("name") for suite in suites]
    assert "baseline.findings" in (tmp_path / "r" / "report.html").read_text()


@pytest.mark.parametrize("path", ["r", "r/audit.json", "link", "elsewhere/../r"])
def test_an_audit_never_replaces_its_baseline(call, tmp_path, path):
    shutil.copytree("reports/old", tmp_path / "r")
    (tmp_path / "link").symlink_to("r")
    (tmp_path / "elsewhere").mkdir()
    code, _, err = call("run", "old.pt", "--out", tmp_path / "r", "--baseline", tmp_path / path)
    assert code == Exit.USAGE
    assert "holds the baseline" in err
    assert err.count("\n") == 1
    assert record(tmp_path / "r") == record("reports/old")


def test_limits_are_relative_to_the_baseline(call, tmp_path):
    flags = ["-k", "predictions", "--baseline", "reports/old", "--out", tmp_path / "r"]
    option = ["-o", "predictions.accuracy_fail=baseline - 0.01"]
    code, *_ = call("run", "old.pt", *flags, *option)
    assert code == Exit.OK
    code, out, _ = call("run", "new.pt", *flags, *option)
    assert code == Exit.FAILED
    assert "FAIL predictions.accuracy" in out
    assert "baseline - 0.01, which is" in " ".join(record(tmp_path / "r")["provenance"]["notes"])


def test_an_audit_from_python_takes_a_baseline_too(reports, small, photographs):
    asked = {"arch": small.arch, "preprocess": str(small.preprocess_file), "check": "predictions"}
    limits = {"predictions": {"accuracy_fail": "baseline - 0.01"}}
    found = auditor.run(reports / "new.pt", photographs, baseline=reports / "reports" / "old", checks=limits, **asked)
    assert [result.check for result in found.results] == ["predictions", "baseline"]
    assert found.exit_code() == Exit.FAILED
    assert len(found.recorded.answers) == 24


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "new.pt", "--baseline", "nowhere"], "nowhere does not exist"),
        (["run", "new.pt", "--baseline", "."], "is not a report: it has no audit.json"),
        (["run", "new.pt", "--baseline", "auditor.toml"], "is damaged"),
        (["run", "new.pt", "-o", "predictions.accuracy_fail=baseline"], "give --baseline PATH"),
        (["run", "new.pt", "-o", "predictions.accuracy_fail=baseline / 2"], '"baseline - 0.01"'),
        (["run", "new.pt", "-o", "predictions.few=baseline"], "can't be relative to the baseline"),
        (["compare", "reports/old", "nowhere"], "nowhere does not exist"),
        (["compare", "reports/old", "reports/new", "--format", "html"], "--out DIR"),
        (["compare", "reports/old", "reports/new", "--out", "reports/old"], "choose another folder"),
        (["compare", "reports/old", "reports/new", "-o", "baseline.dorp=1"], "did you mean 'drop'?"),
        (["compare", "reports/old"], "Missing argument"),
    ],
)
def test_refuses_in_one_line(call, arguments, message):
    code, _, err = call(*arguments)
    assert code == Exit.USAGE
    assert message in err
    assert err.count("\n") == 1
    assert err.startswith("error: ")


def test_loads_no_torch(reports):
    script = (
        "import sys; from auditor.cli.commands import main; code = main(sys.argv[1:]); "
        "sys.exit(f'{code}' if code != 1 or 'torch' in sys.modules else 0)"
    )
    command = [sys.executable, "-c", script, "compare", "reports/old", "reports/new", "-q"]
    done = subprocess.run(command, cwd=reports, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr

"""An audit from Python: what it shows of itself, and where it writes."""

import pandas
import pytest
from torch import nn

import auditor
from auditor.errors import UsageError
from tests import networks
from tests.audits import record


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    path = networks.save(networks.build(networks.Tiny), tmp_path_factory.mktemp("net") / "net.pt")
    return auditor.run(path, arch=networks.flag(networks.Tiny), check=["weights", "filters"])


def test_is_shown_in_one_line(audit):
    assert repr(audit).startswith(f"<Audit of net.pt: {audit.verdict}, 2 checks")
    assert "\n" not in repr(audit)
    assert len(repr(audit)) < 120


def test_the_findings_are_a_frame(audit):
    frame = audit.to_frame()
    assert list(frame.rule) == [finding.rule for finding in audit.findings]
    assert set(frame.check) == {"weights", "filters"}
    assert pandas.api.types.is_numeric_dtype(frame.value)


def test_without_pandas_says_what_to_install(audit, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        audit.to_frame()


def test_the_report_is_written_where_out_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = networks.save(networks.build(networks.Tiny), tmp_path / "net.pt")
    asked = {"arch": networks.flag(networks.Tiny), "check": ["weights"], "format": ["html", "json"]}
    done = auditor.run(path, **asked, out=tmp_path / "here")
    assert {file.name for file in (tmp_path / "here").iterdir()} >= {"report.html", "audit.json"}
    assert record(tmp_path / "here")["verdict"] == str(done.verdict)
    auditor.run(path, **asked)
    assert not (tmp_path / "reports").exists()


def test_a_live_module_is_refused_in_words():
    with pytest.raises(UsageError, match=r"path of a checkpoint, and was given a Linear; save its state dict"):
        auditor.run(nn.Linear(2, 2))

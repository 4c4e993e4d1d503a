import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from auditor import report
from auditor.errors import OutputError, UsageError
from auditor.report.formats import built_in
from auditor.results import Verdict
from tests.report.sample_audits import audit, maps, predictions

LIGHT = ("html", "json", "junit", "summary", "sarif")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_writes_every_format_and_says_where(tmp_path):
    written = report.write(audit(), tmp_path / "out", formats=("html", "pdf", "json", "junit", "summary", "sarif"))
    assert written == {
        "html": tmp_path / "out/report.html",
        "pdf": tmp_path / "out/report.pdf",
        "json": tmp_path / "out/audit.json",
        "junit": tmp_path / "out/junit.xml",
        "summary": tmp_path / "out/summary.md",
        "sarif": tmp_path / "out/report.sarif",
    }
    assert names(tmp_path / "out") == {path.name for path in written.values()} | {"evidence"}
    assert (tmp_path / "out/report.pdf").read_bytes().startswith(b"%PDF-")


def test_the_record_is_written_whatever_was_asked_for(tmp_path):
    assert set(report.write(audit(), tmp_path, formats=("junit",))) == {"junit", "json"}
    assert report.read(tmp_path) == audit()


def test_a_new_report_replaces_all_of_the_old_one(tmp_path):
    report.write(audit(), tmp_path, formats=LIGHT, arrays={"maps": {"a": np.zeros(3)}})
    report.write(audit(predictions()), tmp_path, formats=("json",))
    assert names(tmp_path) == {"audit.json"}


def test_what_no_audit_wrote_is_left_alone(tmp_path):
    report.write(audit(), tmp_path, formats=LIGHT)
    (tmp_path / "notes.txt").write_text("mine")
    report.write(audit(), tmp_path, formats=LIGHT)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["evidence", "report.pdf"])
def test_refuses_a_folder_whose_files_of_these_names_are_somebody_elses(tmp_path, name):
    (tmp_path / name).mkdir() if name == "evidence" else (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError, match=rf"'{name}' but no audit\.json"):
        report.write(audit(), tmp_path, formats=LIGHT)
    assert names(tmp_path) == {name}


def test_a_link_that_no_audit_made_is_refused_and_what_it_leads_to_is_kept(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "mine.txt").write_text("mine")
    report.write(audit(), tmp_path / "out", formats=("json",))
    (tmp_path / "out/arrays").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="contains 'arrays', which no audit wrote"):
        report.write(audit(), tmp_path / "out", formats=("json",))
    assert names(elsewhere) == {"mine.txt"}
    assert (tmp_path / "out/arrays").is_symlink()


def test_a_folder_that_can_not_be_made_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"can't write into .*file/out.*: Not a directory; choose another"):
        report.write(audit(), tmp_path / "file/out", formats=LIGHT)
    assert names(tmp_path) == {"file"}


def test_an_interrupt_leaves_the_old_report_whole_and_nothing_beside_it(tmp_path):
    def interrupted(given, folder):
        raise KeyboardInterrupt

    report.write(audit(), tmp_path, formats=LIGHT)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(KeyboardInterrupt):
        report.write(audit(predictions()), tmp_path, formats=("html", "ink"), extra={"ink": interrupted})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_unknown_format_names_the_nearest_one(tmp_path):
    with pytest.raises(UsageError, match=r"no report format 'htm'.*did you mean 'html'"):
        report.write(audit(), tmp_path / "out", formats=("htm",))
    assert not (tmp_path / "out").exists()


def test_a_plugin_writes_its_own_format(tmp_path):
    def save(given, folder):
        (folder / "verdict.txt").write_text(str(given.verdict))

    report.write(audit(), tmp_path, formats=("verdict",), extra={"verdict": save})
    report.write(audit(predictions(Verdict.PASS)), tmp_path, formats=("verdict",), extra={"verdict": save})
    assert (tmp_path / "verdict.txt").read_text() == "pass"


def test_a_format_that_breaks_costs_only_itself(tmp_path):
    def save(given, folder):
        raise RuntimeError("no ink")

    with pytest.raises(OutputError, match="format 'ink' broke: RuntimeError: no ink"):
        report.write(audit(), tmp_path, formats=("ink", *LIGHT), extra={"ink": save})
    assert names(tmp_path) == {*(built_in()[name].file for name in LIGHT), "evidence"}


def test_arrays_are_kept_by_check(tmp_path):
    arrays = {"maps": {"conv1/a": np.arange(6.0).reshape(2, 3).T}, "../x": {"b": np.array([1, 2], np.uint8)}}
    report.write(audit(), tmp_path, formats=("json",), arrays=arrays)
    assert names(tmp_path / "arrays") == {"maps.safetensors", "---x.safetensors"}
    assert (load_file(tmp_path / "arrays/maps.safetensors")["conv1/a"] == arrays["maps"]["conv1/a"]).all()


def test_rendering_again_makes_the_pages_and_leaves_everything_else(tmp_path):
    report.write(audit(), tmp_path, formats=LIGHT, arrays={"maps": {"a": np.zeros(3)}})
    page = (tmp_path / "report.html").read_bytes()
    (tmp_path / "report.html").write_text("old")
    before = names(tmp_path)
    assert report.render(tmp_path, formats=("html",)) == {"html": tmp_path / "report.html"}
    assert (tmp_path / "report.html").read_bytes() == page
    assert names(tmp_path) == before


def test_rendering_needs_a_report(tmp_path):
    with pytest.raises(OutputError, match="is not a report"):
        report.render(tmp_path / "nowhere")
    assert names(tmp_path) == set()


def test_reports_are_made_without_torch(tmp_path):
    report.write(audit(maps()), tmp_path, formats=("json",))
    code = (
        "import sys; from pathlib import Path; from auditor import report;"
        f"report.render(Path({str(tmp_path)!r}), formats=('html', 'pdf', 'junit', 'summary', 'sarif'));"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_record_of_something_else_protects_the_files_beside_it(tmp_path):
    (tmp_path / "audit.json").write_text('{"my": "file"}')
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(OutputError, match="no audit wrote it"):
        report.write(audit(), tmp_path, formats=("json",))
    assert (tmp_path / "report.html").read_text() == "mine"

"""The audit inside a suite: each run is pytest as a user starts it, in a folder with a suite of its own."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from tests import networks

CHECKS = """
import io
from pathlib import Path

from PIL import Image

from auditor import Check, Figure, Finding, Skip, Verdict


@Check
def good(context):
    '''Is it good?'''
    with Path("runs.txt").open("a") as file:
        file.write("once ")
    yield Finding("good.light", Verdict.PASS, "light enough", subject="conv")
    yield Finding("good.light", Verdict.PASS, "light enough again", subject="conv")
    yield Finding("good.odd", Verdict.INFO, "odd", subject="a::b\\nc")


@Check
def doubtful(context):
    '''Is it doubtful?'''
    yield Finding("doubtful.some", Verdict.WARN, "some doubt", value=0.25, limit=0.2, n=40)


@Check
def bad(context):
    '''Is it bad?'''
    yield Finding("bad.worst", Verdict.FAIL, "it is bad", "conv", 0.62, 0.9, n=50, detail="Train it longer.")


@Check
def broken(context):
    '''Is it broken?'''
    yield Finding("broken.before", Verdict.PASS, "kept")
    raise RuntimeError("on purpose")


@Check
def absent(context):
    '''Is it absent?'''
    raise Skip("needs labels")
    yield


@Check
def shown(context):
    '''Is it shown?'''
    picture = io.BytesIO()
    Image.new("RGB", (2, 2)).save(picture, "PNG")
    yield Figure("A picture", "How to read it.", picture.getvalue())
"""
SUITE = """
import sys


def test_own():
    heavy = {"torch", "click", "rich", "matplotlib", "auditor.runner"}
    assert not heavy & sys.modules.keys()
"""
PLANTED = [
    word for name in ("good", "doubtful", "bad", "broken", "absent", "shown") for word in ("--auditor-check", name)
]
AUDITED = ["--auditor", "net.pt", "--auditor-arch", "tiny.py:Net", *PLANTED]


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    networks.write(folder / "tiny.py", networks.OneConvolution)
    (folder / "auditfile.py").write_text(CHECKS)
    (folder / "test_own.py").write_text(SUITE)
    (folder / "auditor.toml").write_text("[preprocess]\nresize = 16\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers --strict-config -p no:cacheprovider\n")
    (folder / "stale").mkdir()
    (folder / "stale" / "audit.json").write_text("{}")  # not to be taken for what a later audit says
    networks.save(networks.build(networks.OneConvolution), folder / "net.pt")
    return folder


@pytest.fixture(scope="module")
def call(suite):
    """Run pytest there; the suite that is running now and what it was told stay out of it."""

    def call(*arguments):
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        command = [sys.executable, "-m", "pytest", *arguments]
        return subprocess.run(command, cwd=suite, env=ours, capture_output=True, text=True, check=False)

    return call


@pytest.fixture(scope="module")
def whole(call, suite):
    (suite / "runs.txt").unlink(missing_ok=True)
    ended = call(*AUDITED, "-vv", "-rA", "-W", "error::DeprecationWarning", "--junitxml", "junit.xml")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    return ended


def outcomes(ended):
    """Return the last word on each test, as `-rA` sums them up; of those that were skipped there is no name."""
    found = re.findall(r"^(PASSED|FAILED|ERROR) (.*?)(?: - .*)?$", ended.stdout, re.MULTILINE)
    return {name: outcome for outcome, name in found}


def section(ended, headline):
    """Return what pytest tells about a test that did not pass."""
    return re.search(rf"^_+ {re.escape(headline)} _+\n(.*?)(?=^[_=]{{5}})", ended.stdout, re.MULTILINE | re.DOTALL)[1]


def test_every_finding_is_a_test_beside_those_of_the_suite(whole):
    assert outcomes(whole) == {
        "test_own.py::test_own": "PASSED",
        "auditor::net.pt::good::good.light[conv]": "PASSED",
        "auditor::net.pt::good::good.light[conv-2]": "PASSED",
        "auditor::net.pt::good::good.odd[a:b c]": "PASSED",
        "auditor::net.pt::doubtful::doubtful.some": "PASSED",
        "auditor::net.pt::bad::bad.worst[conv]": "FAILED",
        "auditor::net.pt::broken::broken.before": "PASSED",
        "auditor::net.pt::broken::broken.error": "ERROR",
        "auditor::net.pt::shown::shown": "PASSED",
    }
    assert "collected 10 items" in whole.stdout
    assert re.search(r"1 failed, 7 passed, 1 skipped, 1 warning, 1 error in", whole.stdout)


def test_a_failure_tells_message_number_limit_and_advice_and_no_traceback(whole):
    told = section(whole, "bad.worst[conv] of bad").strip().splitlines()
    assert told == ["it is bad", "62 %, limit 90 %, n = 50", "Train it longer."]


def test_a_check_that_broke_is_an_error_with_its_reason(whole):
    assert "on purpose" in section(whole, "ERROR at setup of broken.error of broken")


def test_a_warning_is_a_warning_of_pytest(whole):
    assert re.search(r"auditor::net.pt::doubtful::doubtful.some\n.*AuditWarning: some doubt", whole.stdout)


def test_what_was_skipped_tells_why(whole):
    assert re.search(r"SKIPPED .*needs labels", whole.stdout)


def test_numbers_and_outcomes_stand_in_the_junit_file_of_pytest(whole, suite):
    (case,) = ET.parse(suite / "junit.xml").iterfind(".//testcase[@name='bad.worst[conv]']")  # noqa: S314 - our own
    assert case.get("classname") == "auditor.net.pt.bad"
    numbers = {entry.get("name"): entry.get("value") for entry in case.iter("property")}
    assert numbers == {"value": "0.62", "limit": "0.9", "n": "50"}
    assert "it is bad" in case.find("failure").get("message")


def test_progress_is_told_on_stderr_and_no_report_is_left(whole, suite):
    assert re.search(r"auditor: auditing net.pt\n(.*\n)*auditor: 9 findings in [\d.]+ s", whole.stderr)
    assert not (suite / "reports").exists()


@pytest.mark.slow
def test_with_xdist_the_audit_runs_once(whole, call, suite):
    (suite / "runs.txt").unlink()
    ended = call(*AUDITED, "-n", "2", "-rA")
    assert outcomes(ended) == outcomes(whole), ended.stdout + ended.stderr
    assert (suite / "runs.txt").read_text() == "once "


@pytest.mark.slow
def test_what_failed_last_is_known_again(call):
    chosen = [*AUDITED[:4], *PLANTED[2:6], "-p", "cacheprovider", "-o", "addopts=", "-rA"]
    before = call(*chosen)
    assert len(outcomes(before)) == 3, before.stdout + before.stderr
    assert outcomes(call(*chosen, "--lf")) == {"auditor::net.pt::bad::bad.worst[conv]": "FAILED"}


@pytest.mark.slow
def test_strict_fails_what_warns_and_a_report_is_written_where_asked(call, suite):
    flags = ["--auditor-strict", "--auditor-out", "report", "--auditor-args=--format html --seed '3'"]
    ended = call(*AUDITED, *flags, "-k", "doubtful or test_own", "-rA", "-q")
    assert outcomes(ended) == {
        "test_own.py::test_own": "PASSED",
        "auditor::net.pt::doubtful::doubtful.some": "FAILED",
    }, ended.stdout + ended.stderr
    assert {"audit.json", "report.html"} <= {path.name for path in (suite / "report").iterdir()}
    assert "auditing" not in ended.stderr


@pytest.mark.slow
def test_a_check_that_had_no_turn_is_skipped(call):
    chosen = ["--auditor", "net.pt", "--auditor-arch", "tiny.py:Net", "--auditor-args=-x -k 'bad or shown'"]
    ended = call(*chosen, "-rA", "-k", "auditor::net.pt")
    assert outcomes(ended) == {"auditor::net.pt::bad::bad.worst[conv]": "FAILED"}, ended.stdout + ended.stderr
    assert re.search(r"SKIPPED .*the audit stopped before this check ran", ended.stdout)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--auditor", "none.pt"], "ERROR: auditor: .*none.pt"),
        (["--auditor", "net.pt", "--auditor-check", "god"], "ERROR: auditor: no check is called 'god'; did you mean"),
        (["--auditor", "net.pt", "--auditor-args=--sed 3"], "ERROR: auditor: No such option '?--sed"),
        (
            ["--auditor", "net.pt", "--auditor-out", "stale", "--auditor-args=-k nothing"],
            "ERROR: auditor: -k 'nothing' selects no check",
        ),
        (["--auditor", "net.pt", "--auditor-args='"], 'ERROR: --auditor-args is "\'": No closing quotation'),
        (["--auditor-data", "photos"], "ERROR: --auditor-data needs --auditor CHECKPOINT"),
        (["--auditor", "net.pt", "-p", "no:auditor"], "error: unrecognized arguments: --auditor"),
    ],
)
def test_wrong_use_is_told_in_a_line(call, flags, line):
    ended = call(*flags)
    assert ended.returncode == pytest.ExitCode.USAGE_ERROR
    assert re.search(f"^[^\n]*{line}", ended.stderr, re.MULTILINE), ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


def test_who_does_not_ask_for_it_loads_nothing_heavy(call):
    ended = call("-q")
    assert ended.returncode == 0, ended.stdout
    assert "1 passed" in ended.stdout

"""Over fifty checks that misbehave: none ends green, each ends within its limit, and the others go on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import networks
from tests.audits import record
from tests.hardening import misbehaving

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def small_network(tmp_path_factory):
    return networks.save(networks.build(networks.Tiny), tmp_path_factory.mktemp("network") / "tiny.pt")


@pytest.fixture
def run(small_network, tmp_path):
    def audit(*checks, within=120, timeout="1h", start=("-m", "tests.hardening.warm"), **environment):
        named = [word for name in (*checks, "sound") for word in ("--check", name)]
        asked = ["run", str(small_network), "--arch", networks.flag(networks.Tiny), *named, "--out", str(tmp_path)]
        asked += ["-p", "tests.hardening.misbehaving", "--format", "json", "--check-timeout", timeout]
        return subprocess.run(
            [sys.executable, *start, *asked],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
        )

    return audit


def errors(folder):
    """Return the message of each check that broke."""
    found = record(folder)
    assert found["complete"]
    told = [(result["check"], f) for result in found["results"] for f in result["evidence"]]
    return {check: f["message"] for check, f in told if f["verdict"] == "error"}


@pytest.mark.slow
def test_a_check_that_ends_the_process_breaks_and_the_others_go_on(run, tmp_path):
    done = run(*misbehaving.ends)
    found = errors(tmp_path)
    assert found.keys() == misbehaving.ends.keys(), done.stderr
    assert all("ended the process (" in message for message in found.values())
    assert "signal 11, segmentation fault" in found["segmentation_fault"]
    assert "may have run out of memory" in found["killed"]
    assert "exit code 0" in found["exit_at_once"]
    assert done.returncode == 1


@pytest.mark.slow
def test_a_check_that_python_cannot_interrupt_is_stopped_from_outside(run, tmp_path):
    done = run(*misbehaving.hang, timeout="0.5s")
    found = errors(tmp_path)
    assert found.keys() == misbehaving.hang.keys(), done.stderr
    assert all("longer than --check-timeout" in message for message in found.values())
    assert done.returncode == 1


@pytest.mark.slow
def test_a_check_that_breaks_or_waits_for_ever_does_not_end_the_process(run, tmp_path):
    done = run(*misbehaving.others, timeout="0.3s")
    found = errors(tmp_path)
    assert found.keys() == misbehaving.others.keys(), done.stderr
    assert "told:" not in done.stderr
    assert done.returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", misbehaving.at_the_end)
def test_what_strikes_after_its_check_is_no_success_either(run, name):
    done = run(name)
    assert done.returncode not in (0, 5)
    told = "told:" in done.stderr or "error: " in done.stderr or "verdict: " in done.stdout
    assert told or done.returncode == -signal.SIGKILL, done


@pytest.mark.slow
def test_a_thread_that_never_ends_does_not_hold_up_the_command(run, tmp_path):
    done = run(*misbehaving.lasting)
    assert done.returncode == 1, done.stderr
    assert errors(tmp_path).keys() == misbehaving.lasting.keys()


def test_at_least_fifty_checks_misbehave():
    kinds = (misbehaving.ends, misbehaving.hang, misbehaving.others, misbehaving.at_the_end)
    assert sum(map(len, kinds)) >= 50


@pytest.mark.slow
def test_the_command_itself_is_supervised(run, tmp_path):
    done = run("exit_at_once", start=("-m", "auditor"), GITHUB_ACTIONS="true")
    assert done.returncode == 1
    line = "warning: check 'exit_at_once' ended the process (exit code 0); the audit starts again without it"
    assert line in done.stderr.splitlines()
    done = run("exit_function_that_exits", start=("-m", "auditor"), GITHUB_ACTIONS="true")
    assert done.returncode == 3
    assert "error: the process ended during its end (exit code 0); there is no verdict" in done.stderr.splitlines()
    assert done.stdout.splitlines()[-1].startswith("::error title=auditor::the process ended")

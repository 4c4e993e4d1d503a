"""An audit that is killed or interrupted at twenty random moments: never a success, never half a report."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import networks

ROOT = Path(__file__).parents[2]
SLOW = """
import time

from auditor import hookimpl


@hookimpl
def auditor_formats():
    return {"slow": slow}


def slow(audit, folder):
    print("slow format", flush=True)
    time.sleep(30)
"""


@pytest.fixture
def asked(photographs, small, tmp_path):
    return [
        *("run", str(small.checkpoint), "--arch", networks.flag(networks.Small), "--data", str(photographs)),
        *("--preprocess", str(small.preprocess_file), "--check", "weights", "--check", "data"),
        *("--check", "predictions", "--no-cache", "--batch-size", "4", "--out", str(tmp_path / "out")),
    ]


def started(asked, program="warm", **variables):
    return subprocess.Popen(
        [sys.executable, "-m", f"tests.hardening.{program}", *asked],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(process, beginning):
    for line in process.stdout:
        if line.startswith(beginning):
            return
    pytest.fail(f"the output has no line that begins with {beginning!r}")


@pytest.mark.slow
def test_whenever_it_is_killed_the_exit_code_and_the_folder_say_so(asked):
    with started([*asked, "--format", "html,json,junit"], "random_kills") as process:
        (_, usual, _), *runs = [json.loads(line) for line in process.communicate(timeout=300)[0].splitlines()]
    assert usual in (0, 1)
    assert len(runs) == 20
    for how, code, told, complete, _ in runs:
        if code == usual:  # it had ended before
            assert "verdict: " in told, (how, told)
        elif how == "SIGKILL":
            assert code == -signal.SIGKILL, told
        else:
            assert code == 2, (how, told)
            assert "the report is incomplete" in told or "no report was written" in told
            assert "the report is incomplete" not in told or complete is False
    assert {code for _, code, *_ in runs} >= {2, -signal.SIGKILL}


@pytest.mark.slow
def test_signals_while_the_report_is_written_lose_nothing(asked, tmp_path):
    (tmp_path / "slow_format.py").write_text(SLOW)
    more = ["-p", "slow_format", "--format", "html,json,slow"]
    with started([*asked, *more], PYTHONPATH=str(tmp_path)) as process:
        wait_for(process, "slow format")
        process.send_signal(signal.SIGTERM)
        time.sleep(1.2)
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 2, told
    assert len(json.loads((tmp_path / "out" / "audit.json").read_text())["results"]) == 3
    assert (tmp_path / "out" / "report.html").exists()


@pytest.mark.slow
def test_the_process_ends_with_its_supervisor(asked):
    with started([*asked, "-p", "tests.hardening.ranks", "--check", "long", "--format", "json"], LONG="60") as process:
        wait_for(process, "checks ")
        (child,) = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
        process.kill()
    for _ in range(50):
        if not Path(f"/proc/{child}").exists() or "State:\tZ" in Path(f"/proc/{child}/status").read_text():
            return
        time.sleep(0.1)
    pytest.fail("the audit goes on without its supervisor")

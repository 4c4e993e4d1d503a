"""Several processes of one audit: when one ends early, all end within a minute, and none with success."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def asked(small, photographs, tmp_path):
    return [
        *("run", str(small.checkpoint), "--arch", small.arch, "--preprocess", str(small.preprocess_file)),
        *("--data", str(photographs), "--check", "long", "--check", "ending", "-p", "tests.hardening.ranks"),
        *("--format", "json", "--batch-size", "4", "--no-cache", "--out", str(tmp_path / "out")),
    ]


def started(asked, number, **environment):
    """Start one process without a launcher that would end the others."""
    variables = {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
    return subprocess.Popen(
        [sys.executable, "-m", "auditor", *asked],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **variables, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pass 1 killed", "check 0 left"])
def test_a_process_that_ends_early_ends_the_other(asked, how):
    port = free_port()
    both = [started(asked, number, MASTER_PORT=port, ENDS=how) for number in (0, 1)]
    gone = int(how.split()[1])
    lines = {gone: both[gone].communicate(timeout=120)[1]}
    begun = time.monotonic()
    lines[1 - gone] = both[1 - gone].communicate(timeout=60)[1]
    assert time.monotonic() - begun < 60
    for number, process in enumerate(both):
        assert process.returncode == 3, lines
        assert "Traceback" not in lines[number]
        assert [line for line in lines[number].splitlines() if line.startswith("error: ")], lines


@pytest.mark.slow
def test_a_process_that_ends_during_a_long_check_of_the_other_is_noticed(asked):
    port = free_port()
    first = started(asked, 0, MASTER_PORT=port, LONG="300")
    other = started([*asked, "--data", "/nowhere"], 1, MASTER_PORT=port)
    assert "error: " in other.communicate(timeout=120)[1]
    assert other.returncode == 4
    line = first.communicate(timeout=60)[1].splitlines()[-1]
    assert first.returncode == 3
    assert "process 1 of 2 ended early" in line

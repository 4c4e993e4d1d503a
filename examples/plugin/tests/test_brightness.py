"""The check is run as a user runs it, on networks of which the truth is known."""

import json

import pytest
import torch
from PIL import Image

from auditor.cli.commands import main

NETWORKS = """
from torch import nn
import torch


class ByLight(nn.Module):
    '''Tells light images from dark ones, and nothing else.'''

    def __init__(self):
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(0.3))

    def forward(self, images):
        light = images.mean((1, 2, 3)) - self.threshold
        return torch.stack([-light, light], 1)


class BySide(nn.Module):
    '''Tells whether the left or the right half is the lighter one, however light the image is.'''

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))

    def forward(self, images):
        left, right = images.chunk(2, 3)
        side = (right.mean((1, 2, 3)) - left.mean((1, 2, 3))) * self.gain
        return torch.stack([-side, side], 1)
"""
PARAMETERS = {"ByLight": {"threshold": torch.tensor(0.3)}, "BySide": {"gain": torch.tensor(1.0)}}


@pytest.fixture
def audited(tmp_path, monkeypatch):
    """Audit one of the networks and hand back the results of the check."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "networks.py").write_text(NETWORKS)
    (tmp_path / "photos").mkdir()
    for number in range(8):
        image = Image.new("RGB", (32, 32), (20 + 10 * number,) * 3)
        image.paste((50 + 10 * number,) * 3, (16 * (number % 2), 0, 16 + 16 * (number % 2), 32))
        image.save(tmp_path / "photos" / f"{number}.png")
    (tmp_path / "auditor.toml").write_text("[preprocess]\nresize = 32\nmean = [0, 0, 0]\nstd = [1, 1, 1]\n")

    def audit(network, *flags):
        torch.save(PARAMETERS[network], "net.pt")
        chosen = ["--arch", f"networks.py:{network}", "--check", "brightness", "--format", "json", *flags]
        main(["run", "net.pt", "--data", "photos", *chosen])
        (result,) = json.loads((tmp_path / "reports" / "net" / "audit.json").read_text())["results"]
        return result

    return audit


def test_warns_of_a_network_that_answers_by_the_light(audited):
    result = audited("ByLight")
    (finding,) = [e for e in result["evidence"] if e["kind"] == "finding"]
    assert finding["rule"] == "brightness.follows"
    assert finding["verdict"] == "warn"
    assert finding["n"] == 32


def test_passes_a_network_that_answers_by_what_it_sees(audited):
    result = audited("BySide")
    assert result["verdict"] == "pass"
    assert result["evidence"][0]["value"] == 0


def test_changes_no_answer_where_it_changes_no_brightness(audited):
    assert audited("ByLight", "-o", "brightness.factors=1")["evidence"][0]["value"] == 0


def test_shows_every_image_that_was_answered_otherwise(audited):
    evidence = audited("ByLight", "-o", "brightness.factors=0.5,2")["evidence"]
    (table,) = [e for e in evidence if e["kind"] == "table"]
    shown = [len(e["items"]) for e in evidence if e["kind"] == "gallery"]
    assert shown == [count for _, _, count in table["rows"] if count]

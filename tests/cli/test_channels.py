"""Audits of networks of other channels, on files of other types than 8 bits, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image

from tests import bands, folders, networks

ALL = "[preprocess]\nresize = [24, 30]\nmean = 0\nstd = 1\n"


def sixteen(values: np.ndarray) -> np.ndarray:
    return np.rint(values * 65535).astype(np.uint16)


def eight(values: np.ndarray) -> np.ndarray:
    return np.rint(values * 255).astype(np.uint8)


def tiff(**options: Any) -> Any:
    return lambda path, v: tifffile.imwrite(f"{path}.tif", sixteen(v), photometric="minisblack", **options)


def reflectances(path: str, values: np.ndarray) -> None:
    tifffile.imwrite(
        f"{path}.tif", np.rint(values * 10_000).astype(np.uint16), photometric="minisblack", planarconfig="contig"
    )


KINDS = {
    "TIFF of 13 bands": (13, tiff(planarconfig="contig"), ""),
    "TIFF of 13 bands, one by one": (13, lambda p, v: tiff(planarconfig="separate")(p, v.transpose(2, 0, 1)), ""),
    "TIFF of reflectances": (13, reflectances, "channels = 13\nrange = [0, 10000]\nshow = [3, 2, 1]\n"),
    "npy, channels first": (13, lambda p, v: np.save(f"{p}.npy", sixteen(v).transpose(2, 0, 1)), ""),
    "npy of floats": (5, lambda p, v: np.save(f"{p}.npy", v.astype(np.float32)), ""),
    "npy of two channels": (2, lambda p, v: np.save(f"{p}.npy", v.astype(np.float16)), ""),
    "PNG with transparency": (4, lambda p, v: Image.fromarray(eight(v), "RGBA").save(f"{p}.png"), ""),
    "TIFF of RGB and near infrared": (
        4,
        lambda p, v: tifffile.imwrite(f"{p}.tif", eight(v), photometric="rgb", extrasamples=["unspecified"]),
        "",
    ),
    "PNG of 16 bits in colours": (3, lambda p, v: cv2.imwrite(f"{p}.png", sixteen(v)[..., ::-1]), ""),
}


def audited(command_line: Any, here: Path, network: list[str], *more: str) -> tuple[Any, dict[str, list[Any]]]:
    flags = ["--data", here / "photos", "--config", here / "auditor.toml", "--out", here / "out", "--format", "json"]
    done = command_line("run", *network, *flags, "--samples", 3, "--workers", 0, "--no-cache", "-q", *more)
    record = here / "out" / "audit.json"
    found: dict[str, list[Any]] = {}
    for result in json.loads(record.read_text())["results"] if record.exists() else []:
        for piece in result["evidence"]:
            found.setdefault(piece.get("rule", piece["kind"]), []).append(piece)
    return done, found


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_any_bands_are_classified(command_line, tmp_path, kind):
    count, save, keys = KINDS[kind]
    bands.write(tmp_path / "photos", bands.drawn(count), save)
    (tmp_path / "auditor.toml").write_text(ALL + keys)
    network = bands.network(tmp_path, count)
    done, found = audited(command_line, tmp_path, network, "-k", "data or predictions")
    assert done.code in (0, 1), done.err
    told_apart = 3 if count > 2 else 2  # two channels can't tell three classes apart
    assert found["predictions.accuracy"][0]["value"] == pytest.approx(told_apart / 3)
    assert found["data.unreadable"][0]["verdict"] == "pass"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TIFF of reflectances", "PNG with transparency", "npy of two channels"])
def test_every_check_runs_on_other_channels(command_line, tmp_path, kind):
    count, save, keys = KINDS[kind]
    bands.write(tmp_path / "photos", bands.drawn(count, 8), save)
    (tmp_path / "auditor.toml").write_text(ALL + keys)
    done, found = audited(command_line, tmp_path, bands.network(tmp_path, count), "--save-arrays")
    assert done.code in (0, 1), done.err
    assert "verdict: ERROR" not in done.out
    assert not [rule for rule in found if rule.endswith(".error")], found
    shown = list((tmp_path / "out" / "evidence" / "preprocess").iterdir())
    assert shown
    assert max(np.asarray(Image.open(file)).max() for file in shown) > 150  # not all bands are shown


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_twelve_bits_in_files_of_16_bits_are_said_and_the_range_is_found(command_line, tmp_path, suffix):
    """Between the classes is less than one level of 8 bits."""
    random = np.random.default_rng(0)
    for number in range(24):
        values = random.integers(1000, 1100, (16, 16), np.uint16) + np.uint16(900 * (number % 2))
        file = tmp_path / "photos" / "ab"[number % 2] / f"{number}.{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(file)
    (tmp_path / "net.py").write_text(DARK)
    exec(DARK, space := {})  # noqa: S102 - the network of this test
    networks.save(space["Net"](), tmp_path / "net.pt")
    (tmp_path / "auditor.toml").write_text("[preprocess]\nresize = 16\nmean = 0\nstd = 1\n")
    network = [tmp_path / "net.pt", "--arch", f"{tmp_path}/net.py:Net"]
    _, found = audited(command_line, tmp_path, network, "-k", "data or preprocess")
    (told,) = found["data.converted"]
    assert told["message"] == "24 of 24 images have 16 bits; values from 0 to 65535 are scaled to 0 to 1"
    assert "as of 11 bits" in told["detail"]
    mismatch = found["preprocess.mismatch"][0]
    assert (mismatch["verdict"], "range 0 to 4,095" in mismatch["message"]) == ("warn", True)
    assert "range = [0, 4095]" in mismatch["detail"]


DARK = """
import torch
from torch import nn


class Net(nn.Module):
    '''Whether the mean of a grey image is over 1,450 of 4,095.'''

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.conv.weight.data.fill_(1.0), self.conv.bias.data.fill_(-1450 / 4095)

    def forward(self, x):
        over = self.conv(x).mean((1, 2, 3))
        return 50 * torch.stack([-over, over], 1)
"""


def test_transparency_is_the_cause_and_not_inversion(command_line, tmp_path):
    """Shapes on nothing: on black they are as in training. Inverted, they are nearly so by accident."""
    random = np.random.default_rng(0)
    for number in range(48):
        image = np.zeros((16, 16, 4), np.uint8)
        image[2:14, 2:14] = [*random.integers(60, 90, 3), 255] if number % 2 else [*random.integers(165, 200, 3), 255]
        file = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image, "RGBA").save(file)
    (tmp_path / "net.py").write_text(DARK.replace("Conv2d(1, 1, 1)", "Conv2d(3, 1, 1)").replace("(1.0)", "(-1 / 3)"))
    text = (tmp_path / "net.py").read_text().replace("-1450 / 4095", "0.28")
    (tmp_path / "net.py").write_text(text)
    exec(text, space := {})  # noqa: S102 - the network of this test
    networks.save(space["Net"](), tmp_path / "net.pt")
    (tmp_path / "auditor.toml").write_text("[preprocess]\nresize = 16\nmean = 0\nstd = 1\n")
    network = [tmp_path / "net.pt", "--arch", f"{tmp_path}/net.py:Net"]
    _, found = audited(command_line, tmp_path, network, "-k", "data or preprocess")
    assert found["data.converted"][0]["message"] == "48 of 48 images have transparency; it is laid on white"
    mismatch = found["preprocess.mismatch"][0]
    assert mismatch["verdict"] == "warn"
    assert "transparen" in mismatch["message"]
    assert 'alpha = "' in mismatch["detail"]
    assert "invert" not in mismatch["detail"]


def test_images_that_are_not_read_are_no_pass(command_line, tmp_path):
    folders.noise(tmp_path / "photos", ("cat", "dog"), 8, (40, 40))
    for number in range(4):
        (tmp_path / "photos" / "cat" / f"raw-{number}.cr2").write_bytes(b"raw")
    (tmp_path / "photos" / "cat" / "notes.txt").write_text("none")
    networks.write(tmp_path / "tiny.py", networks.Tiny)
    networks.save(networks.build(networks.Tiny), tmp_path / "net.pt")
    (tmp_path / "auditor.toml").write_text("[preprocess]\nresize = 32\n")
    network = [tmp_path / "net.pt", "--arch", f"{tmp_path}/tiny.py:Net"]
    done, found = audited(command_line, tmp_path, network, "-k", "data")
    (skipped,) = found["data.skipped"]
    assert (skipped["verdict"], skipped["value"]) == ("fail", 0.2)
    assert "4 of 20 image files were skipped: 4 x .cr2" in skipped["message"]
    assert done.code == 1


def test_heic_is_read(command_line, tmp_path):
    for label, colour in (("cat", "red"), ("dog", "blue")):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(4):
            image = Image.new("RGB", (40, 40), colour)
            pillow_heif.from_pillow(image).save(tmp_path / "photos" / label / f"{number}.heic")
    networks.write(tmp_path / "tiny.py", networks.Tiny)
    networks.save(networks.build(networks.Tiny), tmp_path / "net.pt")
    (tmp_path / "auditor.toml").write_text("[preprocess]\nresize = 32\n")
    network = [tmp_path / "net.pt", "--arch", f"{tmp_path}/tiny.py:Net"]
    _, found = audited(command_line, tmp_path, network, "-k", "data")
    assert found["data.unreadable"][0]["message"] == "all 8 files are readable"


def test_files_of_other_channels_end_in_one_line_with_the_reason(command_line, tmp_path):
    bands.write(tmp_path / "photos", bands.drawn(5), lambda p, v: np.save(f"{p}.npy", sixteen(v)))
    (tmp_path / "auditor.toml").write_text(ALL)
    done, _ = audited(command_line, tmp_path, bands.network(tmp_path, 13), "-k", "data")
    assert done.code == 4
    assert "forest/00.npy: has the shape 24 x 30 x 5; expected 13 channels" in done.err
    assert len(done.err.splitlines()) == 1

"""Backgrounds in images of other kinds than those of `test_shortcut`."""

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.results import Verdict
from tests import networks
from tests.audits import result_of

HEIGHT, WIDTH, COUNT = 24, 40, 22
PREPROCESS = {"resize": None, "crop": [HEIGHT, WIDTH], "color": "gray", "mean": 0.5, "std": 1.0}
MIDDLE = (slice(8, 16), slice(14, 26))
THINGS = {"lamp": 240, "leaf": 128, "stone": 15}


def drawn(name, bright, random):
    """Draw a thing of its own level on a ground that is bright in one class."""
    level = 190 if bright == name else 110
    pixels = random.integers(level - 20, level + 20, (HEIGHT, WIDTH))
    pixels[MIDDLE] = np.clip(THINGS[name] + random.integers(-10, 10, pixels[MIDDLE].shape), 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def reader(names, *, of_ground):
    """Return weights that tell lamps by how bright the ground is, or the thing, and stones by how dark they are."""
    middle = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    middle[MIDDLE] = True
    lamp = ~middle if of_ground else middle
    weight = torch.zeros(3, HEIGHT, WIDTH)
    weight[0, lamp] = (120.0 if of_ground else 20.0) / int(lamp.sum())
    weight[2, middle] = -20.0 / int(middle.sum())
    chosen = [list(THINGS).index(name) for name in names]
    return {"1.weight": weight.flatten(1)[chosen], "1.bias": torch.tensor([0.0, 3.0, 0.0])[chosen]}


def found(folder, *, of_ground, bright, names=tuple(THINGS), fill="grey"):
    random = np.random.default_rng(0)
    torch.save(reader(names, of_ground=of_ground), folder / "net.pt")
    for name in names:
        (folder / "data" / name).mkdir(parents=True)
        for i in range(COUNT):
            drawn(name, bright, random).save(folder / "data" / name / f"{i}.png")
    settings = {
        "arch": networks.flag(networks.linear),
        "arch_args": {"num_classes": len(names), "inputs": HEIGHT * WIDTH},
        "preprocess": PREPROCESS,
    }
    result = result_of("shortcut", folder / "net.pt", folder / "data", {"explained": 4, "fill": fill}, **settings)
    return [one for one in result.findings if one.rule == "shortcut.background"]


def test_is_found_in_grey_images_that_are_not_square(tmp_path):
    (finding,) = found(tmp_path, of_ground=True, bright="lamp")
    assert (finding.verdict, finding.subject) == (Verdict.WARN, "lamp")
    assert (finding.value, finding.n) == (1.0, COUNT)


def test_of_two_classes_it_may_be_one(tmp_path):
    (finding,) = found(tmp_path, of_ground=True, bright="lamp", names=("lamp", "stone"))
    assert (finding.verdict, finding.subject) == (Verdict.WARN, "lamp")


@pytest.mark.parametrize("bright", ["lamp", "stone", ""])
def test_is_none_where_the_thing_is_looked_at_whatever_lies_behind_it(tmp_path, bright):
    (finding,) = found(tmp_path, of_ground=False, bright=bright, names=("lamp", "stone"), fill="mean")
    assert finding.verdict is Verdict.PASS

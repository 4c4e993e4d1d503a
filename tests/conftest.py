"""Real files that many tests need: photographs in folders, and a small network with its checkpoint."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from auditor import plugins
from auditor.config.settings import Settings
from auditor.data import dataset
from auditor.data.preprocessing import Preprocess
from auditor.plugins import Plugins
from auditor.results import Result
from auditor.runner import Silent, run

NETWORK = '''
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    """Two convolutions, one with a functional rectifier, and a head."""

    def __init__(self, num_classes=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 5, stride=2)
        self.bn1 = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.head = nn.Linear(16, num_classes)

    def forward(self, x):
        x = self.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.conv2(x))
        return self.head(x.mean((2, 3)))
'''

PREPROCESS = {"resize": 32, "crop": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


class Small(NamedTuple):
    """Files of a small network that tells four kinds of photographs apart.

    Attributes:
        arch: What `--arch` takes.
        preprocess: The keys of `[preprocess]`.
        preprocess_file: The same as a file for `--preprocess`.
    """

    checkpoint: Path
    arch: str
    preprocess: dict[str, Any]
    preprocess_file: Path


@pytest.fixture(scope="session")
def photographs(tmp_path_factory) -> Path:
    """A folder for each of four classes, with six crops of one photograph in each."""
    root = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "cat", "coffee", "rocket"):
        (root / name).mkdir()
        whole = getattr(skimage.data, name)()
        for i in range(6):
            crop = whole[10 * i : 10 * i + 260, 12 * i : 12 * i + 280]
            Image.fromarray(crop).resize((70, 65)).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def small(tmp_path_factory, photographs) -> Small:
    """A network in a file of its own, trained for a moment on the photographs."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "net.py").write_text(NETWORK)
    (folder / "preprocess.json").write_text(json.dumps(PREPROCESS))
    space: dict = {}
    exec(compile(NETWORK, "net.py", "exec"), space)  # noqa: S102 - the text above
    torch.manual_seed(3)
    net = space["Net"]()
    torch.nn.init.constant_(net.conv2.bias, 0.3)  # so that every channel starts alive
    train(net, photographs)
    torch.save(net.state_dict(), folder / "small.pt")
    return Small(folder / "small.pt", f"{folder / 'net.py'}:Net", PREPROCESS, folder / "preprocess.json")


def train(net: torch.nn.Module, photographs: Path) -> None:
    data = dataset.listing(str(photographs))
    labels = dataset.fit(data, outputs=4, names=None)
    images = dataset.ImageData(data, labels, Preprocess.of(PREPROCESS))
    (batch,) = dataset.loader(images, batch_size=24)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
    for _ in range(25):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(batch.images), batch.labels).backward()
        optimizer.step()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory) -> Iterator[Path]:
    """A place for what killed runs leave that no other run of the tests sees."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def no_workflow() -> Iterator[None]:
    """Let no test speak to the GitHub workflow that the tests themselves may run in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("GITHUB_ACTIONS", raising=False)
        patch.delenv("GITHUB_STEP_SUMMARY", raising=False)
        yield


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def result_of(check: str, checkpoint: Path, data: Path | None, options: dict[str, Any], **settings: Any) -> Result:
    """Run one check and return what it found."""
    asked = Settings(checkpoint, data and str(data), options={check: options}, checks=(check,), **settings)
    (found,) = run(asked, Plugins(checks={check: plugins.load().checks[check]}), Silent()).audit.results
    return found

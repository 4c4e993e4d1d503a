"""What many tests need: photographs in folders, a small network with its checkpoint, and a command line."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from auditor.cli.commands import main
from auditor.data import dataset
from auditor.data.preprocessing import Preprocess
from tests import folders, networks
from tests.audits import Ended

PREPROCESS = {"resize": 32, "crop": 32, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that no long one is left for a single process at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


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
    return folders.photographs(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(scope="session")
def small(tmp_path_factory, photographs) -> Small:
    """The network `networks.Small`, trained for a moment on the photographs."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "preprocess.json").write_text(json.dumps(PREPROCESS))
    net = networks.build(networks.Small, seed=3)
    torch.nn.init.constant_(net.conv2.bias, 0.3)  # so that every channel starts alive
    train(net, photographs)
    checkpoint = networks.save(net, folder / "small.pt")
    return Small(checkpoint, networks.flag(networks.Small), PREPROCESS, folder / "preprocess.json")


def train(net: torch.nn.Module, photographs: Path) -> None:
    data = dataset.listing(str(photographs))
    labels = dataset.fit(data, outputs=4, names=None)
    images = dataset.ImageData(data, labels, Preprocess.of(PREPROCESS))
    (batch,) = dataset.loader(images, batch_size=24)
    networks.fitted(net, 25 * [(batch.images, batch.labels)], rate=0.005)


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


@pytest.fixture
def command_line(capsys) -> Callable[..., Ended]:
    """Run the command line in this process; give back exit code, output and error lines."""

    def call(*arguments: object) -> Ended:
        code = main([str(argument) for argument in arguments])
        return Ended(code, *capsys.readouterr())

    return call

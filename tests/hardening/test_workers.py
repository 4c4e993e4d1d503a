"""Processes that decode images may be killed, fall silent or not start: the numbers stay the same."""

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from auditor.data import workers
from auditor.data.dataset import ImageData, Labels, listing, loader
from auditor.data.preprocessing import Preprocess
from tests import folders

STEPS = Preprocess.of({"resize": 8, "crop": 8, "mean": 0, "std": 1})


class Killed(ImageData):
    """Its process is killed at image 5."""

    def __getitem__(self, index: int):
        if index == 5 and torch.utils.data.get_worker_info():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


class Silent(ImageData):
    """Its process never answers from image 5 on."""

    def __getitem__(self, index: int):
        if index == 5 and torch.utils.data.get_worker_info():
            time.sleep(600)
        return super().__getitem__(index)


class Full(ImageData):
    """Its process finds no space."""

    def __getitem__(self, index: int):
        if index == 5 and torch.utils.data.get_worker_info():
            raise OSError(28, "No space left on device")
        return super().__getitem__(index)


def loaded(kind: type[ImageData], root: Path, **how):
    found = listing(str(root))
    return list(loader(kind(found, Labels((0,) * 12, ("a",)), STEPS), batch_size=2, **how))


@pytest.fixture
def images(tmp_path) -> Path:
    return folders.noise(tmp_path / "data", "a", 12, (9, 12))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Killed, Silent, Full])
def test_processes_that_fail_are_replaced_by_the_main_process(images, kind, monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 4.0)
    notes: list[str] = []
    found = loaded(kind, images, workers=2, note=notes.append)
    expected = loaded(ImageData, images)
    assert torch.equal(torch.cat([b.images for b in found]), torch.cat([b.images for b in expected]))
    assert torch.cat([b.indices for b in found]).tolist() == list(range(12))
    assert len(notes) == 1
    assert "the main process decoded the rest" in notes[0]


@pytest.mark.slow
def test_little_shared_memory_is_left_alone(images, monkeypatch):
    monkeypatch.setattr(workers, "_is_scarce", lambda *about: True)
    notes: list[str] = []
    found = loaded(ImageData, images, workers=2, note=notes.append)
    expected = loaded(ImageData, images)
    for sent, own in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(sent[:3], own[:3], strict=True))
    assert "little shared memory" in notes[0]


def test_processes_that_can_not_be_started_are_replaced(images, monkeypatch):
    def refuse():
        raise OSError("no forkserver")

    monkeypatch.setattr(workers, "_processes", refuse)
    notes: list[str] = []
    assert len(loaded(ImageData, images, workers=2, note=notes.append)) == 6
    assert "no forkserver" in notes[0]

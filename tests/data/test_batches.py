from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from auditor.data.dataset import ImageData, Labels, listing, loader
from auditor.data.preprocessing import Preprocess
from auditor.language import speaking

UNIT = Preprocess.of({"resize": 8, "crop": 8, "mean": 0, "std": 1, "scale": 255})


@pytest.fixture
def data(tmp_path: Path) -> ImageData:
    """Ten images whose grey level is their index, but for 3 and 7, which can't be read."""
    for i in range(10):
        Image.new("L", (12, 9), i).save(tmp_path / f"{i}.png")
    (tmp_path / "3.png").write_bytes(b"")
    (tmp_path / "7.png").write_text("no image")
    found = listing(str(tmp_path))
    return ImageData(found, Labels((*range(9), None), tuple("abcdefghij")), UNIT)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 4, 99])
def test_every_image_comes_once_in_order_with_its_label(data: ImageData, batch_size: int, workers: int) -> None:
    batches = list(loader(data, batch_size=batch_size, workers=workers))
    readable = [0, 1, 2, 4, 5, 6, 8, 9]
    assert torch.cat([b.indices for b in batches]).tolist() == readable
    assert torch.cat([b.images for b in batches])[:, 0, 0, 0].tolist() == readable
    assert torch.cat([b.labels for b in batches]).tolist() == [0, 1, 2, 4, 5, 6, 8, -1]
    assert [u for b in batches for u in b.unreadable] == [
        ("3.png", "empty file"),
        ("7.png", "not an image, or a damaged header"),
    ]
    assert len(batches) == -(-10 // batch_size)


@pytest.mark.parametrize("workers", [0, 1])
def test_why_a_file_can_not_be_read_is_told_in_the_language_that_is_spoken(data: ImageData, workers: int) -> None:
    with speaking("fr"):
        batches = list(loader(data, batch_size=99, workers=workers))
    assert batches[0].unreadable[0] == ("3.png", "fichier vide")


def test_a_batch_of_which_nothing_can_be_read_is_empty(data: ImageData) -> None:
    (batch,) = loader(data, batch_size=2, indices=[3, 7])
    assert batch.images.shape == (0, 3, 8, 8)
    assert batch.indices.shape == batch.labels.shape == (0,)
    assert batch.indices.dtype == batch.labels.dtype == torch.int64
    assert len(batch.unreadable) == 2


def test_images_are_contiguous_float32(data: ImageData) -> None:
    batch = next(iter(loader(data, batch_size=4)))
    assert batch.images.dtype == torch.float32
    assert batch.images.is_contiguous()


def test_chosen_images_come_in_the_order_asked(data: ImageData) -> None:
    batches = list(loader(data, batch_size=2, indices=[9, 0, 5]))
    assert [b.indices.tolist() for b in batches] == [[9, 0], [5]]
    assert list(loader(data, batch_size=2, indices=[])) == []


def test_a_file_that_is_gone_is_kept_apart(data: ImageData) -> None:
    data.listing.files[0].unlink()
    (batch,) = loader(data, batch_size=1, indices=[0])
    assert batch.unreadable == [("0.png", "no such file")]


def test_a_thread_of_an_image_is_not_blown_up(tmp_path: Path) -> None:
    Image.new("L", (1, 300)).save(tmp_path / "thread.png")
    found = listing(str(tmp_path))
    steps = Preprocess.of({"resize": 256, "crop": 224})
    assert ImageData(found, Labels((None,), ()), steps)[0].tensor is not None
    Image.new("L", (1, 2_000_000), 9).save(tmp_path / "thread.png")
    again = listing(str(tmp_path))
    assert ImageData(again, Labels((None,), ()), steps)[0].reason.startswith(
        "too large after resizing: 1 x 2000000 pixels"
    )


def test_the_data_travels_to_a_process_that_was_not_forked(data: ImageData) -> None:
    copied = pickle.loads(pickle.dumps(data))  # noqa: S301 - our own bytes
    assert np.array_equal(copied[1].tensor, data[1].tensor)

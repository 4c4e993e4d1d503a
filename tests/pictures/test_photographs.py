import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from auditor import pictures


def opened(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture))


def test_a_photograph_becomes_a_jpeg_that_looks_like_it():
    cat = data.chelsea()
    drawn = opened(pictures.photo(cat))
    assert drawn.format == "JPEG"
    assert np.abs(np.asarray(drawn).astype(int) - cat).mean() < 3


def test_a_photograph_keeps_its_proportions_when_resized():
    assert opened(pictures.photo(data.chelsea(), size=150)).size == (150, 100)


@pytest.mark.parametrize("side", [8, 224, 300])
def test_a_photograph_as_fine_as_noise_can_be_written(side):
    noise = np.random.default_rng(0).integers(0, 2, (side, side, 3), np.uint8) * 255
    assert opened(pictures.photo(noise)).size == (side, side)


def test_tiles_stand_row_by_row_with_a_gap_between_them():
    images = np.stack([np.full((2, 2, 3), value, np.uint8) for value in (10, 20, 30)])
    grid = np.asarray(opened(pictures.tiles(images, columns=2)).convert("RGB"))[..., 0]
    assert grid.tolist() == [
        [10, 10, 255, 20, 20],
        [10, 10, 255, 20, 20],
        [255, 255, 255, 255, 255],
        [30, 30, 255, 255, 255],
        [30, 30, 255, 255, 255],
    ]


@pytest.mark.parametrize("shape", [(5, 3, 4), (5, 3, 4, 3)])
def test_tiles_are_enlarged_sharply_and_without_loss(shape):
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    grid = np.asarray(opened(pictures.tiles(images, enlarge=4)).convert("RGB"))
    first = grid[:12, :16].reshape(3, 4, 4, 4, 3)
    assert (first == first[:, :1, :, :1]).all()
    wanted = images[0] if len(shape) == 4 else images[0][..., None]
    assert (grid[:12:4, :16:4] == wanted).all()


def test_refuses_a_grid_of_nothing():
    with pytest.raises(ValueError, match="tile"):
        pictures.tiles(np.zeros((0, 2, 2), np.uint8))

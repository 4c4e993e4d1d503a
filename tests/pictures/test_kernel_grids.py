import io

import numpy as np
import pytest
from PIL import Image

from auditor import pictures
from auditor.pictures.colours import signed_ramp

RED = "#c0392b"


def opened(picture):
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def near(pixels, colour):
    wanted = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return (np.abs(pixels.astype(int) - wanted) < 12).all(-1)


def test_kernels_over_colours_are_grey_where_they_are_zero():
    kernels = np.zeros((2, 3, 1, 2))
    kernels[1, :, 0, 1] = [5.0, -0.5, 0.0]
    assert pictures.coloured(kernels, 1.0).tolist() == [[[[128] * 3, [128] * 3]], [[[128] * 3, [255, 64, 128]]]]


def test_weights_have_the_colours_of_signed_maps():
    ramp = signed_ramp()
    tiles = pictures.weighted(np.array([[[-9.0, -1.0, 0.0, 1.0]]]), 1.0)
    assert tiles[0, 0].tolist() == ramp[[0, 0, len(ramp) // 2, -1]].tolist()


@pytest.mark.parametrize("count", [1, 2, 7, 32, 64, 200])
def test_tiles_fill_a_picture_that_a_page_can_show(count):
    tiles = np.random.default_rng(0).integers(0, 256, (count, 3, 3, 3), dtype=np.uint8)
    height, width = opened(pictures.numbered(tiles, range(count), {})).shape[:2]
    assert width <= 1300
    assert height <= 700
    assert height <= width or count == 1


def test_a_marked_tile_is_framed_and_its_number_has_the_colour():
    tiles = np.full((6, 3, 3, 3), 128, np.uint8)
    plain = near(opened(pictures.numbered(tiles, range(6), {})), RED)
    found = near(opened(pictures.numbered(tiles, range(6), {4: RED})), RED)
    assert not plain.any()
    _, columns = np.nonzero(found)
    assert 4 / 6 * found.shape[1] <= columns.min() <= columns.max() < 5 / 6 * found.shape[1]


def test_each_kernel_is_a_column_and_each_input_a_row():
    kernels = np.zeros((4, 2, 3, 3))
    kernels[2, 1] = 1.0
    drawn = opened(pictures.channel_grid(kernels, 1.0, numbers=[0, 1, 2, 3], inputs=[5, 6], marks={}))
    rows, columns = np.nonzero((drawn == signed_ramp()[-1]).all(-1))
    assert rows.min() > drawn.shape[0] / 2
    assert drawn.shape[1] / 2 < columns.min() <= columns.max() < 0.8 * drawn.shape[1]
    assert np.ptp(rows) == np.ptp(columns)  # square


@pytest.mark.parametrize("shape", [(64, 32, 1, 1), (32, 16, 3, 3), (2, 2, 1, 7), (32, 16, 11, 11), (1, 16, 3, 3)])
def test_a_grid_fits_a_page(shape):
    kernels = np.random.default_rng(0).normal(size=shape)
    numbers = range(1200, 1200 + shape[0])
    drawn = opened(pictures.channel_grid(kernels, 2.0, numbers=numbers, inputs=range(shape[1]), marks={}))
    assert drawn.shape[1] <= 1320
    assert drawn.shape[0] <= 720


def test_layers_of_zeros_can_be_drawn():
    assert (pictures.weighted(np.zeros((2, 3, 3)), 0.0) == signed_ramp()[len(signed_ramp()) // 2]).all()

import io

import numpy as np
import pytest
from PIL import Image

from auditor import pictures


def ramp(width, height):
    """A picture whose red is the column and whose green is the row."""
    cols, rows = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([cols, rows, 0 * rows], 2).astype(np.uint8))


def test_a_small_part_shows_its_pixels_as_squares():
    part = np.asarray(pictures.part(ramp(100, 80), (30, 10, 34, 12), 80))
    assert part.shape == (40, 80, 3)
    assert sorted(set(part[:, :, 0].ravel())) == [30, 31, 32, 33]
    assert sorted(set(part[:, :, 1].ravel())) == [10, 11]


@pytest.mark.parametrize("box", [(-20, -5, 50, 30), (60, 40, 160, 90), (-10, -10, 200, 200)])
def test_what_lies_outside_the_image_is_left_out(box):
    part = pictures.part(ramp(100, 80), box, 120)
    left, top, right, bottom = max(0, box[0]), max(0, box[1]), min(100, box[2]), min(80, box[3])
    assert max(part.size) == 120
    assert part.width / part.height == pytest.approx((right - left) / (bottom - top), rel=0.05)
    pixels = np.asarray(part, dtype=int)
    assert abs(pixels[..., 0].min() - left) <= 1
    assert abs(pixels[..., 0].max() - (right - 1)) <= 1


def test_the_outline_lies_around_the_part():
    drawn = np.asarray(pictures.outlined(Image.new("RGB", (200, 100)), (40, 20, 120, 80), 100), dtype=int)
    assert drawn.shape == (50, 100, 3)
    line = np.argwhere(drawn[..., 0] > 200)
    assert line.min(0).tolist() == [10, 20]
    assert line.max(0).tolist() == [39, 59]


def test_the_outline_of_a_single_pixel_can_be_seen():
    drawn = np.asarray(pictures.outlined(Image.new("RGB", (800, 800)), (799, 0, 800, 1), 100), dtype=int)
    assert (drawn[..., 0] > 200).sum() > 20


def test_a_signal_of_zero_is_grey_and_its_limit_full_colour():
    values = np.zeros((3, 1, 3))
    values[0, 0, 1], values[1, 0, 2] = 5.0, -9.0
    drawn = np.asarray(pictures.signal(values, 5.0), dtype=int)
    assert np.abs(drawn[0, 0] - 127).max() <= 1
    assert drawn[0, 1, 0] == 255
    assert drawn[0, 2, 1] == 0


def test_a_grey_signal_and_one_that_is_zero_or_no_number_are_drawn():
    for values in (np.zeros((1, 2, 2)), np.full((3, 2, 2), np.nan)):
        assert np.asarray(pictures.signal(values, 0.0)).shape == (2, 2, 3)


def test_stacked_pictures_stand_in_squares_and_a_sheet_row_by_row():
    images = [Image.new("RGB", (40, 20), "red"), Image.new("RGB", (10, 40), "blue"), Image.new("RGB", (40, 40))]
    stacked = Image.open(io.BytesIO(pictures.stacked(images, 40)))
    sheet = Image.open(io.BytesIO(pictures.sheet(images, 2, 40, gap=2)))
    assert stacked.size == (40, 128)
    assert sheet.size == (82, 82)
    assert sheet.getpixel((20, 20))[0] > 200
    assert sheet.getpixel((62, 20))[2] > 200

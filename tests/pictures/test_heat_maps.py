import io

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from auditor import pictures
from auditor.pictures.colours import heat_ramp, signed_ramp

RAMP = np.linspace(0, 1, 49).reshape(7, 7)


def pixels_of(picture: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def lightness(ramp: np.ndarray) -> np.ndarray:
    return rgb2lab(ramp[None] / 255)[0, :, 0]


def test_lightness_of_the_heat_ramp_only_rises():
    assert (np.diff(lightness(heat_ramp())) > 0).all()


def test_signed_ramp_is_lightest_in_the_middle_and_equally_dark_at_both_ends():
    light = lightness(signed_ramp())
    assert light.argmax() == len(light) // 2
    assert abs(light[0] - light[-1]) < 6


def test_heat_takes_the_first_colour_at_low_and_the_last_at_high_and_beyond():
    drawn = pixels_of(pictures.heat(np.array([[0.0, 1.0], [-5.0, 9.0]]), low=0, high=1))
    first, last = heat_ramp()[0], heat_ramp()[-1]
    assert (drawn[0, 0] == first).all()
    assert (drawn[-1, 0] == first).all()
    assert (drawn[0, -1] == last).all()
    assert (drawn[-1, -1] == last).all()


def test_zero_has_the_middle_colour_of_a_signed_map():
    drawn = pixels_of(pictures.signed(np.array([[0.0, -2.0, 2.0]]), limit=2))
    assert (drawn[0, 0] == signed_ramp()[len(signed_ramp()) // 2]).all()


def test_each_cell_of_a_small_map_is_an_equally_large_square():
    drawn = pixels_of(pictures.heat(RAMP, low=0, high=1))
    assert drawn.shape == (224, 224, 3)
    assert all((block == block[0, 0]).all() for row in np.split(drawn, 7) for block in np.split(row, 7, axis=1))


def test_a_map_is_never_enlarged_beyond_the_size_asked_for():
    assert pixels_of(pictures.heat(RAMP, low=0, high=1, size=100)).shape == (98, 98, 3)


def test_values_that_are_no_number_are_hatched_in_grey():
    values = RAMP.copy()
    values[0, 0], values[0, 1] = np.nan, np.inf
    drawn = pixels_of(pictures.heat(values, low=0, high=1))[:32, :64].reshape(-1, 3)
    assert {tuple(colour) for colour in drawn.tolist()} == {(150, 150, 150), (205, 205, 205)}


@pytest.mark.parametrize("limits", [(0, 0), (1, 0), (0, float("nan")), (0, float("inf"))])
def test_refuses_limits_without_a_distance(limits):
    with pytest.raises(ValueError, match="limits"):
        pictures.heat(RAMP, low=limits[0], high=limits[1])


def test_refuses_a_map_without_one_finite_value():
    with pytest.raises(ValueError, match="finite"):
        pictures.signed(np.full((3, 3), np.nan), limit=1)


def test_an_overlay_leaves_the_photograph_where_the_map_is_low_and_colours_it_where_it_is_high():
    grey = np.full((64, 64, 3), 128, np.uint8)
    drawn = pixels_of(pictures.overlay(grey, np.array([[0.0, 1.0]]), low=0, high=1)).astype(int)
    assert np.ptp(drawn[32, 2]) < 20
    assert np.ptp(drawn[32, -3]) > 60


def test_an_overlay_has_the_size_of_its_photograph_unless_asked_otherwise():
    image = np.zeros((60, 90, 3), np.uint8)
    assert pixels_of(pictures.overlay(image, RAMP, low=0, high=1)).shape == (60, 90, 3)
    assert pixels_of(pictures.overlay(image, RAMP, low=0, high=1, size=45)).shape == (30, 45, 3)


def test_a_gradient_of_zero_is_middle_grey():
    drawn = pixels_of(pictures.colour(np.array([[[0.0, 0.0, 0.0], [1.0, 0.0, -1.0]]] * 2), limit=1))
    assert np.abs(drawn[0, 0].astype(int) - 128).max() <= 2


def test_a_map_is_a_palette_picture_of_few_bytes():
    picture = pictures.heat(np.random.default_rng(0).random((14, 14)), low=0, high=1)
    assert Image.open(io.BytesIO(picture)).mode == "P"
    assert len(picture) < 6000


def test_the_colour_bar_runs_from_the_first_to_the_last_colour_of_the_map():
    scale = pictures.heat_scale(0, 3, "activation")
    assert (scale.low, scale.high, scale.label) == (0, 3, "activation")
    assert scale.colours[0] == "#" + bytes(heat_ramp()[0].tolist()).hex()
    assert scale.colours[-1] == "#" + bytes(heat_ramp()[-1].tolist()).hex()
    assert pictures.signed_scale(2).low == -2

import io

import numpy as np
import pytest
from PIL import Image

from auditor import pictures
from auditor.language import speaking
from auditor.pictures.colours import heat_ramp


def opened(image):
    return np.asarray(Image.open(io.BytesIO(image)).convert("RGB"), dtype=int)


def bars(image):
    """Return the height of the blue bar in each column of pixels."""
    pixels = opened(image)
    return (np.abs(pixels - (0x4A, 0x7B, 0xA6)).max(2) < 6).sum(0)


def test_every_cell_of_a_map_is_a_square_in_the_colour_of_its_value():
    values = np.array([[0.5, 1.0, 1.5], [2.0, 2.5, 3.0]], np.float32)
    item = pictures.stage_item(values, "conv\n8 x 2 x 3", "cat.png")
    drawn = opened(item.image)
    assert drawn.shape == (224, 336, 3)
    cells = drawn.reshape(2, 112, 3, 112, 3)
    assert (cells == cells[:, :1, :, :1]).all()
    assert cells[0, 0, 0, 0].tolist() == heat_ramp()[0].tolist()
    assert cells[1, 0, 2, 0].tolist() == heat_ramp()[-1].tolist()
    assert (item.scale.low, item.scale.high) == (0.5, 3.0)
    assert "row 1 and column 2" in item.alt


def test_a_constant_map_starts_its_scale_at_zero():
    item = pictures.stage_item(np.full((3, 3), 2.0, np.float32), "conv", "cat.png")
    assert (item.scale.low, item.scale.high) == (0.0, 2.0)


@pytest.mark.parametrize(
    ("value", "told"), [(0.0, "conv\nzero everywhere, because it is"), (np.nan, "conv\nno finite value")]
)
def test_a_map_with_nothing_to_show_is_words(value, told):
    item = pictures.stage_item(
        np.full((4, 8), value, np.float32), "conv", "cat.png", zero="zero everywhere, because it is"
    )
    assert item.label == told
    assert item.scale is None
    drawn = opened(item.image)
    assert drawn.shape[1] == 2 * drawn.shape[0]
    assert drawn.min() < 150 < drawn.max()  # there is writing


def test_a_map_that_is_zero_but_for_what_is_no_number_is_not_called_zero():
    values = np.zeros((4, 4), np.float32)
    values[0, 0] = np.inf
    assert pictures.stage_item(values, "conv", "cat.png").label == "conv\nzero or not finite"


def test_features_stand_by_size_and_in_proportion():
    heights = bars(pictures.profile(np.array([1.0, 4.0, 0.0, 2.0])))
    assert (np.diff(heights) <= 0).all()
    first, second, third, fourth = heights[[30, 90, 150, 210]]
    assert first == pytest.approx(2 * second, abs=2)
    assert second == pytest.approx(2 * third, abs=2)
    assert fourth == 0


def test_features_below_zero_hang_under_the_line():
    pixels = opened(pictures.profile(np.array([1.0, -1.0])))
    blue = np.abs(pixels - (0x4A, 0x7B, 0xA6)).max(2) < 6
    above, below = np.flatnonzero(blue[:, 60]), np.flatnonzero(blue[:, 180])
    assert above.max() <= below.min()
    assert len(above) == pytest.approx(len(below), abs=2)


@pytest.mark.parametrize("count", [1, 7, 100000])
def test_features_of_any_number_are_drawn(count):
    assert opened(pictures.profile(np.arange(count, dtype=np.float32))).shape == (240, 240, 3)


def test_the_bars_of_the_answers_are_as_long_as_they_are_probable():
    drawn = opened(
        pictures.class_probabilities(
            ["cat", "dog", "a very long name of a rare beetle"], [0.5, 0.25, 0.0], [3.1, 2, -9]
        )
    )
    blue = np.abs(drawn - (0x4A, 0x7B, 0xA6)).max(2) < 6
    lengths = [int(row.sum()) for row in blue if row.sum() > 1]
    assert max(lengths) == pytest.approx(120, abs=2)
    assert min(lengths) >= 1
    assert any(abs(length - 60) <= 2 for length in lengths)
    assert (drawn[:, -1] > 200).all()  # nothing is cut at the edge


def test_a_tall_column_of_answers_keeps_its_height():
    short, tall = (
        opened(pictures.class_probabilities(["a", "b"], [0.6, 0.4], [1, 0], tall=tall)) for tall in (False, True)
    )
    assert short.shape[0] < short.shape[1]
    assert tall.shape[0] > 1.5 * tall.shape[1]


def test_letters_that_one_font_lacks_are_drawn_in_another():
    accented, unknown = (
        opened(pictures.class_probabilities([name], [0.5], [1])) for name in ("épagneul", "\ue000pagneul")
    )
    assert (accented != unknown).any()


def test_numbers_beside_the_bars_are_those_of_the_language_that_is_spoken():
    with speaking("fr"):
        french = pictures.class_probabilities(["cat"], [0.125], [1.5])
    assert french != pictures.class_probabilities(["cat"], [0.125], [1.5])


def test_words_are_cut_where_they_are_too_long():
    drawn = opened(pictures.written("unpronounceable" * 9, (3, 3)))
    assert (drawn[:, 2:6] > 200).all()
    assert (drawn[:, -6:-2] > 200).all()

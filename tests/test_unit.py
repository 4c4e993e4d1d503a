import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor import Unit
from auditor.errors import UsageError

PLACES = st.none() | st.tuples(st.integers(0, 99), st.integers(0, 99))


@given(st.from_regex(r"[a-z]+(\.[a-z0-9_]+)*", fullmatch=True), st.integers(0, 9999), PLACES)
def test_what_is_written_is_read_again(layer, channel, place):
    unit = Unit(layer, channel, *(place or ()))
    assert Unit.read(str(unit)) == unit


@pytest.mark.parametrize("text", ["", "layer", "layer:", ":3", "layer:-1", "layer:1:2", "layer:1:2:3:4", "layer:a"])
def test_refuses_what_names_no_unit(text):
    with pytest.raises(UsageError, match="is not a unit; write layer:channel"):
        Unit.read(text)


def test_refuses_half_a_place_and_negative_numbers():
    with pytest.raises(ValueError, match="only one of y and x"):
        Unit("a", 1, y=2)
    with pytest.raises(ValueError, match="negative"):
        Unit("a", -1)

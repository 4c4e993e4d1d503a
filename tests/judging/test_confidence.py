import pytest

from auditor.judging import confidence


@pytest.mark.parametrize(("confident", "ends"), [(False, (0.8, 0.8)), (True, (0.7, 0.9))])
def test_confidence_is_compared_with_the_worse_end(confident, ends):
    interval = (0.7, 0.9)
    found = confidence.lower(0.8, interval, confident=confident), confidence.upper(0.8, interval, confident=confident)
    assert found == ends


@pytest.mark.parametrize(
    ("limits", "close"), [((0.75,), True), ((0.95, 0.75), True), ((None, 0.95), False), ((0.7,), False), ((), False)]
)
def test_a_limit_inside_the_interval_is_a_close_call(limits, close):
    assert confidence.is_close((0.7, 0.9), *limits) is close
    assert bool(confidence.close_call((0.7, 0.9), *limits)) is close


def test_a_close_call_says_what_helps():
    assert "More images" in confidence.close_call((0.7, 0.9), 0.8, confident=True)
    assert "could change this verdict" in confidence.close_call((0.7, 0.9), 0.8)

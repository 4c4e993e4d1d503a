"""Labels that are numbers, in the orders that people give them, on few images."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.checks.predictions.permuted import order_findings
from auditor.data.orders import alternatives
from auditor.results import Verdict
from auditor.statistics.confusion import Confusion


def judged(places, meant, each=2, outputs=12):
    """Judge a network that is right if each label means the output `meant[label]`."""
    counts = np.zeros((outputs, outputs), np.int64)
    for label, place in places.items():
        counts[place, meant[label]] = each
    names = [f"class {i}" for i in range(outputs)]
    others = alternatives(places, outputs)
    return next(order_findings(Confusion.full(counts), names, few=20, warn=0.1, fail=0.5, seed=0, alternatives=others))


TEXT = {label: place for place, label in enumerate(sorted(str(i) for i in range(12)))}
NUMBERS = {str(i): i for i in range(12)}


@pytest.mark.parametrize(
    ("places", "meant", "order", "lines"),
    [
        (TEXT, NUMBERS, "in the order of the numbers", "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11"),
        (
            {str(i): i for i in range(1, 9)},
            {str(i): i - 1 for i in range(1, 9)},
            "if the numbers begin at 1",
            "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12",
        ),
        (
            {str(i): i for i in range(11)},
            {str(i): TEXT[str(i)] for i in range(11)},
            "sorted as text",
            "0, 1, 10, 11, 2, 3, 4, 5, 6, 7, 8, 9",
        ),
    ],
)
def test_another_meaning_of_numbers_is_found_on_few_images(places, meant, order, lines):
    finding = judged(places, meant)
    assert finding.verdict is Verdict.FAIL
    assert f"{order}, top-1 accuracy is 100.0 %" in finding.message
    assert f"The lines would be: {lines}." in finding.detail


def test_numbers_in_the_right_order_are_not_called_otherwise():
    assert judged(NUMBERS, NUMBERS).verdict is Verdict.SKIP
    assert judged(NUMBERS, NUMBERS, each=8).verdict is Verdict.PASS


def test_a_network_that_guesses_is_not_told_of_another_order():
    random = np.random.default_rng(0)
    for _ in range(100):
        counts = random.multinomial(48, np.full(144, 1 / 144)).reshape(12, 12)
        others = alternatives(TEXT, 12)
        first = next(
            order_findings(Confusion.full(counts), list(TEXT), few=20, warn=0.1, fail=0.5, seed=0, alternatives=others)
        )
        assert first.verdict in (Verdict.SKIP, Verdict.PASS)


def test_an_order_that_fits_far_better_than_the_numbers_is_told_instead():
    reverse = {label: 11 - place for label, place in TEXT.items()}
    finding = judged(TEXT, reverse, each=20)
    assert finding.verdict is Verdict.FAIL
    assert "another order of the classes" in finding.message

import itertools

import numpy as np
import pytest

from auditor.collectors import Batch, image_predictions
from auditor.collectors.image_predictions import ImagePredictions


def batch(first, count=3, classes=4):
    scores = np.random.default_rng(first).normal(size=(count, classes)).astype(np.float32)
    return Batch(np.arange(first, first + count), np.arange(count) - 1, scores)


def seen(*firsts):
    collector = ImagePredictions()
    for first in firsts:
        collector.update(batch(first), {})
    return collector


def test_keeps_label_prediction_and_confidence_of_each_image():
    one = batch(0)
    rows = seen(0).rows
    assert rows[:, 0].tolist() == [0, 1, 2]
    assert rows[:, 1].tolist() == [-1, 0, 1]
    assert rows[:, 2].tolist() == one.scores.argmax(1).tolist()
    odds = np.exp(one.scores.astype(float))
    assert rows[:, 3] == pytest.approx(odds.max(1) / odds.sum(1))


def test_an_image_without_finite_scores_has_no_prediction():
    one = batch(0)
    one.scores[1, 2] = np.nan
    collector = ImagePredictions()
    collector.update(one, {})
    assert collector.rows[1, 2:].tolist() == [-1, 0]


@pytest.mark.parametrize("order", list(itertools.permutations([0, 3, 6])))
def test_merging_in_any_order_gives_the_same(order):
    whole = ImagePredictions()
    for first in order:
        whole.merge(seen(first))
    assert np.array_equal(whole.rows, seen(0, 3, 6).rows)


def test_goes_on_from_its_state():
    again = ImagePredictions()
    again.load(seen(0).state())
    again.update(batch(3), {})
    assert np.array_equal(again.rows, seen(0, 3).rows)


@pytest.mark.parametrize("parts", [[[0, 3, 6]], [[0, 3], [6]], [[0], [3], [6]]])
def test_of_too_many_images_only_their_number_is_kept(monkeypatch, parts):
    monkeypatch.setattr(image_predictions, "MOST", 8)
    whole = ImagePredictions()
    for firsts in parts:
        whole.merge(seen(*firsts))
    assert (whole.images, len(whole.rows)) == (9, 0)

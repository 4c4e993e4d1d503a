"""What is said of layers by their share of defective channels."""

import numpy as np
import pytest

from auditor.judging.channels import DEAD, by_layer
from auditor.model.layers import Layer
from auditor.results import Verdict

SKIP, PASS, WARN, FAIL = Verdict.SKIP, Verdict.PASS, Verdict.WARN, Verdict.FAIL


def layer(name="conv", channels=20):
    return Layer(name, "Conv2d", (channels, 8, 8), 0, name, rectified=True, floor=0.0)


def judged(dead, images=48, few=20):
    found = {layer(): np.arange(dead)}
    (finding,) = by_layer("patches.dead", found, DEAD, images=images, few=few, warn=0.1, fail=0.5)
    return finding


@pytest.mark.parametrize(
    ("dead", "images", "verdict", "message"),
    [
        (0, 48, PASS, "no channel is dead: all are active on some of 48 images"),
        (1, 48, PASS, "at most 1 of 20 channels of a layer is dead: no activation on any of 48 images"),
        (2, 48, PASS, "at most 2 of 20 channels of a layer are dead: no activation on any of 48 images"),
        (3, 48, WARN, "3 of 20 channels are dead: no activation on any of 48 images"),
        (10, 48, WARN, "10 of 20 channels are dead: no activation on any of 48 images"),
        (11, 48, FAIL, "11 of 20 channels are dead: no activation on any of 48 images"),
        (11, 20, FAIL, "11 of 20 channels are dead: no activation on any of 20 images"),
        (11, 19, SKIP, "19 images are too few to call a channel dead (20 needed)"),
        (11, 1, SKIP, "1 image is too few to call a channel dead (20 needed)"),
    ],
)
def test_a_share_over_a_limit_costs_the_verdict_and_the_sentence_has_the_number(dead, images, verdict, message):
    finding = judged(dead, images)
    assert (finding.verdict, finding.message) == (verdict, message)
    assert finding.value == (None if verdict is SKIP else dead / 20)


@pytest.mark.parametrize(("dead", "limit"), [(0, 0.1), (3, 0.1), (11, 0.5)])
def test_the_limit_is_the_one_that_decides(dead, limit):
    assert judged(dead).limit == limit


@pytest.mark.parametrize(
    ("dead", "detail"),
    [
        (0, ""),
        (1, "Activation rate of a dead channel: below 6.1 % (95 % confidence, n = 48)."),
        (3, "Activation rate of a dead channel: below 6.1 % (95 % confidence, n = 48). Dead channels add nothing"),
    ],
)
def test_the_detail_bounds_the_rate_and_advises_only_if_there_is_something_to_do(dead, detail):
    assert judged(dead).detail.startswith(detail)
    assert ("Channels: 0, 1, 2." in judged(dead).detail) is (dead == 3)


def test_all_layers_over_the_limit_are_reported_and_else_the_worst():
    few, many = (
        {layer("a"): np.arange(1), layer("b"): np.arange(2)},
        {layer("a"): np.arange(4), layer("b"): np.arange(5)},
    )
    limits = {"images": 48, "few": 20, "warn": 0.1}
    assert [one.subject for one in by_layer("patches.dead", few, DEAD, **limits)] == ["b"]
    assert [one.subject for one in by_layer("patches.dead", many, DEAD, **limits)] == ["a", "b"]

"""What is said of dead and constant channels, and of borders, by made-up numbers."""

import numpy as np
import pytest

from auditor.checks.activations.border import compared
from auditor.checks.activations.idle_channels import Uninformative, idle_findings
from auditor.model.layers import Layer
from auditor.results import Finding, Table, Verdict

SKIP, PASS, WARN, FAIL = Verdict.SKIP, Verdict.PASS, Verdict.WARN, Verdict.FAIL


def convolution(name="conv", channels=20):
    return Layer(name, "Conv2d", (channels, 8, 8), 0, name, rectified=True, floor=0.0)


def linear(name="fc", units=20):
    return Layer(name, "Linear", (units,), 0, name, rectified=True, floor=0.0)


def judged(dead, constant, *, layer=None, images=48, enough=True):
    one = Uninformative(layer or convolution(), np.arange(dead), np.arange(dead, dead + constant), enough)
    return list(idle_findings("activations.dead", [one], images=images, few=20, warn=0.1, fail=0.5))


@pytest.mark.parametrize(
    ("dead", "constant", "verdict", "value", "message"),
    [
        (0, 0, PASS, 0.0, "no channel is dead: all are active on some of 48 images"),
        (2, 0, PASS, 0.1, "at most 2 of 20 channels of a layer are dead: no activation on any of 48 images"),
        (0, 2, PASS, 0.1, "at most 2 of 20 channels of a layer are constant: the same output on all 48 images"),
        (2, 2, PASS, 0.1, "at most 2 of 20 channels of a layer are dead: no activation on any of 48 images"),
        (3, 0, WARN, 0.15, "3 of 20 channels are dead: no activation on any of 48 images"),
        (0, 3, WARN, 0.15, "3 of 20 channels are constant: the same output on all 48 images"),
        (
            1,
            3,
            WARN,
            0.15,
            "1 of 20 channels is dead: no activation on any of 48 images; "
            "3 of 20 channels are constant: the same output on all 48 images",
        ),
        (10, 0, WARN, 0.5, "10 of 20 channels are dead: no activation on any of 48 images"),
        (11, 0, FAIL, 0.55, "11 of 20 channels are dead: no activation on any of 48 images"),
        (0, 11, FAIL, 0.55, "11 of 20 channels are constant: the same output on all 48 images"),
        (
            6,
            5,
            FAIL,
            0.55,
            "6 of 20 channels are dead: no activation on any of 48 images; "
            "5 of 20 channels are constant: the same output on all 48 images",
        ),
    ],
)
def test_a_warning_is_by_one_kind_and_a_failure_by_both_together(dead, constant, verdict, value, message):
    (finding,) = judged(dead, constant)
    assert (finding.verdict, finding.value, finding.message) == (verdict, value, message)


@pytest.mark.parametrize(
    ("dead", "constant", "verdict", "value", "limit"),
    [
        (10, 0, PASS, 0.5, 0.5),
        (11, 0, WARN, 0.55, 0.5),
        (20, 0, WARN, 1.0, 0.5),
        (0, 2, PASS, 0.1, 0.1),
        (0, 3, WARN, 0.15, 0.1),
        (8, 3, WARN, 0.15, 0.1),
        (0, 11, FAIL, 0.55, 0.5),
    ],
)
def test_of_units_that_see_the_whole_image_dead_ones_are_judged_by_the_higher_limit(
    dead, constant, verdict, value, limit
):
    (finding,) = judged(dead, constant, layer=linear(), images=320)
    assert (finding.verdict, finding.value, finding.limit) == (verdict, value, limit)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (19, "19 images are too few to call a channel dead (20 needed)"),
        (1, "1 image is too few to call a channel dead (20 needed)"),
    ],
)
def test_too_few_images_are_skipped(images, message):
    (finding,) = judged(20, 0, images=images)
    assert (finding.verdict, finding.message) == (SKIP, message)


def test_units_that_see_the_whole_image_need_300_of_them():
    (skipped,) = judged(0, 0, layer=linear(), images=299, enough=False)
    assert (skipped.verdict, skipped.subject) == (SKIP, "fc")
    assert skipped.message == "299 images are too few to call a channel dead (300 needed)"
    assert skipped.detail == "Layers with one output an image: fc."


@pytest.mark.parametrize(
    ("dead", "constant", "parts"),
    [
        (0, 2, [""]),
        (2, 0, ["below 6.1 % (95 % confidence, n = 48)."]),
        (3, 0, ["below 6.1 % (95 % confidence, n = 48).", "Dead channels add nothing", "Channels: 0, 1, 2."]),
        (0, 3, ["Constant channels carry no information.", "Channels: 0, 1, 2."]),
    ],
)
def test_the_detail_says_what_is_certain_and_what_to_do(dead, constant, parts):
    (finding,) = judged(dead, constant)
    assert all(part in finding.detail for part in parts)
    assert bool(finding.detail) is bool(parts[0])


def maps(border, inside, n=4, size=6):
    """Return `[n, size, size]`, images of slightly different brightness."""
    values = np.full((n, size, size), border, np.float32)
    values[:, 1:-1, 1:-1] = inside
    return values * np.linspace(1, 1.1, n, dtype=np.float32)[:, None, None]


def test_the_layer_farthest_from_1_is_reported_in_either_direction():
    finding, table = compared({"a": maps(2, 1), "b": maps(1, 4), "c": maps(1, 1)}, {})
    assert (finding.verdict, finding.subject, finding.value) == (Verdict.INFO, "b", pytest.approx(0.25))
    assert finding.message == "maps respond 0.25 times as strongly at the border as inside"
    assert finding.detail == "Padding at the border is not part of any image."
    assert isinstance(table, Table)
    assert [row[:3] for row in table.rows] == [("a", 4, "2.00"), ("b", 4, "0.25"), ("c", 4, "1.00")]


def test_rows_and_columns_that_strides_leave_out_are_listed():
    finding, _table = compared({"a": maps(2, 1)}, {"conv1": (1, 0), "conv2": (3, 3)})
    assert finding.detail.endswith("a stride leaves out at the end: conv1 (1, 0), conv2 (3, 3).")


@pytest.mark.parametrize(
    ("strengths", "message"),
    [
        ({}, "no map has at least 5 rows and columns"),
        ({"a": maps(0, 1)}, "fewer than 2 explained images respond both at the border and inside"),
        ({"a": maps(1, 1, n=1)}, "fewer than 2 explained images respond both at the border and inside"),
    ],
)
def test_what_can_not_be_compared_is_skipped(strengths, message):
    (finding,) = compared(strengths, {})
    assert isinstance(finding, Finding)
    assert (finding.verdict, finding.message) == (SKIP, message)

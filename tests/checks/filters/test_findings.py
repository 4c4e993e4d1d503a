"""What is said of filters near zero, of duplicates and of random layers, by made-up numbers."""

import numpy as np
import pytest

from auditor.checks.filters import findings
from auditor.checks.filters.findings import Kernels
from auditor.checks.filters.noise import Randomness, distances, noise_findings
from auditor.methods import Freshness
from auditor.methods.layers.kernels import Pair
from auditor.model.convolutions import Convolution
from auditor.results import Verdict

SKIP, PASS, WARN, FAIL = Verdict.SKIP, Verdict.PASS, Verdict.WARN, Verdict.FAIL


def kernels(name="conv", n=20, *, dead=0, pairs=()):
    values = np.ones((n, 3, 3, 3), np.float32)
    layer = Convolution(name, values, 1, False, False)
    found = None if pairs is None else list(pairs)
    return Kernels(layer, values, np.arange(dead), found, randomness(name))


def randomness(name="conv", distance=9.0, *, obstacle="", default=False, n=16):
    fresh = None if obstacle or default else Freshness(48, 9, 0.9, distance, 0.1, 0.2, 0.3, 0.4, 0.5, -0.6)
    values = np.random.default_rng(0).uniform(-0.1, 0.1, (n, 3, 3, 3)).astype(np.float32)
    return Randomness(name, values, fresh, obstacle, default)


@pytest.mark.parametrize(
    ("dead", "verdict", "message"),
    [
        (0, PASS, "0 of 20 filters are near zero, at most 0.0 % of a layer"),
        (1, PASS, "1 of 20 filters is near zero, at most 5.0 % of a layer"),
        (2, WARN, "2 of 20 filters are near zero"),
        (20, WARN, "20 of 20 filters are near zero"),
    ],
)
def test_over_a_twentieth_of_the_filters_near_zero_is_a_warning(dead, verdict, message):
    (finding,) = findings.dead([kernels(dead=dead)], 0.05)
    assert (finding.verdict, finding.message, finding.value) == (verdict, message, dead / 20)


def test_each_layer_with_many_filters_near_zero_is_reported_with_their_indices():
    first, second = findings.dead([kernels("a", dead=2), kernels("b", dead=1), kernels("c", dead=3)], 0.05)
    assert (first.subject, second.subject) == ("a", "c")
    assert first.detail.endswith("Indices: 0, 1.")


def test_a_few_filters_near_zero_are_listed_by_layer():
    (finding,) = findings.dead([kernels("a", dead=1), kernels("b"), kernels("c", dead=1)], 0.05)
    assert (finding.verdict, finding.n, finding.detail) == (PASS, 60, "a: 0; c: 0")


ONE, TWO = Pair(0, 1, 0.99), Pair(2, 3, -0.96)


def duplicates(pairs, confirmed=True, n=20):
    layer = kernels(n=n, pairs=pairs)
    return list(findings.duplicates([layer], {"conv": pairs or []}, {"conv"} if confirmed else set(), 0.1))


@pytest.mark.parametrize(
    ("pairs", "n", "verdict", "value", "message"),
    [
        ([], 20, PASS, 0.0, "none of 20 filters in 1 layer has a duplicate"),
        ([ONE], 20, PASS, 0.1, "2 of 20 filters have a duplicate, at most 10.0 % of a layer"),
        ([ONE], 19, WARN, 2 / 19, "2 of 19 filters have a duplicate (confirmed by their outputs)"),
        ([ONE, TWO], 20, WARN, 0.2, "4 of 20 filters have a duplicate (confirmed by their outputs)"),
        ([ONE, Pair(0, 2, 0.98)], 20, WARN, 0.15, "3 of 20 filters have a duplicate (confirmed by their outputs)"),
        (None, 20, SKIP, None, "no layer has filters whose duplicates could be removed"),
    ],
)
def test_over_a_share_of_filters_with_a_duplicate_is_a_warning(pairs, n, verdict, value, message):
    (finding,) = duplicates(pairs, n=n)
    assert (finding.verdict, finding.value, finding.message) == (verdict, value, message)


def test_duplicates_that_were_not_confirmed_are_called_so():
    (finding,) = duplicates([ONE, TWO], confirmed=False)
    assert finding.message == "4 of 20 filters have a duplicate (not confirmed by outputs)"
    assert finding.detail.endswith("Indices and cosines: 0 and 1 (+0.990), 2 and 3 (-0.960).")


def test_layers_that_are_not_judged_do_not_count():
    layers = [kernels("a", pairs=[]), kernels("b", n=64, pairs=None)]
    (finding,) = findings.duplicates(layers, {"a": [], "b": []}, set(), 0.05)
    assert (finding.verdict, finding.n) == (PASS, 20)


def noise(*layers, trained=False):
    return list(noise_findings(layers, 4.0, trained=trained))


@pytest.mark.parametrize(
    ("layers", "trained", "verdict", "message"),
    [
        ([("a", 4.01)], False, PASS, "a, the only layer that can be judged, is distinguishable from"),
        ([("a", 4.01), ("b", 5.0)], False, PASS, "none of 2 layers is indistinguishable from random initialisation"),
        ([("a", 4.0)], False, WARN, "all 16 filters are indistinguishable from random initialisation"),
        ([("a", 4.0), ("b", 9.0)], False, WARN, "all 16 filters are indistinguishable from random initialisation"),
        ([("a", 4.0), ("b", 3.0)], False, FAIL, "the filters of all 2 layers are indistinguishable"),
        ([("a", 4.0), ("b", 3.0)], True, WARN, "the filters of 2 of 2 layers are indistinguishable"),
        ([("a", 4.0), ("b", 3.0), ("c", 9.0)], False, WARN, "the filters of 2 of 3 layers are indistinguishable"),
    ],
)
def test_up_to_four_standard_deviations_a_layer_is_random(layers, trained, verdict, message):
    (finding,) = noise(*(randomness(name, distance) for name, distance in layers), trained=trained)
    assert finding.verdict is verdict
    assert finding.message.startswith(message)
    assert (finding.limit, finding.unit) == (4.0, "sd")


def test_the_nearest_layer_and_its_distance_are_named():
    (finding,) = noise(randomness("a", 7.0), randomness("b", 5.0))
    assert (finding.value, finding.n) == (5.0, 32)
    assert finding.message.endswith("the nearest is b")


@pytest.mark.parametrize(
    ("layers", "verdicts"),
    [
        ([randomness("small", default=True)], [WARN]),
        ([randomness("small", default=True), randomness("a", 3.0)], [FAIL]),
        ([randomness("small", default=True), randomness("a", 9.0)], [WARN]),
        ([randomness("small", default=True), randomness("a", 3.0), randomness("b", 9.0)], [WARN, WARN]),
    ],
)
def test_small_layers_with_the_default_initialisation_count_with_the_others(layers, verdicts):
    assert [finding.verdict for finding in noise(*layers)] == verdicts


def test_what_can_not_be_compared_is_skipped_with_the_reason():
    (finding,) = noise(randomness("a", obstacle="108 weights are too few"))
    assert (finding.verdict, finding.message) == (SKIP, "no layer has at least 500 weights that are all finite")
    assert finding.detail == "Not judged: a: 108 weights are too few"


def test_layers_that_are_left_out_are_named_beside_those_that_are_judged():
    (finding,) = noise(randomness("a", 9.0), randomness("b", obstacle="not finite"))
    assert finding.detail == "Not judged: b: not finite"


@pytest.mark.parametrize(("distance", "untrained"), [(4.0, "yes"), (4.1, "no")])
def test_the_table_says_which_layers_count_as_untrained(distance, untrained):
    (table,) = distances([randomness("a", distance), randomness("b", obstacle="not finite")], 4.0)
    first, second = table.rows
    assert (first[0], first[4], first[-1]) == ("a", f"{distance:.1f}", untrained)
    assert (second[0], second[1], second[-1]) == ("b", None, "not judged")


def test_without_any_layer_to_compare_there_is_no_table():
    assert list(distances([randomness("a", obstacle="not finite")], 4.0)) == []

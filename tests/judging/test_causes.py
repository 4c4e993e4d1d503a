"""Findings that are joined because one follows from the other, and those that only occur together."""

import pytest

from auditor.judging import causes
from auditor.judging.grounds import ANSWERS, WEIGHTS
from auditor.results import (
    ArchitectureFacts,
    Audit,
    CheckpointFacts,
    DataFacts,
    Finding,
    Provenance,
    Result,
    Verdict,
)

ALIGNED = {"depthwise": "stem", "later": "depthwise"}


def dead(rule, layer, channels, limit=0.1, of=32, verdict=Verdict.WARN):
    share = len(channels) / of
    return Finding(rule, verdict, "dead", layer, share, limit, channels=tuple(channels))


def traced(*findings):
    """Return the causes by key, for findings of one check."""
    (result,) = causes.traced([Result("check", "Is it?", findings)], ALIGNED)
    return {finding.key: finding.causes for finding in result.findings if finding.causes}


def test_the_same_channels_are_one_defect_from_the_filters_to_the_patches():
    first, four = "filters.dead:stem", (3, 5, 7, 9)
    found = traced(
        dead("filters.dead", "stem", four),
        dead("filters.dead", "depthwise", four),
        dead("activations.dead", "stem", four),
        dead("activations.dead", "later", four),
        dead("patches.dead", "depthwise", four),
    )
    assert found == {
        "filters.dead:depthwise": (first,),
        "activations.dead:stem": (first,),
        "activations.dead:later": (first,),
        "patches.dead:depthwise": (first,),
    }


@pytest.mark.parametrize(
    ("layer", "channels", "follows"),
    [
        ("stem", (3, 5, 7, 9), True),
        ("stem", (3, 5, 7, 9, 11, 13), True),  # without those of the cause two of 32 are left, fewer than the limit
        ("stem", (3, 5, 7, 9, 11, 13, 15, 17), False),
        ("stem", (2, 4, 6, 8), False),
        ("elsewhere", (3, 5, 7, 9), False),
    ],
)
def test_a_finding_follows_only_if_it_would_not_be_there_without_the_cause(layer, channels, follows):
    found = traced(dead("filters.dead", "stem", (3, 5, 7, 9)), dead("activations.dead", layer, channels))
    assert (f"activations.dead:{layer}" in found) is follows


def test_a_layer_is_no_cause_of_the_one_before_it():
    four = (3, 5, 7, 9)
    found = traced(dead("activations.dead", "depthwise", four), dead("activations.dead", "stem", four))
    assert found == {"activations.dead:depthwise": ("activations.dead:stem",)}


def test_what_is_within_its_limit_is_no_cause_and_has_none():
    four = (3, 5, 7, 9)
    assert not traced(dead("filters.dead", "stem", four, verdict=Verdict.PASS), dead("activations.dead", "stem", four))


def test_missing_weights_are_why_the_file_does_not_fit_and_the_answers_are_wrong():
    every = (WEIGHTS, ANSWERS)
    found = traced(
        Finding("checkpoint.missing", Verdict.FAIL, "", ends=every),
        Finding("checkpoint.unexpected", Verdict.FAIL, ""),
        Finding("checkpoint.batchnorm", Verdict.FAIL, ""),
        Finding("predictions.accuracy", Verdict.FAIL, "", ends=(ANSWERS,)),
        Finding("predictions.calibration", Verdict.WARN, ""),
    )
    told = ("checkpoint.missing",)
    assert found == dict.fromkeys(("checkpoint.unexpected", "checkpoint.batchnorm", "predictions.accuracy"), told)


def test_wrong_answers_follow_from_a_wrong_order_of_the_classes():
    accuracy = Finding("predictions.accuracy", Verdict.FAIL, "", ends=(ANSWERS,))
    permuted = Finding("predictions.permuted", Verdict.FAIL, "", ends=(ANSWERS,))
    assert traced(accuracy, permuted) == {"predictions.accuracy": ("predictions.permuted",)}


def test_an_audit_counts_a_cause_once_and_by_the_worst_of_what_follows_from_it():
    root = Finding("a.root", Verdict.WARN, "")
    worse = Finding("a.worse", Verdict.FAIL, "", causes=("a.root",))
    other, fine = Finding("a.other", Verdict.WARN, ""), Finding("a.fine", Verdict.PASS, "")
    about = Provenance(CheckpointFacts("n", "", 1), ArchitectureFacts("n", "", 1), DataFacts(0))
    audit = Audit(about, (Result("a", "Is it?", (other, root, worse, fine)),))
    assert [(cause.finding, cause.followers, cause.verdict) for cause in audit.causes] == [
        (root, (worse,), Verdict.FAIL),
        (other, (), Verdict.WARN),
    ]
    assert audit.counts == {Verdict.FAIL: 1, Verdict.WARN: 1, Verdict.PASS: 1}


def test_a_cause_that_is_not_there_hides_nothing():
    lost = Finding("a.lost", Verdict.FAIL, "", causes=("a.gone",))
    about = Provenance(CheckpointFacts("n", "", 1), ArchitectureFacts("n", "", 1), DataFacts(0))
    assert [cause.finding for cause in Audit(about, (Result("a", "?", (lost,)),)).causes] == [lost]

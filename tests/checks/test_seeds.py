"""No verdict hangs on the seed, or its finding says that it is close."""

import pytest

from tests.audits import result_of

CLOSE = "could change this verdict"
CHECKS = {"predictions": {"few": 6, "calibration_warn": 0.1}, "preprocess": {"few": 6}, "saliency": {}, "filters": {}}


@pytest.mark.parametrize("check", CHECKS)
def test_five_seeds_give_the_same_verdicts_or_say_that_they_are_close(small, photographs, check):
    audits = []
    for seed in range(5):
        settings = {"arch": small.arch, "preprocess": small.preprocess, "samples": 3, "seed": seed}
        found = result_of(check, small.checkpoint, photographs, CHECKS[check], **settings).findings
        audits.append({(f.rule, f.subject): f for f in found})
    for key in set().union(*audits):
        findings = [audit[key] for audit in audits if key in audit]
        turned = len({f.verdict for f in findings}) > 1
        assert not turned or any(CLOSE in f.detail for f in findings), key

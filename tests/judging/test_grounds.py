import pytest

from auditor.judging import grounds
from auditor.judging.grounds import ANSWERS, WEIGHTS
from auditor.judging.validation import refuse_malformed
from auditor.results import Finding, Result, Verdict

MISSING = Finding("checkpoint.missing", Verdict.FAIL, "2 tensors are missing", ends=(WEIGHTS, ANSWERS))
ACCURACY = Finding("predictions.accuracy", Verdict.FAIL, "no image is right", ends=(ANSWERS,))
SOUND = Finding("weights.constant", Verdict.PASS, "fine")


def blocking(needs, *findings):
    return grounds.blocking(needs, [Result("a", "Is it?", findings[:1]), Result("b", "Is it?", findings[1:])])


def test_a_check_is_blocked_by_what_takes_away_one_of_its_needs():
    assert blocking({ANSWERS}, SOUND, ACCURACY) == (ACCURACY,)
    assert blocking({WEIGHTS, ANSWERS}, MISSING, ACCURACY) == (MISSING, ACCURACY)


def test_a_check_without_needs_or_whose_needs_are_met_is_not_blocked():
    assert blocking((), MISSING, ACCURACY) == ()
    assert blocking({WEIGHTS}, SOUND, ACCURACY) == ()


def test_the_reason_names_every_rule_and_says_the_first():
    assert grounds.reason([MISSING, ACCURACY]) == (
        "blocked by checkpoint.missing, predictions.accuracy: 2 tensors are missing"
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"ends": "answers"}, "ends = 'answers', which has to be a tuple of texts"),
        ({"ends": ("answer",)}, "ends ['answer']; there are: weights, answers"),
        ({"causes": ["a.rule"]}, "a tuple of texts"),
        ({"channels": (0.5,)}, "a tuple of integers"),
    ],
)
def test_a_finding_of_a_plugin_that_takes_away_what_is_no_ground_is_refused(fields, told):
    with pytest.raises(TypeError) as refused:
        refuse_malformed(Finding("a.rule", Verdict.WARN, "is bad", **fields))
    assert told in str(refused.value)

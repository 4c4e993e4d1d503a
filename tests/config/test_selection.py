from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor import Check, Finding, Verdict
from auditor.config.selection import matches, selected
from auditor.config.settings import Settings
from auditor.errors import NothingToRun, UsageError


@Check
def saliency(context):
    """Where does it look?"""
    yield Finding("saliency.x", Verdict.PASS, "x")


@Check
def filters(context):
    """What are the filters?"""
    yield Finding("filters.x", Verdict.PASS, "x")


CHECKS = {"filters": filters, "saliency": saliency}
WORDS = st.sampled_from(["fil", "SAL", "filters", "er", "nothing"])


def chosen(**settings):
    return [check.name for check in selected(CHECKS, Settings(Path("net.pt"), **settings))]


def test_takes_every_check_unless_asked_otherwise():
    assert chosen() == ["filters", "saliency"]


def test_keeps_the_order_of_the_checks_whatever_the_order_of_the_flags():
    assert chosen(checks=("saliency", "filters")) == ["filters", "saliency"]


def test_a_name_and_an_expression_must_both_hold():
    assert chosen(checks=("filters",), expression="filters or saliency") == ["filters"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", True),
        ("fil", True),
        ("FILTERS", True),
        ("not fil", False),
        ("sal or fil", True),
        ("sal and fil", False),
        ("not (sal or occ)", True),
        ("not sal and not fil", False),
        ("  fil  ", True),
    ],
)
def test_a_word_holds_for_the_names_that_contain_it(expression, expected):
    assert matches(expression, "filters") is expected


@given(WORDS, WORDS, WORDS)
def test_the_words_combine_as_in_logic(a, b, c):
    value = {word: matches(word, "filters") for word in (a, b, c)}
    assert matches(f"{a} and not ({b} or {c})", "filters") == (value[a] and not (value[b] or value[c]))


@pytest.mark.parametrize(
    "expression",
    ["fil and", "fil sal", "(fil", "1", "f()", "a.b", "fil if sal else x", "a == b", "fil or f()", "\0", "(" * 5000],
)
def test_refuses_anything_but_words_and_logic(expression):
    with pytest.raises(UsageError, match=r"-k .* is not an expression of names, 'and', 'or', 'not' and parentheses"):
        matches(expression, "filters")


def test_says_what_it_chose_among_when_nothing_is_left():
    with pytest.raises(NothingToRun, match="-k 'occlusion' selects no check; there are: filters, saliency"):
        chosen(expression="occlusion")

import numpy as np
import pytest

from auditor.checks.predictions.permuted import order_findings
from auditor.results import Finding, Table, Verdict
from auditor.statistics.confusion import Confusion


def confusion(order, each=30, share=0.9, seed=0):
    """A network with this accuracy, if `order` says which class each predicted class stands for."""
    k, random = len(order), np.random.default_rng(seed)
    truth = np.repeat(np.arange(k), each)
    meant = np.where(random.random(len(truth)) < share, truth, random.integers(0, k, len(truth)))
    counts = np.zeros((k, k), np.int64)
    np.add.at(counts, (truth, np.argsort(order)[meant]), 1)
    return counts


def found(counts, classes, few=20):
    return list(order_findings(Confusion.full(counts), classes, few=few, warn=0.1, fail=0.5, seed=0))


@pytest.mark.parametrize(
    ("order", "verdict"),
    [([1, 2, 3, 4, 0], Verdict.FAIL), ([0, 1, 2, 4, 3], Verdict.WARN), ([0, 1, 2, 3, 4], Verdict.PASS)],
)
def test_the_further_the_classes_are_out_of_order_the_worse(order, verdict):
    first, *tables = found(confusion(order), "abcde")
    assert first.verdict is verdict
    moves = [row[:2] for table in tables for row in table.rows]
    assert moves == [("abcde"[a], "abcde"[c]) for a, c in enumerate(order) if a != c]


def test_the_table_counts_the_images_of_every_answer_that_moves():
    counts = confusion([1, 0, 2])
    _, table = found(counts, "abc")
    assert isinstance(table, Table)
    assert table.rows == (("a", "b", counts[0, 0], counts[1, 0]), ("b", "a", counts[1, 1], counts[0, 1]))


def test_says_what_the_lines_of_the_file_of_class_names_would_be():
    (finding, _) = found(confusion([2, 0, 1]), ["cat", "dog", "owl"])
    assert "fits these images: owl, cat, dog." in finding.detail


def test_knows_the_order_of_numbers_from_that_of_letters():
    letters = sorted(str(i) for i in range(12))
    order = [letters.index(str(i)) for i in range(12)]
    (finding, _) = found(confusion(order), letters)
    assert "the numerical order" in finding.detail


def test_speaks_of_numbers_only_where_they_make_the_order():
    (finding, _) = found(confusion([1, 2, 0]), ["owl", "cat", "dog"])
    assert "This is the alphabetical order" in finding.detail
    assert "numerical" not in finding.detail


def test_knows_a_list_that_begins_one_class_later():
    (finding, _) = found(confusion([3, 0, 1, 2]), ["d", "a", "c", "b"])
    assert "shifted by -1" in finding.detail


@pytest.mark.parametrize(("few", "message"), [(124, "0 classes have at least 31"), (60, "1 class has at least 15")])
def test_too_few_images_are_not_judged(few, message):
    counts = confusion([1, 0, 2])
    counts[1:] //= 3
    (finding,) = found(counts, "abc", few)
    assert finding.verdict is Verdict.SKIP
    assert message in finding.message


def test_few_images_of_each_of_many_classes_do_together():
    (finding, _) = found(confusion(range(9, -1, -1), each=8), "abcdefghij")
    assert finding.verdict is Verdict.FAIL
    assert found(confusion(range(10), each=8), "abcdefghij")[0].verdict is Verdict.PASS


def test_a_network_that_guesses_is_not_called_permuted():
    for seed in range(5):
        (finding,) = found(confusion(range(10), share=0.0, seed=seed), "abcdefghij")
        assert isinstance(finding, Finding)
        assert finding.verdict is Verdict.PASS


def test_two_classes_that_are_often_confused_are_not_permuted():
    counts = np.array([[60, 40], [45, 55]])
    (finding,) = found(counts, "ab")
    assert finding.verdict is Verdict.PASS


def test_what_another_seed_turns_is_called_close():
    """Two classes of several are swapped for a part of the images, so that the limit is near."""
    turned = 0
    for trial in range(60):
        random = np.random.default_rng(trial)
        k, each, share = int(random.integers(3, 8)), int(random.integers(20, 80)), random.uniform(0.3, 0.75)
        truth = np.repeat(np.arange(k), each)
        swapped = (truth < 2) & (random.random(len(truth)) < share)
        answers = np.where(swapped, 1 - truth, truth)
        answers = np.where(random.random(len(truth)) < 0.2, random.integers(0, k, len(truth)), answers)
        counts = np.zeros((k, k), np.int64)
        np.add.at(counts, (truth, answers), 1)
        classes = [str(c) for c in range(k)]
        every = [
            next(order_findings(Confusion.full(counts), classes, few=20, warn=0.1, fail=0.5, seed=seed))
            for seed in range(5)
        ]
        if len({finding.verdict for finding in every}) > 1:
            turned += 1
            assert all("could change this verdict" in finding.detail for finding in every)
    assert turned

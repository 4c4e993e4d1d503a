from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from auditor.data.sampling import spread

SOME_LABELS = st.lists(st.none() | st.integers(0, 5), max_size=60)


@given(labels=SOME_LABELS, count=st.integers(-2, 70), seed=st.integers())
def test_as_many_different_images_as_asked_or_all(labels: list[int | None], count: int, seed: int) -> None:
    chosen = spread(labels, count, seed)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(max(count, 0), len(labels))
    assert all(0 <= i < len(labels) for i in chosen)
    assert chosen == spread(labels, count, seed)


@given(labels=SOME_LABELS, count=st.integers(0, 70), seed=st.integers(0, 9))
def test_no_class_gives_two_more_than_another_that_has_more(labels: list[int | None], count: int, seed: int) -> None:
    there = Counter(label for label in labels if label is not None)
    taken = Counter(labels[i] for i in spread(labels, count, seed))
    for label, number in there.items():
        assert taken[label] == number or taken[label] >= max(taken[k] for k in there) - 1
    if taken[None]:
        assert sum(taken.values()) - taken[None] == sum(there.values())


def test_another_seed_chooses_other_images() -> None:
    labels = [i % 10 for i in range(1000)]
    assert len({tuple(spread(labels, 8, seed)) for seed in range(20)}) > 15
    assert len({labels[i] for seed in range(20) for i in spread(labels, 8, seed)}) == 10


def test_without_labels_the_images_are_evenly_spaced() -> None:
    assert spread([None] * 100, 4, seed=1) == [12, 37, 62, 87]
    assert spread([None] * 3, 8, seed=1) == [0, 1, 2]

"""A place that is kept on disk comes back whole, or not at all."""

import numpy as np
import pytest

from auditor.collectors import Batch, Predictions, Readability
from auditor.sweep.resume import Bookmark, Damaged, Place


def filled(seed=0):
    random = np.random.default_rng(seed)
    batch = Batch(
        np.arange(9), random.integers(0, 4, 9), random.normal(size=(9, 4)).astype(np.float32), (("ü.png", "cut"),)
    )
    collectors = [Predictions(), Readability()]
    for collector in collectors:
        collector.update(batch, {})
    return collectors


def states(collectors):
    return [{name: values.tolist() for name, values in c.state().items()} for c in collectors]


def test_what_was_kept_comes_back(tmp_path):
    mark = Bookmark(tmp_path / "deep" / "er", {"a": 1})
    mark.keep(filled(), Place(3, 9, ("a note",)))
    empty = [Predictions(), Readability()]
    assert Bookmark(tmp_path / "deep" / "er", {"a": 1}).open(empty) == Place(3, 9, ("a note",))
    assert states(empty) == states(filled())


def test_nothing_is_there_at_first_and_nothing_after_it_was_removed(tmp_path):
    mark = Bookmark(tmp_path, {"a": 1})
    assert mark.open(filled()) == Place()
    mark.keep(filled(), Place(1, 9))
    (tmp_path / f"{mark.path.stem}.xyz.new").write_bytes(b"left by a run that was killed")
    mark.remove()
    assert list(tmp_path.iterdir()) == []


def test_other_circumstances_are_another_place(tmp_path):
    Bookmark(tmp_path, {"seed": 1}).keep(filled(), Place(1, 9))
    assert Bookmark(tmp_path, {"seed": 2}).open([Predictions(), Readability()]) == Place()


@pytest.mark.parametrize("where", [0.0, 0.2, 0.5, 0.8, 0.999])
def test_a_damaged_file_is_told_and_changes_no_collector(tmp_path, where):
    mark = Bookmark(tmp_path, {})
    mark.keep(filled(), Place(1, 9))
    whole = bytearray(mark.path.read_bytes())
    whole[int(where * len(whole)) :] = b"\0" * (len(whole) - int(where * len(whole)))
    mark.path.write_bytes(whole)
    collectors = filled(1)
    with pytest.raises(Damaged):
        mark.open(collectors)
    assert states(collectors) == states(filled(1))


def test_one_turned_bit_is_damage(tmp_path):
    mark = Bookmark(tmp_path, {})
    mark.keep(filled(), Place(1, 9))
    whole = bytearray(mark.path.read_bytes())
    at = whole.index(b"\x93NUMPY", 2000) + 200
    whole[at] ^= 1
    mark.path.write_bytes(whole)
    with pytest.raises(Damaged):
        mark.open(filled(1))


def test_what_other_collectors_have_kept_is_damage(tmp_path):
    mark = Bookmark(tmp_path, {})
    mark.keep(filled(), Place(1, 9))
    with pytest.raises(Damaged):
        mark.open([Readability(), Predictions()])

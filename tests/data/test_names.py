"""Many names in one piece of memory are the same list of names."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from auditor.data.names import Names

lists = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=20)


@given(lists)
def test_names_are_the_list_that_they_were_made_of(given_names):
    names = Names(given_names)
    assert [*names] == [names[place] for place in range(len(names))] == given_names
    assert names == given_names
    assert pickle.loads(pickle.dumps(names)) == names == Names(names)  # noqa: S301 - of this test
    assert [names[place] for place in names.order()] == sorted(given_names)


def test_a_name_that_is_not_utf_8_keeps_its_bytes():
    names = Names(["caf\udce9.png", "b.png"])
    assert names[0] == "caf\udce9.png"
    assert names[-1:] == ["b.png"]

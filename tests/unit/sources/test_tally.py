from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.sources.tally import Item, Tally

ITEM = st.builds(Item, st.text(max_size=3), st.text(max_size=3), st.integers(1, 1 << 50), st.text("ab\0\n", max_size=3))


def tallied(items: list[Item]) -> Tally:
    tally = Tally()
    for item in items:
        tally.add(item)
    return tally


@given(items=st.lists(ITEM, min_size=1, max_size=5))
def test_all_is_added_up(items: list[Item]) -> None:
    facts = tallied(items).facts()
    sizes = [item.size for item in items]
    assert (facts.bytes, facts.files, facts.largest) == (sum(sizes), len(items), max(sizes))


@given(first=st.lists(ITEM, min_size=2, max_size=3), second=st.lists(ITEM, min_size=2, max_size=3))
def test_two_listings_have_one_etag_only_if_they_are_the_same(first: list[Item], second: list[Item]) -> None:
    same = [(one.key, one.size, one.etag) for one in first] == [(one.key, one.size, one.etag) for one in second]
    assert (tallied(first).facts().etag == tallied(second).facts().etag) is same


@pytest.mark.parametrize("etag", ['"abc"', 'W/"abc"', "0x8DC", '"a-12"'])
def test_a_single_object_keeps_its_etag(etag: str) -> None:
    assert tallied([Item("a", "a", 5, etag)]).facts().etag == etag


@pytest.mark.parametrize("etag", ["", "two words", '"a\r\nb"', "x" * 1000, '"a"b"'])
def test_an_etag_that_is_none_is_not_kept(etag: str) -> None:
    assert len(tallied([Item("a", "a", 5, etag)]).facts().etag) == 64

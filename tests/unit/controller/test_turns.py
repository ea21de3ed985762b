from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from pullsizer.controller.turns import Turns

LANES = ("hub", "other")


def everybody(_: str) -> bool:
    return True


def drained(turns: Turns[str, str], *closed: str) -> list[str]:
    found = []
    while turn := turns.pop(closed, everybody):
        found.append(turn.item)
    return found


def test_the_urgent_come_first_whichever_lane_they_are_in() -> None:
    turns: Turns[str, str] = Turns()
    turns.put("refresh", "hub", 2, {"one"})
    turns.put("retry", "other", 1, {"one"})
    turns.put("new", "hub", 0, {"one"})
    assert drained(turns) == ["new", "retry", "refresh"]


def test_tenants_take_turns_and_each_ones_line_is_kept() -> None:
    turns: Turns[str, str] = Turns()
    for number in range(9_999):
        turns.put(f"many-{number}", "hub", 0, {"many"})
    turns.put("few-0", "hub", 0, {"few"})
    turns.put("few-1", "hub", 0, {"few"})
    assert drained(turns)[:6] == ["many-0", "few-0", "many-1", "few-1", "many-2", "many-3"]


def test_what_two_wait_for_goes_once_with_the_first_that_has_its_turn() -> None:
    turns: Turns[str, str] = Turns()
    for number in range(5):
        turns.put(f"many-{number}", "hub", 0, {"many"})
    turns.join("many-4", "few")
    turns.join("many-4", "few")
    assert len(turns) == 5
    assert drained(turns) == ["many-0", "many-4", "many-1", "many-2", "many-3"]
    turns.join("many-4", "few")
    assert drained(turns) == []


def test_a_closed_lane_holds_up_no_other() -> None:
    turns: Turns[str, str] = Turns()
    turns.put("closed", "hub", 0, {"one"})
    turns.put("open", "other", 2, {"one"})
    assert drained(turns, "hub") == ["open"]
    assert len(turns) == 1
    assert drained(turns) == ["closed"]


def test_a_tenant_that_may_not_holds_up_no_other() -> None:
    turns: Turns[str, str] = Turns()
    turns.put("first", "hub", 0, {"one"})
    turns.put("second", "hub", 1, {"other"})
    turn = turns.pop((), lambda tenant: tenant != "one")
    assert turn is not None
    assert turn.item == "second"
    assert turns.pop((), lambda tenant: tenant != "one") is None


def test_who_had_a_turn_in_vain_is_the_first_again() -> None:
    turns: Turns[str, str] = Turns()
    turns.put("a", "hub", 0, {"one"})
    turns.put("b", "hub", 0, {"one"})
    turn = turns.pop((), everybody)
    assert turn is not None
    turns.put(turn.item, turn.lane, turn.urgency, {turn.tenant}, first=True)
    assert drained(turns) == ["a", "b"]


def test_nothing_is_kept_of_what_is_gone() -> None:
    turns: Turns[str, str] = Turns()
    for number in range(10):
        turns.put(str(number), "hub", number % 3, {"one", "two", str(number)})
    assert len(drained(turns)) == 10
    assert list(turns.lanes()) == []


things = st.lists(
    st.tuples(
        st.sampled_from(LANES),
        st.integers(min_value=0, max_value=2),
        st.sets(st.sampled_from(["one", "two", "three"]), min_size=1),
    ),
    max_size=40,
)


@given(things)
def test_everything_has_its_turn_exactly_once_the_most_urgent_first(
    waiting: list[tuple[str, int, set[str]]],
) -> None:
    turns: Turns[str, int] = Turns()
    for number, (lane, urgency, tenants) in enumerate(waiting):
        turns.put(number, lane, urgency, tenants)
    found = []
    while turn := turns.pop((), everybody):
        assert turn.tenant in waiting[turn.item][2]
        found.append(turn.item)
    assert sorted(found) == list(range(len(waiting)))
    urgencies = [waiting[number][1] for number in found]
    assert urgencies == sorted(urgencies)


@given(st.lists(st.sampled_from("abcd"), max_size=60))
def test_between_two_turns_of_a_tenant_nobody_else_has_more_than_one(owners: list[str]) -> None:
    turns: Turns[str, int] = Turns()
    for number, tenant in enumerate(owners):
        turns.put(number, "hub", 0, {tenant})
    since: dict[str, Counter[str]] = {}
    left = Counter(owners)
    while turn := turns.pop((), everybody):
        for tenant, others in since.items():
            others[turn.tenant] += 1
            assert tenant == turn.tenant or not left[tenant] or others[turn.tenant] <= 1
        since[turn.tenant] = Counter()
        left[turn.tenant] -= 1

"""Which items are computed together: within the budget, of one length, and nobody waits for ever."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from classifier_runtime.core.batching import Turns

LENGTHS = st.integers(1, 600)


def padded(items: int, longest: int, tokens: int) -> int:
    return items * longest


def packed(items: int, longest: int, tokens: int) -> int:
    return tokens


def all_batches(turns: Turns[str], budget: int) -> list[list[tuple[str, int]]]:
    found = []
    while batch := turns.take(budget, padded):
        found.append([(item.request, item.place) for item in batch])
    return found


@given(requests=st.lists(st.lists(LENGTHS, min_size=1, max_size=20), max_size=20), budget=st.integers(1, 1024))
def test_every_item_is_computed_once(requests: list[list[int]], budget: int) -> None:
    turns: Turns[str] = Turns()
    for number, lengths in enumerate(requests):
        turns.add(str(number), lengths)
    computed = [item for batch in all_batches(turns, budget) for item in batch]
    assert sorted(computed) == sorted((str(n), p) for n, lengths in enumerate(requests) for p in range(len(lengths)))
    assert (turns.tokens, len(turns)) == (0, 0)


@given(requests=st.lists(st.lists(LENGTHS, min_size=1, max_size=20), min_size=1, max_size=20))
def test_a_batch_is_within_the_budget_unless_one_item_alone_is_not(requests: list[list[int]]) -> None:
    turns: Turns[int] = Turns()
    for number, lengths in enumerate(requests):
        turns.add(number, lengths)
    while batch := turns.take(512, padded):
        cost = len(batch) * max(item.tokens for item in batch)
        assert cost <= 512 or len(batch) == 1


@given(requests=st.lists(st.lists(LENGTHS, min_size=1, max_size=20), min_size=1, max_size=20))
def test_whose_turn_it_is_is_in_the_next_batch(requests: list[list[int]]) -> None:
    turns: Turns[int] = Turns()
    for number, lengths in enumerate(requests):
        turns.add(number, lengths)
    while len(turns):
        first = turns._waiting[0]
        assert any(item is first for item in turns.take(512, padded))


def test_a_lone_text_does_not_wait_for_a_thousand_that_came_before_it() -> None:
    turns: Turns[str] = Turns()
    turns.add("large", [64] * 1000)
    turns.take(512, padded)
    turns.add("small", [64])
    requests = [item.request for _ in range(2) for item in turns.take(512, padded)]
    assert "small" in requests


def test_two_large_requests_advance_together() -> None:
    turns: Turns[str] = Turns()
    turns.add("one", [64] * 100)
    turns.add("other", [64] * 100)
    served = [item.request for _ in range(10) for item in turns.take(512, padded)]
    assert abs(served.count("one") - served.count("other")) <= 8


def test_items_of_one_length_are_computed_together() -> None:
    turns: Turns[str] = Turns()
    for number in range(16):
        turns.add(str(number), [8 if number % 2 else 128])
    batches = []
    while batch := turns.take(512, padded):
        batches.append({item.tokens for item in batch})
    assert batches[0] == {128}
    assert {8} in batches


def test_without_padding_a_batch_is_filled_to_the_brim() -> None:
    turns: Turns[str] = Turns()
    for number, length in enumerate((200, 100, 100, 100, 12)):
        turns.add(str(number), [length])
    assert sum(item.tokens for item in turns.take(512, packed)) == 512


def test_what_nobody_waits_for_is_dropped() -> None:
    turns: Turns[str] = Turns()
    turns.add("gone", [10, 20])
    turns.add("here", [30])
    turns.drop(lambda request: request == "gone")
    assert turns.tokens == 30
    assert all_batches(turns, 512) == [[("here", 0)]]


def test_the_last_of_many_is_computed_although_single_texts_keep_coming() -> None:
    turns: Turns[object] = Turns()
    many = object()
    turns.add(many, [10] * 8)
    for _ in range(20):
        turns.add(object(), [10])

    for _ in range(100):
        taken = turns.take(40, lambda items, longest, _: items * longest)
        for _ in range(len(taken)):
            turns.add(object(), [10])

    assert many not in {item.request for item in turns.take(10_000, lambda items, longest, _: items * longest)}

"""The arithmetic of the bench."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.runtime.bench.sample import Span, in_turns, quantile, rate


def test_a_request_counts_by_the_share_of_it_that_lies_in_the_window() -> None:
    spans = [Span(0.0, 2.0, 32), Span(2.0, 4.0, 32), Span(4.0, 6.0, 32)]

    assert rate(spans, 1.0, 5.0) == pytest.approx((16 + 32 + 16) / 4)


def test_what_was_asked_and_answered_outside_of_the_window_counts_for_nothing() -> None:
    assert rate([Span(0.0, 1.0, 8), Span(5.0, 6.0, 8)], 1.0, 5.0) == 0


@given(
    clients=st.integers(1, 64),
    service=st.floats(0.01, 0.5),
    texts=st.integers(1, 32),
    begin=st.floats(0, 3),
    seconds=st.floats(0.5, 5),
)
def test_a_server_with_a_steady_rate_has_that_rate_in_every_window(
    clients: int, service: float, texts: int, begin: float, seconds: float
) -> None:
    """One request after the other, each waiting for all clients before it: not rounded by requests that are cut."""
    residence = clients * service
    answers = int((begin + seconds + 2 * residence) / service) + clients
    spans = [Span(number * service - residence, number * service, texts) for number in range(1, answers)]

    assert rate(spans, begin, begin + seconds) == pytest.approx(texts / service, rel=1e-6)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 0.999))
def test_a_quantile_is_one_of_the_values_and_enough_of_them_are_not_above(values: list[float], share: float) -> None:
    found = quantile(values, share)

    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


def test_the_quantile_of_nothing_is_no_number() -> None:
    assert math.isnan(quantile([], 0.5))


@given(st.lists(st.text(), min_size=1, unique=True))
def test_everybody_is_first_once_in_as_many_rounds_as_there_are_names(names: list[str]) -> None:
    rounds = [in_turns(names, number) for number in range(len(names))]

    assert [order[0] for order in rounds] == names
    assert all(sorted(order) == sorted(names) for order in rounds)

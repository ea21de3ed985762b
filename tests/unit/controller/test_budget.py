from __future__ import annotations

import math
from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.controller.budget import Budget

WINDOW = 300.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def budget(limit: int) -> tuple[Budget, Clock]:
    clock = Clock()
    return Budget(limit, window=WINDOW, clock=clock), clock


def send(subject: Budget) -> None:
    assert subject.wait() == 0
    subject.take().sent()


def busiest_window(times: list[float]) -> int:
    """The most of the times, which are in order, in any window."""
    return max((bisect_left(times, begin + WINDOW) - at for at, begin in enumerate(times)), default=0)


pauses = st.lists(st.floats(min_value=0, max_value=400, allow_subnormal=False), max_size=300)


@given(limit=st.integers(min_value=1, max_value=40), gaps=pauses)
def test_no_five_minutes_wherever_they_begin_see_more_than_the_limit(limit: int, gaps: list[float]) -> None:
    subject, clock = budget(limit)
    times = []
    for gap in gaps:
        clock.now += gap
        if subject.wait() == 0:
            subject.take().sent()
            times.append(clock.now)
    assert busiest_window(times) <= limit


@given(limit=st.integers(min_value=1, max_value=40), count=st.integers(min_value=1, max_value=150), gaps=pauses)
def test_the_next_permission_is_never_further_away_than_one_share_of_the_spread_half(
    limit: int, count: int, gaps: list[float]
) -> None:
    subject, clock = budget(limit)
    share = WINDOW / (limit - limit // 2)
    for gap in [*gaps, *([0.0] * count)]:
        clock.now += gap
        assert subject.wait() <= share * 1.001
        if subject.wait() == 0:
            send(subject)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500, 501])
def test_while_there_is_always_more_to_ask_all_of_the_limit_is_used(limit: int) -> None:
    subject, clock = budget(limit)
    times = []
    while clock.now < 4 * WINDOW:
        clock.now += subject.wait()
        if subject.wait() == 0:
            send(subject)
            times.append(clock.now)
    assert busiest_window(times) <= limit
    assert len(times) >= 4 * limit * 0.99 - 1
    assert max(later - before for before, later in pairwise(times)) <= WINDOW / (limit - limit // 2) * 1.001


def test_half_may_go_at_once_and_the_rest_comes_evenly() -> None:
    subject, clock = budget(500)
    while subject.wait() == 0:
        send(subject)
    # One of the spread half is there from the beginning.
    assert subject.left == 500 - 251
    assert subject.wait() == pytest.approx(1.2)
    clock.now += subject.wait()
    send(subject)
    assert subject.wait() == pytest.approx(1.2)


def test_a_permission_counts_until_it_is_returned() -> None:
    subject, _ = budget(1)
    permission = subject.take()
    assert subject.left == 0
    assert subject.wait() == math.inf
    permission.close()
    permission.close()
    assert subject.left == 1


def test_what_is_promised_and_sent_later_counts_from_when_it_is_sent() -> None:
    subject, clock = budget(1)
    permission = subject.take()
    clock.now += 200
    permission.sent()
    assert subject.wait() == WINDOW
    permission.close()
    assert subject.wait() == WINDOW


def test_a_request_too_many_is_waited_for_by_those_that_come_later() -> None:
    subject, clock = budget(2)
    permission = subject.take()
    for _ in range(3):  # redirected twice
        permission.sent()
    assert subject.left == 0
    assert subject.wait() == WINDOW
    clock.now += WINDOW
    assert subject.wait() == 0
    assert subject.idle


def test_another_limit_counts_at_once_and_what_was_sent_is_not_forgotten() -> None:
    subject, _ = budget(10)
    for _ in range(5):
        send(subject)
    subject.limit = 5
    assert subject.left == 0
    assert subject.wait() == WINDOW
    subject.limit = 100
    assert subject.left == 95
    assert subject.wait() == 0

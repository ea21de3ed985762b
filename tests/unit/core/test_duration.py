"""Durations, as Go and Kubernetes write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pullsizer.duration import parse_duration
from pullsizer.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2s", 2), ("500ms", 0.5), ("1h30m", 5400), ("1.5s", 1.5), ("24h", 86400), ("7d", 604800), ("0s", 0)],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value", ["", "2", "s", "2 s", "-2s", "2sec", "1h 30m", "two", "2s\n", "1" * 40 + "s", 2, None]
)
def test_anything_else_is_refused_with_an_example(value: object) -> None:
    with pytest.raises(InvalidValue, match="write a number and a unit, for example 2s, 500ms or 24h"):
        parse_duration(value)


@given(
    parts=st.lists(
        st.tuples(st.integers(0, 9999), st.sampled_from([("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)])),
        min_size=1,
        max_size=3,
    )
)
def test_parts_add_up(parts: list[tuple[int, tuple[str, float]]]) -> None:
    text = "".join(f"{number}{unit}" for number, (unit, _) in parts)
    assert parse_duration(text) == pytest.approx(sum(number * seconds for number, (_, seconds) in parts))


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_an_invalid_value(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except InvalidValue:
        return
    assert seconds >= 0

"""Quantities: Kubernetes' grammar in, whole numbers, and the API server's own form out."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils import parse_quantity

from pullsizer.errors import InvalidQuantity
from pullsizer.quantity import GI, KI, MI, human, parse, parse_written, round_up, write

INT64 = (1 << 63) - 1
RESOURCE = st.sampled_from(["cpu", "memory", "ephemeral-storage"])


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0", 0),
        ("1", 1),
        ("128974848", 128974848),
        ("129e6", 129_000_000),
        ("129E6", 129_000_000),
        ("129M", 129_000_000),
        ("123Mi", 123 * MI),
        ("1.5Gi", 3 * GI // 2),
        (".5Gi", GI // 2),
        ("1.", 1),
        ("+1Ki", KI),
        ("1E", 10**18),
        ("1Ei", 1 << 60),
        ("128974848000m", 128974848),
        ("1k", 1000),
        ("25e-1k", None),
        ("1K", None),
        ("1ki", None),
        ("1mi", None),
        ("1 Gi", None),
        ("1Gi ", None),
        ("1GiB", None),
        ("1GB", None),
        ("15gigs", None),
        ("1e", None),
        ("e3", None),
        (".", None),
        ("", None),
        ("--1", None),
        ("1,5Gi", None),
        ("0x10", None),
        ("\u0661Gi", None),
        ("1Gi\n", None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_memory_is_read_by_kubernetes_grammar(text: str, amount: int | None) -> None:
    if amount is None:
        with pytest.raises(InvalidQuantity, match="write it as Kubernetes does, for example 512Mi or 15Gi"):
            parse(text, "memory")
    else:
        assert parse(text, "memory") == amount


@pytest.mark.parametrize(
    ("text", "millicores"),
    [("100m", 100), ("0.1", 100), ("1", 1000), ("2", 2000), ("1.0005", 1001), ("1u", 1), ("100n", 1), ("1e3", 10**6)],
)
def test_cpu_is_read_in_millicores_and_rounded_up(text: str, millicores: int) -> None:
    assert parse(text, "cpu") == millicores


@pytest.mark.parametrize(("text", "amount"), [("0.5", 1), ("1m", 1), ("1000m", 1), ("1001m", 2), ("1.1Ki", 1127)])
def test_a_part_of_a_byte_is_a_whole_one(text: str, amount: int) -> None:
    assert parse(text, "memory") == amount


@pytest.mark.parametrize("text", ["-1", "-0.5", "-1n", "-1Gi"])
def test_a_negative_quantity_is_refused(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="zero or more"):
        parse(text, "memory")


@pytest.mark.parametrize(("text", "resource"), [("8Ei", "memory"), ("9223372036854775808", "memory"), ("10P", "cpu")])
def test_more_than_the_api_server_can_hold_is_refused(text: str, resource: str) -> None:
    with pytest.raises(InvalidQuantity, match="more than Kubernetes can hold"):
        parse(text, resource)


@given(amount=st.integers(0, INT64), resource=RESOURCE)
def test_what_is_written_reads_back_as_the_same_amount(amount: int, resource: str) -> None:
    assert parse(write(amount, resource), resource) == amount


@given(number=st.decimals(0, 10**6, places=3), suffix=st.sampled_from(["", "m", "k", "M", "G", "Ki", "Mi", "Gi", "e3"]))
def test_it_agrees_with_the_official_client(number: Decimal, suffix: str) -> None:
    known = Fraction(parse_quantity(f"{number}{suffix.removesuffix('e3')}"))  # the client knows no exponents
    expected = known * 1000 if suffix == "e3" else known
    assert parse(f"{number}{suffix}", "memory") == -(-expected.numerator // expected.denominator)


@given(text=st.text(max_size=50) | st.from_regex(r"[+-]?[0-9.]{1,8}[a-zA-Z]{0,2}-?[0-9]{0,3}", fullmatch=True))
def test_any_text_is_an_amount_or_an_invalid_quantity(text: str) -> None:
    for resource in ("cpu", "memory"):
        try:
            assert 0 <= parse(text, resource) <= INT64
        except InvalidQuantity:
            continue


@pytest.mark.parametrize(
    ("amount", "resource", "text"),
    [
        (0, "memory", "0"),
        (0, "cpu", "0"),
        (1000, "cpu", "1"),
        (1500, "cpu", "1500m"),
        (GI, "memory", "1Gi"),
        (3 * GI // 2, "memory", "1536Mi"),
        (1000, "memory", "1000"),
        (1 << 60, "memory", "1Ei"),
    ],
)
def test_it_writes_as_the_api_server_prints(amount: int, resource: str, text: str) -> None:
    assert write(amount, resource) == text


@pytest.mark.parametrize(
    ("value", "resource", "remedy"),
    [
        ("512m", "memory", "thousandths of a byte; did you mean 512Mi?"),
        ("512m", "ephemeral-storage", "did you mean 512Mi?"),
        ("2Gi", "cpu", "an amount of bytes, not of cores; write cpu as 500m or 2"),
        ("0", "memory", "leave the key out"),
        (0, "cpu", "leave the key out"),
        ("12", "memory", "'12' is 12 bytes; write the unit too, for example 12Mi or 12Gi"),
        (8, "ephemeral-storage", "for example 8Mi or 8Gi"),
        ("15gigs", "memory", "for example 512Mi or 15Gi"),
        ("two", "cpu", "for example 500m or 2"),
        (True, "cpu", "write a text such as 500m"),
        (None, "memory", "write a text such as 512Mi"),
        ([1], "memory", "write a text such as 512Mi"),
        (float("nan"), "memory", "'nan' is not a quantity"),
        (-1, "memory", "zero or more"),
    ],
)
def test_a_slip_in_what_a_person_wrote_is_refused_with_the_remedy(value: object, resource: str, remedy: str) -> None:
    with pytest.raises(InvalidQuantity) as found:
        parse_written(value, resource)
    assert remedy in str(found.value)


@pytest.mark.parametrize(
    ("value", "resource", "amount"),
    [(2, "cpu", 2000), (0.5, "cpu", 500), (" 15Gi ", "memory", 15 * GI), (1e9, "memory", 10**9), ("500m", "cpu", 500)],
)
def test_numbers_of_yaml_and_spaces_around_are_taken_from_a_person(value: object, resource: str, amount: int) -> None:
    assert parse_written(value, resource) == amount


def test_a_long_text_is_not_repeated_whole_in_the_message() -> None:
    with pytest.raises(InvalidQuantity) as found:
        parse("9" * 10_000, "memory")
    assert len(str(found.value)) < 200


@given(amount=st.integers(0, 1 << 50), step=st.integers(1, 1 << 30))
def test_rounding_up_goes_to_the_next_step_and_no_further(amount: int, step: int) -> None:
    rounded = round_up(amount, step)
    assert rounded % step == 0
    assert amount <= rounded < amount + step


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (59_000_000_000, "59.0 GB"), (2 * 10**12, "2.0 TB")]
)
def test_sizes_for_people_are_decimal(count: int, text: str) -> None:
    assert human(count) == text

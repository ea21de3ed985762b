from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifier_runtime.backends import budget
from classifier_runtime.errors import OutOfMemory


class Device:
    """A GPU as it is seen from here: so much fits, and more is faster until all of it is busy.

    :param full: tokens; fewer take as long as these
    """

    def __init__(self, holds: int, full: int = 1 << 40) -> None:
        self.holds, self.full = holds, full
        self.tried: list[int] = []

    def __call__(self, tokens: int) -> float:
        self.tried.append(tokens)
        if tokens > self.holds:
            raise OutOfMemory("too much")
        return max(tokens, self.full) / 1e6


def test_it_is_doubled_while_that_is_faster() -> None:
    assert budget.fastest(Device(1 << 40, full=10_000), least=512, start=1024, most=1 << 20) == 8192 * 2


def test_it_is_doubled_no_further_than_fits() -> None:
    assert budget.fastest(Device(9000), least=512, start=1024, most=1 << 20) == 8192


def test_it_ends_where_texts_would_wait_too_long() -> None:
    assert budget.fastest(Device(1 << 40), least=512, start=1024, most=4096) == 4096


def test_it_is_halved_until_it_fits_and_not_grown_again() -> None:
    device = Device(3000)

    assert budget.fastest(device, least=512, start=8192, most=1 << 20) == 2048
    assert device.tried == [8192, 4096, 2048]


def test_where_not_even_one_item_fits_it_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory):
        budget.fastest(Device(511), least=512, start=8192, most=1 << 20)


@given(
    holds=st.integers(1, 1 << 18),
    full=st.integers(1, 1 << 18),
    least=st.integers(1, 8192),
    start=st.integers(1, 1 << 16),
    more=st.integers(0, 1 << 16),
)
def test_what_is_found_was_tried_and_fits(holds: int, full: int, least: int, start: int, more: int) -> None:
    device = Device(holds, full)
    try:
        found = budget.fastest(device, least=least, start=start, most=start + more)
    except OutOfMemory:
        assert least > holds
        return
    assert found in device.tried
    assert least <= found <= min(holds, max(least, start + more))
    assert len(device.tried) < 40


BERT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}


def test_a_cpu_s_memory_holds_so_many_tokens_of_a_batch() -> None:
    # BERT-base: 4 x (8 x 768 + 2 x 3072 + 4 x (4 x 768 + 12 x 512)) = 196,608 bytes for a token; half of the memory is
    # for batches.
    assert budget.held(BERT, 512, 1 << 30) == (1 << 29) // 196_608
    assert budget.held(BERT, 512, 0) == 1


def test_families_call_their_sizes_differently() -> None:
    distilbert = {"dim": 768, "hidden_dim": 3072, "n_heads": 12}
    gpt2 = {"n_embd": 768, "n_inner": None, "n_head": 12}

    assert budget.held(distilbert, 512, 1 << 30) == budget.held(gpt2, 512, 1 << 30) == budget.held(BERT, 512, 1 << 30)


def test_where_nothing_says_memory_caps_nothing() -> None:
    assert budget.held(BERT, 512, None) is None
    assert budget.held({"hidden_sizes": [16, 32]}, 0, 1 << 30) is None

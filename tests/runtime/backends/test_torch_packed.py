from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_runtime.backends import layouts, packing
from classifier_runtime.backends.torch_packed import TorchPacked
from classifier_runtime.backends.torch_padded import TorchPadded
from classifier_runtime.errors import ModelRefused
from classifier_runtime.families import PACKABLE
from tests.runtime import tiny
from tests.runtime.backends.items import item, items, of_ids, same, spec

LISTED = ("bert", "roberta", "xlm-roberta", "electra", "distilbert", "albert")
OTHERS = [name for name in (*tiny.SEQUENCE, *tiny.DECODERS, *tiny.VISION) if name not in LISTED]


@pytest.mark.parametrize("name", [*LISTED, *(f"{name}-token" for name in LISTED)])
def test_packed_equals_padded_in_any_order(name: str) -> None:
    packed, texts = TorchPacked(spec(name)), items(name)

    expected = TorchPadded(spec(name)).forward(texts)

    same(packed.forward(texts), expected, 1e-5)
    same(packed.forward(texts[::-1]), expected[::-1], 1e-5)
    same([packed.forward([text])[0] for text in texts], expected, 1e-5)
    assert all(row.dtype == np.float32 and row.flags.c_contiguous for row in packed.forward(texts))


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_on_the_list_is_refused(name: str) -> None:
    with pytest.raises(ModelRefused, match=r"packed attention: not proved right for .* use the padded backend"):
        TorchPacked(spec(name))


def test_a_model_that_keeps_its_own_attention_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("classifier_runtime.backends.torch_packed.PACKABLE", PACKABLE | {"mpnet"})

    with pytest.raises(ModelRefused, match="its attention cannot be replaced"):
        TorchPacked(spec("mpnet"))


@pytest.mark.parametrize("name", ["bert", "roberta-token"])
def test_the_check_at_start_finds_texts_that_see_their_neighbours(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing.Segments, "runs", lambda self: iter([(1, sum(self.lengths), 0)]))

    with pytest.raises(ModelRefused, match=r"packed attention is off by .* use the padded backend"):
        TorchPacked(spec(name))


@pytest.mark.parametrize("name", ["bert", "roberta-token"])
def test_the_check_at_start_finds_positions_that_are_not_the_models(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "positions", lambda _, ids: np.arange(len(ids))[::-1] + 1 - (name == "bert"))

    with pytest.raises(ModelRefused, match="packed attention is off by"):
        TorchPacked(spec(name))


@pytest.fixture(scope="module")
def backends() -> tuple[TorchPacked, TorchPadded]:
    return TorchPacked(spec("roberta-token")), TorchPadded(spec("roberta-token"))


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(1, 128), min_size=1, max_size=9), seed=st.integers(0, 99))
def test_a_text_sees_nothing_of_its_neighbours(
    backends: tuple[TorchPacked, TorchPadded], lengths: list[int], seed: int
) -> None:
    packed, padded = backends
    random = np.random.default_rng(seed)
    texts = [of_ids(random.integers(0, spec("roberta-token").config["vocab_size"], length)) for length in lengths]

    # Padding tokens among the random ids, too: RoBERTa's positions do not count them.
    same(packed.forward(texts), [padded.forward([text])[0] for text in texts], 1e-5)


def test_pairs_keep_their_second_text_apart() -> None:
    pairs = [item("nli", "good film", "bad film"), item("nli", "bad"), item("nli", "a", "good")]

    same(TorchPacked(spec("nli")).forward(pairs), TorchPadded(spec("nli")).forward(pairs), 1e-5)


def test_texts_that_their_task_padded_are_computed_padded_and_the_next_ones_packed_again() -> None:
    packed, padded = TorchPacked(spec("bert-token")), TorchPadded(spec("bert-token"))
    with_padding = [of_ids([2, 7, 3, 0, 0], attention_mask=np.array([1, 1, 1, 0, 0])), of_ids([2, 9, 9, 9, 3])]

    same(packed.forward(with_padding), padded.forward(with_padding), 1e-5)
    same(packed.forward(items("bert-token")), padded.forward(items("bert-token")), 1e-5)


def test_packed_costs_no_padding() -> None:
    assert TorchPacked(spec("bert")).cost(3, 100, 120) == 120
    assert TorchPadded(spec("bert")).cost(3, 100, 120) == 300


def test_neighbours_of_one_length_are_one_call() -> None:
    import torch

    segments = packing.Segments.of([3, 3, 5, 3], torch.device("cpu"))

    assert list(segments.runs()) == [(2, 3, 0), (1, 5, 6), (1, 3, 11)]
    assert segments.starts.tolist() == [0, 3, 6, 11, 14]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_passes_the_check_on_the_cpu(dtype: str) -> None:
    found = TorchPacked(spec("bert"), dtype=dtype).forward(items("bert"))

    assert all(row.dtype == np.float32 and np.isfinite(row).all() for row in found)

"""The texts that are asked."""

from __future__ import annotations

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from tests.runtime.bench.reference import best
from tests.runtime.bench.texts import LEAST, MOST, cut


def words() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer


def test_texts_have_lengths_drawn_once_and_for_all() -> None:
    prose = ["word " * 200] * 1000
    found = cut(prose, words(), 256)
    lengths = sorted(len(text.split()) for text in found)

    assert found == cut(prose, words(), 256)
    assert lengths[0] >= LEAST
    assert lengths[-1] <= MOST
    assert 29 <= lengths[128] <= 35
    assert len(set(lengths)) > 50


def test_a_text_that_is_shorter_than_its_length_stays_as_it_is() -> None:
    assert cut(["so<br />short"], words(), 1) == ["so short"]


def test_of_a_near_tie_no_class_is_expected() -> None:
    assert best([0.5, 0.50001, -3.0]) is None
    assert best([0.5, 0.6, -3.0]) == 1

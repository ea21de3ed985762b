"""Texts become the tokens that `AutoTokenizer` makes of them, whatever is sent."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from classifier_runtime.core import tokenizer_files
from classifier_runtime.core.options import Direction
from classifier_runtime.core.tokens import Encoded, Text, clean, longest_first
from classifier_runtime.errors import InvalidRequest, ModelRefused
from tests.runtime import tiny
from tests.runtime.tasks.answers import pipeline, task
from tests.runtime.tiny_tokenizers import WORDS

FAMILIES = (*tiny.SEQUENCE, *tiny.DECODERS, "bert-token")
SPECIAL = ("[SEP]", "[CLS]", "</s>", "<|end|>", "\u200b", "\uff26ull", "é", "e\u0301", "🎉", "\n\n", "東京")
PROSE = st.lists(st.sampled_from((*WORDS, *SPECIAL)), max_size=40).map(" ".join)
ANY = st.one_of(PROSE, st.text(max_size=60))
# Between one and five times what the models take, with words of many tokens.
LONG = st.lists(st.sampled_from(WORDS), min_size=60, max_size=200).map(" ".join)
DIRECTIONS = st.sampled_from(("left", "right"))
some = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def theirs(name: str, text: str, pair: str | None, direction: Direction = "right", **said: Any) -> Any:
    tokenizer = pipeline(name).tokenizer
    tokenizer.truncation_side = direction
    try:
        # As a batch of one: given alone, transformers takes an empty second text for none.
        found = tokenizer([text], None if pair is None else [pair], **{"truncation": True, "max_length": 128, **said})
    finally:
        tokenizer.truncation_side = "right"  # the pipeline is everybody's
    return {key: value[0] for key, value in found.items()}


def ours(name: str, *texts: Text) -> list[Encoded]:
    found: list[Encoded] = task(name).tokenizer.encode(texts)  # type: ignore[attr-defined] # all but images have one
    return found


@pytest.mark.parametrize("name", FAMILIES)
@some
@given(st.one_of(ANY, LONG), st.one_of(st.none(), ANY, LONG), DIRECTIONS)
@example("", "", "right")
@example("good " * 6000, None, "right")
@example("good " * 6000, None, "left")
@example("good " * 6000, "bad", "left")
@example("bad", "good " * 6000, "right")
@example("good " * 6000, "bad " * 5000, "right")
def test_ids_are_transformers_ids(name: str, text: str, pair: str | None, direction: Direction) -> None:
    expected = theirs(name, text, pair, direction)
    if not expected["input_ids"]:
        with pytest.raises(InvalidRequest, match="no tokens"):
            ours(name, Text(text, pair, direction=direction))
        return
    [found] = ours(name, Text(text, pair, direction=direction))
    assert found.ids.tolist() == expected["input_ids"]
    if "token_type_ids" in expected:
        assert found.types.tolist() == expected["token_type_ids"]


@pytest.mark.parametrize("name", ["bert", "roberta", "deberta-v2"])
@some
@given(st.one_of(ANY, LONG), st.sampled_from(("", "good", "This example is politics.")))
def test_of_a_pair_the_first_alone_is_cut_where_that_is_asked(name: str, text: str, pair: str) -> None:
    [found] = ours(name, Text(text, pair, keep_pair=True))
    assert found.ids.tolist() == theirs(name, text, pair, truncation="only_first")["input_ids"]


@pytest.mark.parametrize("name", ["bert-token", "roberta-token", "deberta-v2-token", "modernbert-token"])
@some
@given(st.one_of(ANY, LONG), st.integers(0, 120))
def test_windows_and_offsets_are_transformers(name: str, text: str, stride: int) -> None:
    asked: dict[str, Any] = {"max_length": 128, "truncation": True, "return_offsets_mapping": True}
    expected = theirs(name, text, None, **asked, return_special_tokens_mask=True)
    tokenizer: Any = task(name).tokenizer  # type: ignore[attr-defined] # all but images have one
    [found] = tokenizer.locate([Text(text)])
    assert list(map(tuple, found.offsets.tolist())) == expected["offset_mapping"]
    assert found.special.tolist() == list(map(bool, expected["special_tokens_mask"]))
    windows = pipeline(name).tokenizer(text, **asked, stride=stride, return_overflowing_tokens=True)
    [found] = tokenizer.locate([Text(text, stride=stride)])
    assert [found.tokens.ids[places].tolist() for places in found.windows] == windows["input_ids"]
    assert [list(map(tuple, found.offsets[places].tolist())) for places in found.windows] == windows["offset_mapping"]


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 200))
def test_a_pair_keeps_as_much_as_there_is_room_for(first: int, second: int, room: int) -> None:
    kept = longest_first(first, second, room)
    assert kept[0] <= first
    assert kept[1] <= second
    assert sum(kept) == min(first + second, room)


def test_a_long_text_is_refused_where_it_may_not_be_cut() -> None:
    with pytest.raises(InvalidRequest, match=r"instance 1: the text has 202 tokens.* the model takes 128; shorten it"):
        ours("bert", Text("good", truncate=False), Text("good " * 200, truncate=False))
    with pytest.raises(InvalidRequest, match=r"tokens or more.* the model takes 128"):
        ours("bert", Text("good " * 100_000, truncate=False))
    assert not ours("bert", Text("good " * 126, truncate=False))[0].cut


def test_a_candidate_that_leaves_no_room_for_the_text_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="second text alone has 200 tokens"):
        ours("bert", Text("good", "bad " * 200, keep_pair=True))


def test_a_stride_that_goes_nowhere_is_refused() -> None:
    tokenizer: Any = task("bert-token").tokenizer  # type: ignore[attr-defined] # all but images have one
    with pytest.raises(InvalidRequest, match="stride 126 must be below 126"):
        tokenizer.locate([Text("Paris", stride=126)])


def test_a_stride_that_computes_a_long_text_again_and_again_is_refused() -> None:
    tokenizer: Any = task("bert-token").tokenizer  # type: ignore[attr-defined] # all but images have one
    for stride, length in ((125, 100), (94, 20_000)):
        assert tokenizer.locate([Text("good " * length, stride=stride)])
    with pytest.raises(InvalidRequest, match="with a stride of 125 it would be read in 1875 windows"):
        tokenizer.locate([Text("good " * 2000, stride=125)])


@given(st.text(st.characters(), max_size=20))
@example("a\ud800b")
def test_lone_surrogates_are_replaced_one_for_one(text: str) -> None:
    cleaned = clean(text)
    assert len(cleaned) == len(text)
    cleaned.encode()
    ours("bert", Text(cleaned))


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta", "modernbert"])
@pytest.mark.parametrize("direction", ["left", "right"])
def test_a_megabyte_costs_no_more_than_its_first_pages(name: str, direction: Direction) -> None:
    def seconds(text: str) -> float:
        best = 9.0
        for _ in range(3):
            began = perf_counter()
            ours(name, Text(text, direction=direction))
            best = min(best, perf_counter() - began)
        return best

    text = " ".join(WORDS) * 2000
    assert len(text) > 2_000_000
    assert seconds(text) < 20 * seconds(text[:8192])


def test_one_word_of_a_megabyte_is_encoded_too() -> None:
    assert ours("bert", Text("x" * 1_000_000))[0].ids.tolist() == [2, 1, 3]


def test_threads_share_a_tokenizer_and_each_is_cut_as_it_asked() -> None:
    text = " ".join(WORDS[:200])
    asked = [Text(text, direction=direction) for direction in ("left", "right")] * 20
    expected = [ours("roberta", one)[0].ids.tolist() for one in asked[:2]] * 20
    with ThreadPoolExecutor(8) as pool:
        assert [found[0].ids.tolist() for found in pool.map(lambda one: ours("roberta", one), asked)] == expected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "model"


def _words(folder: Path, **said: Any) -> None:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text(encoding="utf-8")), **said}), encoding="utf-8")


def test_a_cased_model_stays_cased() -> None:
    """KServe lower-cases whatever the model says (its `--disable_lower_case` is off)."""
    [lower, upper] = ours("bert-token", Text("paris"), Text("Paris"))
    assert lower.ids.tolist() != upper.ids.tolist()
    assert upper.ids.tolist() == theirs("bert-token", "Paris", None)["input_ids"]


@pytest.mark.parametrize("lower", [True, False])
def test_lower_casing_is_switched_in_tokenizer_config_as_for_transformers(folder: Path, lower: bool) -> None:
    from transformers import BertTokenizer

    shutil.copytree(tiny.model("bert-token"), folder)
    _words(folder, do_lower_case=lower, tokenizer_class="BertTokenizer")
    [found] = tokenizer_files.load(folder / "tokenizer.json", 128).encode([Text("Paris CAFÉ")])
    assert found.ids.tolist() == BertTokenizer.from_pretrained(folder)("Paris CAFÉ")["input_ids"]


def test_padding_and_truncation_left_in_the_file_have_no_effect(folder: Path) -> None:
    shutil.copytree(tiny.model("bert"), folder)
    file = folder / "tokenizer.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    said["truncation"] = {"direction": "Right", "max_length": 5, "strategy": "LongestFirst", "stride": 0}
    said["padding"] = {
        "strategy": {"Fixed": 64},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    file.write_text(json.dumps(said), encoding="utf-8")
    [found] = tokenizer_files.load(file, 128).encode([Text("good " * 10)])
    assert len(found.ids) == 12


def test_what_is_no_tokenizer_is_refused_at_start(folder: Path) -> None:
    folder.mkdir()
    file = folder / "tokenizer.json"
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(ModelRefused, match="cannot be read as a tokenizer"):
        tokenizer_files.load(file, 128)

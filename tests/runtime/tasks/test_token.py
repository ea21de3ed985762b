"""Tokens and entities are those of `transformers.pipeline("token-classification")`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_runtime.core.job import Floats, Instance, Tagged, Token
from classifier_runtime.core.labels import Labels
from classifier_runtime.core.tokens import Padding
from classifier_runtime.errors import InvalidRequest, ModelFailed
from classifier_runtime.tasks.token import TokensOfTexts
from tests.runtime import tiny
from tests.runtime.tasks.answers import options, outcomes, pipeline, same, tagged, task, texts
from tests.runtime.tiny_tokenizers import WORDS

# Where tokens do not say whether they go on with a word, transformers guesses, warns, and so do we (and do not warn).
pytestmark = pytest.mark.filterwarnings("ignore:Tokenizer does not support real words:UserWarning")

NAMES = (*tiny.TOKEN, "distilbert-token", "electra-token", "xlm-roberta-token", "albert-token")
STRATEGIES = ("simple", "first", "average", "max")
TEXTS = (
    "HuggingFace is a company based in Paris and New York",
    "Angela Merkel, Peter  Smith and Mary\nwent to Berlin; 東京 🎉 ☃ Straße",
    "x",
    "",
    " ".join(WORDS),  # longer than the models take
)
LONG = " ".join(WORDS) + " Angela Merkel lives in Berlin " * 8


def token_task(name: str) -> TokensOfTexts:
    found = task(name)
    assert isinstance(found, TokensOfTexts)
    return found


def shape(found: Tagged) -> list[dict[str, Any]]:
    """As the pipeline answers."""
    return [
        {"entity": one.label, "index": one.index, **_common(one)}
        if isinstance(one, Token)
        else {"entity_group": one.label, **_common(one)}
        for one in found.found
    ]


def _common(one: Any) -> dict[str, Any]:
    return {"score": one.score, "word": one.word, "start": one.start, "end": one.end}


def compare(name: str, *given: str, stride: int | None = None, **said: Any) -> None:
    """`truncation` is on in the pipeline where the tokenizer names a length, as all of ours do."""
    if stride is not None:
        said["stride"] = stride
    for text, found in zip(given, tagged(name, *given, **said), strict=True):
        same(shape(found), pipeline(name)(text, **said))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ignored", [["O"], [], ["B-PER", "I-LOC"]])
def test_tokens_are_the_pipelines(name: str, ignored: list[str]) -> None:
    compare(name, *TEXTS, ignore_labels=ignored)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_entities_are_the_pipelines(name: str, strategy: str) -> None:
    compare(name, *TEXTS, aggregation_strategy=strategy)


def test_entities_are_left_out_by_what_they_are_called_without_b_and_i() -> None:
    for strategy in STRATEGIES:
        compare("bert-token", *TEXTS[:2], aggregation_strategy=strategy, ignore_labels=["PER", "B-LOC"])


@pytest.mark.parametrize("name", tiny.TOKEN)
@pytest.mark.parametrize(("strategy", "stride"), [("simple", 0), ("first", 40), ("average", 7), ("max", 7)])
def test_entities_of_long_texts_in_windows_are_the_pipelines(name: str, strategy: str, stride: int) -> None:
    compare(name, LONG, TEXTS[0], aggregation_strategy=strategy, stride=stride)


@pytest.mark.parametrize("name", ["bert-token", "roberta-token"])
@settings(max_examples=12, deadline=None)
@given(text=st.one_of(st.text(max_size=40), st.lists(st.sampled_from(WORDS), max_size=30).map(" ".join)))
def test_whatever_the_text_the_answers_are_the_pipelines(name: str, text: str) -> None:
    for strategy in ("none", "first", "average"):
        compare(name, text, aggregation_strategy=strategy)


@pytest.mark.parametrize(
    "names",
    [
        ("O", "PER", "B-PER", "I-PER", "LOC"),  # bare tags
        ("O", "I-PER", "I-ORG", "I-LOC", "B-LOC"),  # IOB1
        ("O", "B-co-op", "I-co-op", "x-y", "B-x-y"),  # hyphens
        ("same", "same", "B-same", "I-same", "O"),
    ],
)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_labels_of_other_schemes_are_joined_as_the_pipeline_joins_them(names: tuple[str, ...], strategy: str) -> None:
    changed = replace(token_task("bert-token"), labels=Labels(names, "named"))
    reference = pipeline("bert-token")
    before = reference.model.config.id2label
    reference.model.config.id2label = dict(enumerate(names))
    try:
        for text in TEXTS:
            [found] = outcomes("bert-token", texts(text, aggregation_strategy=strategy), changed)
            assert isinstance(found, Tagged)
            same(shape(found), reference(text, aggregation_strategy=strategy))
    finally:
        reference.model.config.id2label = before


def test_every_token_has_an_id_scores_and_its_place_and_special_ones_say_so() -> None:
    [found] = tagged("bert-token", "Paris is good")
    assert found.special.tolist() == [True, False, False, False, True]
    assert found.offsets.tolist() == [[0, 0], [0, 5], [6, 8], [9, 13], [0, 0]]
    assert found.ids.tolist() == found.logits.argmax(axis=-1).tolist()
    assert found.scores.shape == found.logits.shape == (5, 5)
    np.testing.assert_allclose(found.scores.sum(axis=-1), 1, atol=1e-6)


def test_texts_of_different_lengths_have_no_padding_between_them_where_labels_are_wanted() -> None:
    short, long = "Paris", TEXTS[0]
    together = tagged("bert-token", short, long, id2label=True)
    assert [len(one.ids) for one in together] == [3, len(tagged("bert-token", long)[0].ids)]
    assert together[0].ids.tolist() == tagged("bert-token", short)[0].ids.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_basic_answers_of_a_request_are_of_one_length_with_what_the_model_says_of_padding(name: str) -> None:
    import torch

    short, long = "Paris", TEXTS[0]
    together = tagged(name, short, long)
    reference = pipeline(name)
    batch = reference.tokenizer([short, long], padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = reference.model(**batch).logits.numpy()
    for one, row in zip(together, expected, strict=True):
        np.testing.assert_allclose(one.logits, row, rtol=0, atol=1e-4)
    padding = batch["attention_mask"][0].numpy() == 0
    assert together[0].special[padding].all()
    assert not together[0].offsets[padding].any()
    same(shape(together[0]), shape(tagged(name, short)[0]))


def test_padding_stands_before_the_text_where_the_model_wants_it_there() -> None:
    short, long = texts("Paris", TEXTS[0])
    used = replace(token_task("bert-token"), padding=Padding(7, left=True))
    items = used.encode([short, long]).items
    missing = items[1].tokens - 3
    assert items[0].arrays["attention_mask"].tolist() == [0] * missing + [1] * 3
    assert items[0].arrays["input_ids"][:missing].tolist() == [7] * missing
    assert "attention_mask" not in items[1].arrays


def test_offsets_count_characters_not_bytes() -> None:
    text = "🎉🎉 Angela lives in Berlin"
    for name in NAMES:
        [found] = tagged(name, text, ignore_labels=[])
        assert all(0 <= one.start <= one.end <= len(text) for one in found.found)
        words = [text[one.start : one.end].strip() for one in found.found]
        assert "".join(words).endswith("Berlin")


def test_windows_are_joined_to_one_answer_on_every_token() -> None:
    """Tokens that two windows share are answered by the one in which they stand deeper."""
    asked = texts(LONG, aggregation_strategy="simple", stride=40)
    used = token_task("bert-token")
    encoded = used.encode(asked)
    [kept] = encoded.kept
    windows = kept.located.windows
    assert len(windows) > 2
    # Each window says its own number of each of its tokens.
    logits: list[Floats] = [np.full((item.tokens, 5), number, np.float32) for number, item in enumerate(encoded.items)]
    [found] = used.decode(asked, encoded, logits)
    said = found.logits[:, 0]
    assert len(found.ids) == len(kept.located.special)
    assert said[0] == said[-1] == 0  # [CLS] and [SEP]
    inside = said[1:-1]
    assert set(np.diff(inside).tolist()) == {0, 1}
    # The first window ends at place 126, and shares 40 tokens with the second: the last 20 are the second's.
    assert np.flatnonzero(inside == 0)[-1] == 126 - 20 - 1


def test_a_text_that_fits_has_one_window_whatever_the_stride() -> None:
    [one] = tagged("bert-token", TEXTS[0], aggregation_strategy="simple", stride=10)
    [other] = tagged("bert-token", TEXTS[0], aggregation_strategy="simple")
    assert one.found == other.found
    assert one.logits.tolist() == other.logits.tolist()


def test_windows_cut_nothing_and_truncation_is_counted() -> None:
    used = token_task("bert-token")
    assert used.encode(texts(LONG, aggregation_strategy="simple", stride=10)).truncated == 0
    assert used.encode(texts(LONG, "Paris")).truncated == 1


def test_threshold_leaves_out_what_is_less_likely() -> None:
    for strategy in ("none", "simple"):
        [every] = tagged("bert-token", TEXTS[0], ignore_labels=[], aggregation_strategy=strategy)
        least = sorted(one.score for one in every.found)[2]
        [some] = tagged("bert-token", TEXTS[0], ignore_labels=[], aggregation_strategy=strategy, threshold=least)
        assert [one for one in every.found if one.score >= least] == list(some.found)


def test_function_to_apply_none_gives_logits_as_scores() -> None:
    [found] = tagged("bert-token", TEXTS[0], ignore_labels=[], function_to_apply="none")
    assert [one.score for one in found.found] == found.logits.max(axis=-1)[~found.special].tolist()


def test_lone_surrogates_keep_their_place() -> None:
    [found] = tagged("bert-token", "\ud800 Paris", ignore_labels=[])
    assert (found.found[-1].start, found.found[-1].end) == (2, 7)
    "".join(one.word for one in found.found).encode()


def test_what_is_no_number_is_an_error_by_its_place() -> None:
    used = task("bert-token")
    asked = texts("Paris", "Berlin")
    bad = np.zeros((3, 5), np.float32)
    bad[1, 2] = np.nan
    with pytest.raises(ModelFailed, match="instance 1: the model gave logits that are not numbers"):
        used.decode(asked, used.encode(asked), [np.zeros((3, 5), np.float32), bad])


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"stride": 3}, "stride: tokens in two windows have two labels; give an aggregation_strategy"),
        ({"top_k": 2}, "top_k: each token has one label"),
        ({"candidate_labels": ["a"]}, "candidate_labels: zero-shot is for models of text classification"),
    ],
)
def test_what_makes_no_sense_is_refused(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        task("bert-token").check(texts("good", **said)[0])


def test_pairs_and_images_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="text_pair"):
        task("bert-token").check(texts(("good", "bad"))[0])
    with pytest.raises(InvalidRequest, match="send a text, not an image"):
        task("bert-token").check(Instance(options(), image=b"GIF89a"))

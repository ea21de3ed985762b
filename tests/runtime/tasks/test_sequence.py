"""Texts and pairs are classified as `transformers.pipeline("text-classification")` classifies them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier_runtime import model
from classifier_runtime.core.job import Classified, Instance
from classifier_runtime.core.labels import Labels
from classifier_runtime.errors import InvalidRequest, ModelFailed
from classifier_runtime.tasks.of_model import task_of
from classifier_runtime.tasks.sequence import Sequences
from tests.runtime import tiny
from tests.runtime.tasks.answers import EQUAL, classified, options, pipeline, same, spec, task, texts

TEXTS = (
    "good film",
    "",
    "the plot was awful and boring, I hated every scene of it",
    "Très bon café 🎉 \u200b東京",
    "a very good story " * 60,  # longer than the models take
)
PAIRS = (("good", "bad"), ("the hotel was quite nice " * 40, "an awful book " * 30), ("", "nice"))
ALL = (*tiny.SEQUENCE, *tiny.DECODERS, "nli", "multi-label", "regression", "regression-2", "one-label")


def shape(found: Classified) -> list[dict[str, Any]]:
    """As the pipeline answers."""
    return [{"label": one.label, "score": one.score} for one in found.chosen]


def sequences(name: str) -> Sequences:
    found = task(name)
    assert isinstance(found, Sequences)
    return found


@pytest.mark.parametrize("name", ALL)
def test_all_classes_have_the_pipelines_scores_in_its_order(name: str) -> None:
    given = [text for text in TEXTS if text or name not in tiny.DECODERS]
    expected = pipeline(name)(given, top_k=None, truncation=True)
    for found, answer in zip(classified(name, *given, top_k=None), expected, strict=True):
        same(shape(found), answer)


@pytest.mark.parametrize("top_k", [1, 2, 3, 99])
def test_top_k_is_the_pipelines(top_k: int) -> None:
    expected = pipeline("bert")(list(TEXTS), top_k=top_k, truncation=True)
    for found, answer in zip(classified("bert", *TEXTS, top_k=top_k), expected, strict=True):
        same(shape(found), answer)


@pytest.mark.parametrize("function", ["softmax", "sigmoid", "none"])
@pytest.mark.parametrize("name", ["bert", "multi-label", "regression", "one-label"])
def test_function_to_apply_is_the_pipelines(name: str, function: str) -> None:
    expected = pipeline(name)(list(TEXTS), top_k=None, truncation=True, function_to_apply=function)
    for found, answer in zip(classified(name, *TEXTS, top_k=None, function_to_apply=function), expected, strict=True):
        same(shape(found), answer)


@pytest.mark.parametrize("name", tiny.SEQUENCE)
def test_pairs_are_the_pipelines(name: str) -> None:
    given = [{"text": text, "text_pair": pair} for text, pair in PAIRS]
    expected = pipeline(name)(given, top_k=None, truncation=True)
    for found, answer in zip(classified(name, *PAIRS, top_k=None), expected, strict=True):
        same(shape(found), answer)


def test_the_best_class_alone_is_chosen_where_nobody_says_how_many() -> None:
    for found, answer in zip(classified("bert", *TEXTS), pipeline("bert")(list(TEXTS), truncation=True), strict=True):
        same(shape(found), [answer])
        assert found.id == found.chosen[0].id == int(found.logits.argmax())
        assert found.scores.sum() == pytest.approx(1)


def test_scores_and_logits_are_all_of_them_by_id_whatever_was_chosen() -> None:
    [found] = classified("bert", "good film", top_k=1)
    assert found.scores.shape == found.logits.shape == (3,)
    [raw] = classified("bert", "good film", function_to_apply="none")
    assert raw.scores.tolist() == raw.logits.tolist() == found.logits.tolist()


def test_threshold_keeps_the_classes_that_reach_it_among_top_k() -> None:
    [every] = classified("bert", "good film", top_k=None)
    second = every.chosen[1].score
    assert classified("bert", "good film", threshold=second)[0].chosen == every.chosen[:2]
    assert classified("bert", "good film", threshold=second, top_k=1)[0].chosen == every.chosen[:1]
    assert classified("bert", "good film", threshold=1.5)[0].chosen == ()


def test_multi_label_scores_each_class_for_itself_and_chooses_what_is_likelier_than_not() -> None:
    for found in classified("multi-label", *TEXTS):
        np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-found.logits)), atol=EQUAL)
        assert {one.id for one in found.chosen} == set(np.flatnonzero(found.scores >= 0.5).tolist())
        assert found.id == int(found.logits.argmax())
    assert len(classified("multi-label", "good", top_k=2)[0].chosen) == 2


def test_regression_answers_values_in_the_models_order() -> None:
    for found in classified("regression-2", *TEXTS):
        assert [one.label for one in found.chosen] == ["valence", "arousal"]
        assert found.scores.tolist() == found.logits.tolist() == [one.score for one in found.chosen]


def test_one_label_is_a_likelihood() -> None:
    for found in classified("one-label", *TEXTS):
        [one] = found.chosen
        assert (one.id, one.label) == (0, "relevant")
        assert one.score == pytest.approx(1 / (1 + np.exp(-found.logits[0])), abs=EQUAL)


def test_instances_with_options_of_their_own_are_answered_each_by_its_own() -> None:
    given = [
        *texts("good film", top_k=2),
        *texts("good film", function_to_apply="sigmoid", top_k=None),
        *texts("good film", function_to_apply="none"),
    ]
    used = task("bert")
    encoded = used.encode(given)
    row = np.array([3.0, -1.0, 2.0], np.float32)
    [two, sigmoid, raw] = used.decode(given, encoded, [row, row, row])
    assert isinstance(two, Classified)
    assert isinstance(sigmoid, Classified)
    assert isinstance(raw, Classified)
    assert [one.id for one in two.chosen] == [0, 2]
    assert sigmoid.scores[0] == pytest.approx(1 / (1 + np.exp(-3)))
    assert raw.chosen[0].score == 3.0


def test_duplicate_labels_lose_no_class(tmp_path: Path) -> None:
    folder = tiny.variant("bert", tmp_path / "model", id2label=tiny.ID2LABEL["duplicates"], label2id=None)
    used = task_of(model.read(folder))
    given = texts("good", top_k=None)
    [found] = used.decode(given, used.encode(given), [np.array([0.1, 0.2, 0.3], np.float32)])
    assert isinstance(found, Classified)
    assert [(one.id, one.label) for one in found.chosen] == [(2, "other"), (1, "same"), (0, "same")]


def test_equal_scores_stand_by_id() -> None:
    [found] = task("bert").decode(
        (given := texts("good", top_k=None)), task("bert").encode(given), [np.zeros(3, np.float32)]
    )
    assert isinstance(found, Classified)
    assert [one.id for one in found.chosen] == [0, 1, 2]


def test_logits_of_any_size_make_scores_and_no_warning() -> None:
    given = texts("a", "b", top_k=None)
    rows = [np.array([3e38, -3e38, 0], np.float32), np.array([-3e38, -3e38, -3e38], np.float32)]
    first, second = task("bert").decode(given, task("bert").encode(given), rows)
    assert isinstance(first, Classified)
    assert isinstance(second, Classified)
    assert first.scores.tolist() == [1, 0, 0]
    assert second.scores.sum() == pytest.approx(1)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_an_error_of_that_request_alone(bad: float) -> None:
    used = task("bert")
    given, others = texts("good", "bad"), texts("nice")
    row = np.zeros(3, np.float32)
    with pytest.raises(ModelFailed, match="instance 1: the model gave logits that are not numbers"):
        used.decode(given, used.encode(given), [row, np.array([0, bad, 0], np.float32)])
    assert len(used.decode(others, used.encode(others), [row])) == 1


def test_512_of_514_positions_can_be_used(tmp_path: Path) -> None:
    """KServe takes all 514, and answers longer texts with an empty error."""
    folder = tiny.variant(
        "roberta", tmp_path / "model", without=("tokenizer_config.json",), max_position_embeddings=514
    )
    read = model.read(folder)
    assert read.max_tokens == 512
    [item] = task_of(read).encode(texts("good " * 600)).items
    assert item.tokens == 512
    assert [len(array) for array in item.arrays.values()] == [512]


def test_cut_texts_are_counted_once_each() -> None:
    assert sequences("bert").encode(texts("good", "good " * 200, "bad " * 200)).truncated == 2
    assert sequences("nli").encode(texts("good " * 200, candidate_labels=["a", "b", "c"])).truncated == 1


def test_the_end_that_is_cut_off_is_the_one_asked_for() -> None:
    text = "good " * 200 + "bad"
    [right, left] = [
        sequences("bert").encode(texts(text, truncation_direction=side)).items[0] for side in ("right", "left")
    ]
    assert right.tokens == left.tokens == spec("bert").max_tokens
    [bad] = sequences("bert").encode(texts("bad")).items
    assert left.arrays["input_ids"][-2] == bad.arrays["input_ids"][1]
    assert right.arrays["input_ids"][-2] == right.arrays["input_ids"][1]


def test_a_text_that_may_not_be_cut_is_refused_by_its_place() -> None:
    with pytest.raises(InvalidRequest, match="instance 1: the text has 202 tokens"):
        sequences("bert").encode(texts("good", "good " * 200, truncate=False))


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"stride": 3}, "stride: it is for token classification"),
        ({"aggregation_strategy": "simple"}, "aggregation_strategy: entities are found by models for token"),
        ({"ignore_labels": ["A"]}, "ignore_labels: it is for token classification"),
    ],
)
def test_options_of_other_tasks_are_refused(said: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        task("bert").check(texts("good", **said)[0])


def test_an_image_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="send a text"):
        task("bert").check(Instance(options(), image=b"GIF89a"))


def test_lone_surrogates_are_classified_as_replaced() -> None:
    [broken, replaced] = classified("roberta", "good \ud800 film", "good \ufffd film")
    assert broken.chosen == replaced.chosen


def test_a_thousand_classes_cost_little_more_than_three() -> None:
    """KServe takes 51 ms for 32 x 1000, class by class. Here the basic answer makes no object for each of them."""
    classes = 1000
    wide = replace(sequences("bert"), labels=Labels(tuple(map(str, range(classes))), "named"))
    given = texts(*["good"] * 32)
    rows = list(np.random.default_rng(1).standard_normal((32, classes), np.float32))
    found = wide.decode(given, wide.encode(given), rows)
    assert [one.id for one in found if isinstance(one, Classified)] == [int(row.argmax()) for row in rows]
    assert all(len(one.chosen) == 1 for one in found)

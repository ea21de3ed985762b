"""KServe's V1: its own answers in basic mode, labels and scores in enhanced mode."""

from __future__ import annotations

import base64
import math
from typing import Any

import pytest
import yarl

from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import IMAGES, MULTI, ONE, PLANE, REGRESSION, TOKENS

P = {"id": 1, "label": "POSITIVE", "score": pytest.approx(0.7054, abs=1e-4)}
PROBABILITIES = [
    {"id": 0, "label": "NEGATIVE", "score": pytest.approx(0.2595, abs=1e-4)},
    P,
    {"id": 2, "label": "NEUTRAL", "score": pytest.approx(0.0351, abs=1e-4)},
]
TEXT = "1 2 -1"


async def test_an_answer_in_basic_mode_is_a_number_of_each_class(client: Client) -> None:
    assert await client.predict(TEXT, "5") == [1, 0]


async def test_probabilities_in_basic_mode_have_ids_as_keys_and_four_decimals(client: Client) -> None:
    assert await client.predict(TEXT, return_probabilities=True) == [{"0": 0.2595, "1": 0.7054, "2": 0.0351}]


async def test_logits_in_basic_mode_are_not_rounded(start: Start) -> None:
    client = await start(return_raw_logits=True)
    assert await client.predict("1.123456 2 -1") == [{"0": pytest.approx(1.123456, abs=1e-7), "1": 2.0, "2": -1.0}]


@pytest.mark.parametrize("name", ["id2label", "use_id2label", "return_labels"])
async def test_labels_are_answered_where_they_are_asked_for(client: Client, name: str) -> None:
    assert await client.predict(TEXT, **{name: True}) == [P]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"top_k": 1}, [P]),
        ({"top_k": 2}, [P, PROBABILITIES[0]]),
        ({"top_k": None}, [P, PROBABILITIES[0], PROBABILITIES[2]]),
        ({"top_k": 99, "threshold": 0.2}, [P, PROBABILITIES[0]]),
        ({"threshold": 0.9}, []),
        ({"return_probabilities": True}, {**P, "probabilities": PROBABILITIES}),
        ({"return_raw_logits": True}, {**P, "logits": [1.0, 2.0, -1.0]}),
        ({"top_k": 1, "return_probabilities": True}, {"predictions": [P], "probabilities": PROBABILITIES}),
        (
            {"return_probabilities": True, "return_raw_logits": True},
            {**P, "probabilities": PROBABILITIES, "logits": [1.0, 2.0, -1.0]},
        ),
    ],
)
async def test_enhanced_answers_on_a_sequence(client: Client, parameters: dict[str, Any], expected: Any) -> None:
    assert await client.predict(TEXT, id2label=True, **parameters) == [expected]


@pytest.mark.parametrize("parameters", [{"top_k": 2}, {"threshold": 0.2, "top_k": None}])
async def test_how_many_classes_is_asked_of_labels(client: Client, parameters: dict[str, Any]) -> None:
    assert await client.predict(TEXT, **parameters) == [[P, PROBABILITIES[0]]]


async def test_several_labels_at_once_are_a_list_which_may_be_empty(start: Start) -> None:
    client = await start(MULTI)
    assert await client.predict("1 2 -1", "-1 -1 -1") == [1, 0]
    [many, none] = await client.predict("1 2 -1", "-1 -1 -1", id2label=True)
    assert [one["label"] for one in many] == ["POSITIVE", "NEGATIVE"]
    assert none == []


async def test_regression_answers_the_number_itself(start: Start) -> None:
    client = await start(REGRESSION)
    assert await client.predict("0.75") == [0.75]
    assert await client.predict("0.75", id2label=True) == [{"id": 0, "label": "LABEL_0", "score": 0.75}]


async def test_regression_of_several_numbers_is_a_list_by_id(start: Start) -> None:
    client = await start(PLANE)
    assert await client.predict("0.5 2.5") == [[0.5, 2.5]]
    assert await client.predict("0.5 2.5", id2label=True) == [
        [{"id": 0, "label": "x", "score": 0.5}, {"id": 1, "label": "y", "score": 2.5}]
    ]


@pytest.mark.parametrize(("name", "value"), [("top_k", 1), ("threshold", 0.5)])
async def test_of_numbers_none_is_chosen(start: Start, name: str, value: float) -> None:
    client = await start(PLANE)
    for body, path in (({"instances": ["1 2"]}, "/v1/models/model:predict"), ({"inputs": "1 2"}, "/")):
        status, error = await client.refused({**body, "parameters": {name: value}}, path)
        assert (status, error.partition(":")[0]) == (400, name)


async def test_a_single_class_is_answered_where_its_score_is_high_enough(start: Start) -> None:
    client = await start(ONE)
    spam = {"id": 0, "label": "SPAM", "score": pytest.approx(0.8808, abs=1e-4)}
    assert await client.predict("2", id2label=True) == [spam]
    assert await client.predict("2", "-2", threshold=0.5) == [[spam], []]
    assert await client.predict("2", "-2", top_k=1, threshold=0.5) == [[spam], []]


async def test_candidates_are_numbered_by_the_list_of_the_request(client: Client) -> None:
    assert await client.predict("0 1", candidate_labels=["sports", "politics"]) == [1]
    [answer] = await client.predict("0 1", candidate_labels=["sports", "politics"], id2label=True)
    assert [(one["id"], one["label"]) for one in answer] == [(1, "politics"), (0, "sports")]


async def test_tokens_in_basic_mode_are_nested_and_padded_to_the_longest_of_the_request(start: Start) -> None:
    client = await start(TOKENS)
    assert await client.predict("1 0 2", "1") == [[[0, 1, 0, 2, 0]], [[0, 1, 0, 0, 0]]]


async def test_probabilities_of_tokens_in_basic_mode_are_nested_once_less(start: Start) -> None:
    client = await start(TOKENS)
    [rows] = await client.predict("1", return_probabilities=True)
    assert rows[1] == {"0": 0.0177, "1": 0.9647, "2": 0.0177}


async def test_offsets_come_as_a_further_output_where_the_server_was_told_so(start: Start) -> None:
    client = await start(TOKENS, return_offsets_mapping=True)
    _, answer = await client.ask("/v1/models/model:predict", {"instances": ["10 2".replace("10", "1"), "1"]})
    assert answer["outputs"] == [
        {
            "name": "offset_mapping",
            "datatype": "INT64",
            "shape": [2, 4, 2],
            "data": [0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0],
        }
    ]


async def test_tokens_with_labels_leave_out_what_is_ignored(start: Start) -> None:
    client = await start(TOKENS)
    [found] = await client.predict("1 0 2", id2label=True)
    assert found == [
        {
            "id": 1,
            "label": "B-PER",
            "score": pytest.approx(0.9647, abs=1e-4),
            "word": "1",
            "index": 1,
            "start": 0,
            "end": 1,
        },
        {
            "id": 2,
            "label": "B-LOC",
            "score": pytest.approx(0.9647, abs=1e-4),
            "word": "2",
            "index": 3,
            "start": 4,
            "end": 5,
        },
    ]
    [everything] = await client.predict("1 0 2", id2label=True, ignore_labels=[])
    assert [one["label"] for one in everything] == ["B-PER", "O", "B-LOC"]


async def test_probabilities_of_tokens_with_labels_are_those_of_the_tokens_that_are_answered(start: Start) -> None:
    client = await start(TOKENS)
    [answer] = await client.predict("0 2", id2label=True, return_probabilities=True, return_raw_logits=True)
    assert len(answer["predictions"]) == len(answer["probabilities"]) == 1
    assert answer["probabilities"][0][2]["label"] == "B-LOC"
    assert answer["logits"] == [[0.0, 0.0, 4.0]]


async def test_entities_imply_labels_and_have_no_ids(start: Start) -> None:
    client = await start(TOKENS)
    assert await client.predict("1", aggregation_strategy="simple") == [
        [{"label": "PER", "score": pytest.approx(0.9647, abs=1e-4), "word": "1", "start": 0, "end": 1}]
    ]


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,"])
async def test_images_come_as_base64_or_as_data_uris(start: Start, prefix: str) -> None:
    client = await start(IMAGES)
    text = prefix + base64.b64encode(b"0 0 3").decode()
    assert await client.predict({"b64": text}) == [2]
    assert await client.predict(text, id2label=True, top_k=1) == [
        [{"id": 2, "label": "NEUTRAL", "score": pytest.approx(math.exp(3) / (2 + math.exp(3)), abs=1e-5)}]
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": ["5"]},
        {"instances": "5"},
        {"instances": [{"text": "5"}]},
        {"instances": [["5", "a second text"]]},
        {"instances": [{"text": "5", "text_pair": "a second text", "parameters": None}]},
        {"instances": ["5"], "parameters": None},
        {"instances": ["5"], "signature_name": "another server's", "labels": [1], "outputs": [], "id": "1"},
    ],
)
async def test_instances_come_in_many_ways(client: Client, body: Any) -> None:
    assert await client.ask("/v1/models/model:predict", body) == (200, {"predictions": [0]})


async def test_no_instances_are_no_predictions(client: Client) -> None:
    assert await client.predict() == []


async def test_later_words_win_server_then_query_then_request_then_instance(start: Start) -> None:
    client = await start(id2label=True)
    path = "/v1/models/model:predict"
    assert (await client.ask(path, {"instances": [TEXT]}))[1] == {"predictions": [P]}
    assert (await client.ask(path + "?id2label=false", {"instances": [TEXT]}))[1] == {"predictions": [1]}
    said: dict[str, Any] = {"instances": [TEXT], "parameters": {"id2label": True}}
    assert (await client.ask(path + "?id2label=false", said))[1] == {"predictions": [P]}
    of_instance = {"text": TEXT, "parameters": {"id2label": False}}
    said = {"instances": [of_instance, TEXT], "parameters": {"id2label": True}}
    assert (await client.ask(path, said))[1] == {"predictions": [1, P]}


async def test_a_key_that_comes_several_times_in_a_query_is_a_list(client: Client) -> None:
    path = "/v1/models/model:predict?candidate_labels=a&candidate_labels=b&id2label=1&top_k=1"
    [[answer]] = (await client.ask(path, {"instances": ["0 1"]}))[1]["predictions"]
    assert answer["label"] == "b"


@pytest.mark.parametrize(
    "path", ["/v1/models/model:predict", "/v1/models/model%3Apredict", "/v1/models/m%6Fdel:predict"]
)
async def test_a_path_may_be_percent_encoded(client: Client, path: str) -> None:
    url = yarl.URL(client.url + path, encoded=True)
    async with client.session.post(url, json={"instances": ["5"]}) as answer:
        assert await answer.json() == {"predictions": [0]}


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", ""]
)
async def test_the_content_type_does_not_matter(client: Client, content_type: str) -> None:
    body = b'{"instances": ["5"]}'
    assert await client.ask("/v1/models/model:predict", body, headers={"Content-Type": content_type}) == (
        200,
        {"predictions": [0]},
    )


async def test_a_charset_is_heeded(client: Client) -> None:
    headers = {"Content-Type": "application/json; charset=utf-16"}
    body = '{"instances": ["5"]}'.encode("utf-16")
    assert (await client.ask("/v1/models/model:predict", body, headers=headers))[0] == 200


async def test_models_are_listed_and_ready(client: Client) -> None:
    assert await client.ask("/v1/models") == (200, {"models": ["model"]})
    assert await client.ask("/v1/models/model") == (200, {"name": "model", "ready": True})
    assert await client.ask("/") == (200, {"status": "alive"})


async def test_nothing_is_explained(client: Client) -> None:
    assert (await client.refused({"instances": ["5"]}, "/v1/models/model:explain"))[0] == 501

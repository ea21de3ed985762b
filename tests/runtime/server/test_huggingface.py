"""Hugging Face's shape: as `huggingface_hub.InferenceClient` reads it, unmodified."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import IMAGES, MULTI, ONE, REGRESSION, TOKENS

PATHS = ["/", "/models/model", "/predict"]
BEST = {"label": "POSITIVE", "score": pytest.approx(0.7054, abs=1e-4)}


@pytest.mark.parametrize("path", PATHS)
async def test_one_text_is_answered_with_a_list_in_a_list(client: Client, path: str) -> None:
    status, [answer] = await client.ask(path, {"inputs": "1 2 -1", "options": {"wait_for_model": True}})
    assert status == 200
    assert answer[0] == BEST
    assert [one["label"] for one in answer] == ["POSITIVE", "NEGATIVE", "NEUTRAL"]


@pytest.mark.parametrize(
    ("inputs", "count"),
    [
        (["5", "1"], 2),
        ([["5", "a second text"]], 1),
        ({"text": "5", "text_pair": "a second text"}, 1),
        ([{"text": "5"}, "1"], 2),
        ([], 0),
    ],
)
async def test_inputs_come_in_many_ways(client: Client, inputs: Any, count: int) -> None:
    status, answer = await client.ask("/", {"inputs": inputs, "parameters": {"top_k": 1}})
    assert status == 200
    assert [len(one) for one in answer] == [1] * count


async def test_all_labels_of_a_multi_label_model_are_answered(start: Start) -> None:
    client = await start(MULTI)
    _, [answer] = await client.ask("/", {"inputs": "-1 -1 -1"})
    assert len(answer) == 3


async def test_regression_is_a_label_and_its_number(start: Start) -> None:
    client = await start(REGRESSION)
    assert await client.ask("/", {"inputs": "0.75"}) == (200, [[{"label": "LABEL_0", "score": 0.75}]])


async def test_a_single_class_is_answered_where_its_score_is_high_enough(start: Start) -> None:
    client = await start(ONE)
    _, [high, low] = await client.ask("/", {"inputs": ["2", "-2"], "parameters": {"threshold": 0.5}})
    assert (high, low) == ([{"label": "SPAM", "score": pytest.approx(0.8808, abs=1e-4)}], [])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("image/png", b"0 0 3"),
        ("application/octet-stream", b"0 0 3"),
        ("", b"0 0 3"),
        ("application/json", b'{"inputs": "%s"}' % base64.b64encode(b"0 0 3")),
        ("", b'{"inputs": "%s"}' % base64.b64encode(b"0 0 3")),
    ],
)
async def test_an_image_is_a_body_or_base64_and_answered_flat(start: Start, content_type: str, body: bytes) -> None:
    client = await start(IMAGES, id2label=False)
    status, answer = await client.ask("/?top_k=2", body, headers={"Content-Type": content_type})
    assert status == 200
    assert [one["label"] for one in answer] == ["NEUTRAL", "NEGATIVE"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "there are no inputs"),
        ([], "the body is no object"),
        ({"inputs": 7}, "inputs: neither a text nor an object"),
        ({"inputs": ["a", ["b"]]}, "inputs[1]"),
        ({"inputs": "a", "parameters": {"return_probabilities": True}}, "top_k: null"),
        ({"inputs": "a", "parameters": {"return_raw_logits": True}}, "function_to_apply: none"),
        ({"inputs": "a", "parameters": {"topk": 1}}, "did you mean 'top_k'"),
        ({"inputs": "a", "topk": 1}, """'topk': options belong into "parameters": {"top_k\""""),
    ],
)
async def test_what_is_wrong_is_said_with_400(client: Client, body: Any, says: str) -> None:
    status, error = await client.refused(body, "/")
    assert status == 400
    assert says in error


async def test_what_a_server_answers_by_default_does_not_matter_here(start: Start) -> None:
    client = await start(return_probabilities=True)
    assert (await client.ask("/", {"inputs": "5", "parameters": {"top_k": 1}}))[0] == 200


async def _official(client: Client, method: str, *args: Any, **given: Any) -> Any:
    official = InferenceClient(model=client.url)
    return await asyncio.to_thread(getattr(official, method), *args, **given)


async def test_the_official_client_classifies_texts(client: Client) -> None:
    answer = await _official(client, "text_classification", "1 2 -1", top_k=2)
    assert [one.label for one in answer] == ["POSITIVE", "NEGATIVE"]
    answer = await _official(client, "text_classification", "1 2 -1", function_to_apply="none")
    assert answer[0].score == 2.0


async def test_the_official_client_classifies_tokens(start: Start) -> None:
    client = await start(TOKENS)
    [one] = await _official(client, "token_classification", "0 1")
    assert (one.word, one.start, one.end) == ("1", 2, 3)
    [one] = await _official(client, "token_classification", "0 2", aggregation_strategy="simple")
    assert one.entity_group == "LOC"


async def test_the_official_client_chooses_among_candidates(client: Client) -> None:
    answer = await _official(client, "zero_shot_classification", "0 1", candidate_labels=["sports", "politics"])
    assert [one.label for one in answer] == ["politics", "sports"]


async def test_the_official_client_classifies_images(start: Start) -> None:
    client = await start(IMAGES)
    answer = await _official(client, "image_classification", b"0 0 3")
    assert answer[0].label == "NEUTRAL"
    [answer] = await _official(client, "image_classification", b"0 0 3", top_k=1)
    assert answer.label == "NEUTRAL"


async def test_the_official_client_reads_our_errors(client: Client) -> None:
    with pytest.raises(HfHubHTTPError, match="top_k"):
        await _official(client, "text_classification", "a", top_k=0)

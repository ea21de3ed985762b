"""Whatever is sent, a client gets its protocol's error with a sentence, others get their answers, the server lives."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import IMAGES, SEQUENCE, TOKENS, TextBackend

PREDICT = "/v1/models/model:predict"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is empty"),
        (b'{"instances": ["a"', "Unrecognized request format"),
        (b"\xff\xfe", "Unrecognized request format"),
        (b'{"instances": [NaN]}', "Unrecognized request format"),
        (b'{"instances": ["\\ud800"]}', "surrogate"),
        (b"[" * 100_000, "Unrecognized request format"),
        (b'["a"]', "the body is no object"),
        (b"{}", "there are no instances"),
        (b'{"instances": null}', "instances: not a list"),
        (b'{"instances": 7}', "instances: not a list"),
        (b'{"instances": {"text": "a"}}', "instances: not a list"),
        (b'{"instances": ["a", 7]}', "instances[1]: neither a text nor an object"),
        (b'{"instances": [null]}', "instances[0]"),
        (b'{"instances": [["a"]]}', "instances[0]: a list is a pair"),
        (b'{"instances": [["a", 1]]}', "instances[0]: a list is a pair"),
        (b'{"instances": [{}]}', "instances[0]: no 'text' in it"),
        (b'{"instances": [{"text": 1}]}', "instances[0].text: not a text"),
        (b'{"instances": [{"text": "a", "text_pair": 1}]}', "instances[0].text_pair: not a text"),
        (b'{"instances": [{"txt": "a"}]}', "instances[0]: unknown key 'txt'; did you mean 'text'?"),
        (b'{"instances": [{"b64": "YQ=="}]}', "this model reads texts"),
        (b'{"instances": ["a"], "parameters": []}', "parameters: not an object"),
        (b'{"instances": ["a"], "parameters": {"topk": 1}}', "unknown option 'topk'; did you mean 'top_k'?"),
        (b'{"instances": ["a"], "parameters": {"top_k": 0}}', "parameters.top_k"),
        (b'{"instances": ["a"], "top_k": 1}', 'options belong into "parameters"'),
        (b'{"instances": ["a"], "id2labels": true}', """'id2labels': options belong into "parameters": {"id2label\""""),
        (b'{"instances": ["a"], "topk": 1}', """'topk': options belong into "parameters": {"top_k\""""),
        (b'{"instances": ["a"], "params": {"top_k": 1}}', "unknown key 'params'; did you mean 'parameters'?"),
        (b'{"instance": ["a"]}', "unknown key 'instance'; did you mean 'instances'?"),
        (b'{"instances": ["a"], %s}' % b",".join(b'"a%d": 1' % n for n in range(65)), "65 keys that are unknown"),
        (b'{"instances": [{"text": "a", "parameters": {"topk": 1}}]}', "instances[0].parameters: unknown option"),
        (b'{"instances": [{"text": "a", "parameters": 7}]}', "instances[0].parameters: not an object"),
        (b'{"instances": ["a"], "parameters": {"return_probabilities": 1}}', "parameters.return_probabilities"),
        (
            b'{"instances": ["a"], "parameters": {"return_probabilities": true, "return_raw_logits": true}}',
            "ask for one of them",
        ),
    ],
)
async def test_what_is_wrong_is_said_with_400(client: Client, body: bytes, says: str) -> None:
    status, error = await client.refused(body)
    assert status == 400
    assert says in error


async def test_an_unknown_word_in_the_query_is_refused(client: Client) -> None:
    status, error = await client.refused({"instances": ["a"]}, f"{PREDICT}?labels=true")
    assert (status, error.partition(":")[0]) == (400, "query")


async def test_an_error_never_quotes_megabytes(client: Client) -> None:
    _, error = await client.refused({"instances": ["a"], "parameters": {"threshold": "x" * 1_000_000}})
    assert len(error) < 600


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ({"b64": "no base64!"}, "instances[0].b64: not base64"),
        ("data:image/png,raw", "a data URI without base64"),
        ("http://169.254.169.254/latest", "images are not fetched"),
        ({"parameters": {}}, "no 'b64' in it"),
        ({"text": "a"}, "this model reads images"),
    ],
)
async def test_what_is_no_image_is_refused(start: Start, image: Any, says: str) -> None:
    client = await start(IMAGES)
    status, error = await client.refused({"instances": [image]})
    assert status == 400
    assert says in error


@pytest.mark.parametrize("name", ["return_probabilities", "return_raw_logits"])
async def test_entities_have_no_scores_of_all_classes(start: Start, name: str) -> None:
    client = await start(TOKENS)
    status, error = await client.refused(
        {"instances": ["1"], "parameters": {"aggregation_strategy": "simple", name: True}}
    )
    assert (status, error.partition(":")[0]) == (400, name)


async def test_an_empty_text_is_a_text(client: Client) -> None:
    assert await client.predict("") == [0]


async def test_ten_thousand_instances_are_too_many(client: Client) -> None:
    status, error = await client.refused({"instances": ["a"] * 10_000})
    assert status == 413
    assert "at most 2048" in error


@pytest.mark.parametrize("text", ["x" * 1_000_000, "é" * 140_000])
async def test_a_megabyte_of_text_is_too_large_counted_in_bytes(client: Client, text: str) -> None:
    status, error = await client.refused({"instances": ["a", text]})
    assert status == 413
    assert error.startswith("instance 1: the text has more than 262144 bytes")


async def test_a_text_of_as_many_bytes_as_may_be_is_taken(client: Client) -> None:
    assert await client.predict("é" * 131_072) == [0]


@pytest.mark.parametrize(
    ("encoding", "pack"), [("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)]
)
async def test_a_body_is_measured_unpacked(start: Start, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    client = await start(max_request_bytes=1000)
    headers = {"Content-Encoding": encoding}
    small, large = b'{"instances": ["5"]}', json.dumps({"instances": ["5"] * 10_000}).encode()
    assert len(gzip.compress(large)) < 1000
    assert await client.ask(PREDICT, pack(small), headers=headers) == (200, {"predictions": [0]})
    assert (await client.refused(pack(large), headers=headers))[0] == 413


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"no gzip"), ("gzip", gzip.compress(b'{"instances": ["5"]}')[:-12]), ("zstd", b"whatever")],
)
async def test_a_body_that_cannot_be_unpacked_is_refused(client: Client, encoding: str, body: bytes) -> None:
    async with client.session.post(client.url + PREDICT, data=body, headers={"Content-Encoding": encoding}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/models/other:predict", 404),
        ("GET", "/v1/models/other", 404),
        ("GET", "/nothing/here", 404),
        ("GET", PREDICT, 405),
        ("PUT", PREDICT, 405),
        ("POST", "/v1/models", 405),
        ("POST", "/v2/health/live", 405),
    ],
)
async def test_other_paths_models_and_methods(client: Client, method: str, path: str, status: int) -> None:
    async with client.session.request(method, client.url + path) as answer:
        assert answer.status == status
        assert (await answer.json())["error"]


async def test_an_unknown_model_is_named_as_kserve_does(client: Client) -> None:
    assert await client.refused({"instances": ["a"]}, "/v1/models/other:predict") == (
        404,
        "Model with name other does not exist.",
    )


@pytest.mark.parametrize("text", ["nan", "fail"])
async def test_a_model_that_fails_on_one_text_answers_all_others(client: Client, text: str) -> None:
    others = [client.predict("5", "1 2 -1") for _ in range(5)]
    (status, error), *answers = await asyncio.gather(client.refused({"instances": ["5", text]}), *others)
    assert status == 500
    assert "model" in error
    assert answers == [[0, 1]] * 5
    assert await client.ask("/v2/health/live") == (200, {"live": True})


async def test_a_full_queue_says_when_to_come_again(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend, queue_tokens=10)
    computed = asyncio.create_task(client.predict("slow"))
    await asyncio.to_thread(backend.entered.wait, 20)
    waiting = asyncio.create_task(client.predict(*["5"] * 10))
    await client.metric("classifier_queue_tokens 10.0")
    async with client.session.post(client.url + PREDICT, json={"instances": ["5"]}) as answer:
        assert answer.status == 429
        assert int(answer.headers["Retry-After"]) >= 1
        assert "texts are waiting" in (await answer.json())["error"]
    backend.go.set()
    assert await computed == [0]
    assert await waiting == [0] * 10


async def test_a_client_that_goes_takes_its_work_with_it(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend)
    computed = asyncio.create_task(client.predict("slow"))
    await asyncio.to_thread(backend.entered.wait, 20)
    gone = asyncio.create_task(client.predict(*["5"] * 100))
    await client.metric("classifier_in_flight_requests 2.0")
    gone.cancel()
    await client.metric("classifier_in_flight_requests 1.0")
    backend.go.set()
    assert await computed == [0]
    assert await client.predict("5") == [0]
    assert sum(backend.seen) == 2


async def test_who_waits_too_long_gets_504(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend, request_timeout_seconds=0.2)
    try:
        assert (await client.refused({"instances": ["slow"]}))[0] == 504
    finally:
        backend.go.set()


async def test_in_a_rush_each_request_is_answered_or_told_to_come_again(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend, queue_tokens=50)
    held = asyncio.create_task(client.predict("slow"))
    await asyncio.to_thread(backend.entered.wait, 20)
    rush = [asyncio.create_task(client.ask(PREDICT, {"instances": ["5"] * 5})) for _ in range(100)]
    await client.metric('classifier_requests_total{code="429",protocol="v1"} ')  # of any number
    backend.go.set()
    answers = await asyncio.gather(*rush)
    assert await held == [0]
    assert {status for status, _ in answers} == {200, 429}
    assert sum(status == 200 for status, _ in answers) >= 10

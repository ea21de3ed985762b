"""Whatever is wrong with a request, its sender is told in the protocol's way, and nobody else notices."""

from __future__ import annotations

import asyncio
import gzip
from typing import Any

import aiohttp
import orjson
import pytest

from tests.runtime.server.conftest import Start
from tests.runtime.server.doubles import REGRESSION, SEQUENCE, TOKENS, TextBackend
from tests.runtime.v2.conftest import V2, binary, tensor

OK = {"inputs": [tensor("1 2 -1")]}
HELLO = b"\x05\x00\x00\x00hello"


def changed(**more: Any) -> dict[str, Any]:
    """An input with something wrong."""
    return {"inputs": [{**tensor("a", "b"), **more}]}


def without(key: str) -> dict[str, Any]:
    return {"inputs": [{name: value for name, value in tensor("a").items() if name != key}]}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "Unrecognized request format"),
        (b"{", "Unrecognized request format"),
        (b"[]", "Unrecognized request format: not a JSON object"),
        (b"\xff\xfe", "Unrecognized request format"),
        (rb'{"inputs": [{"name": "a", "shape": [1], "datatype": "BYTES", "data": ["\ud800"]}]}', "Unrecognized"),
        (b'{"inputs": ' + b"[" * 5000 + b"]" * 5000 + b"}", "Unrecognized request format"),
        ({}, "inputs: missing"),
        ({"inputs": "a"}, "inputs: not a list"),
        ({"inputs": []}, "inputs: none that is a text"),
        ({"inputs": ["a"]}, "inputs[0]: not an object"),
        ({"instances": ["a"]}, "inputs: missing"),
        (without("name"), "inputs[0].name: missing"),
        (without("shape"), "inputs[0].shape: missing"),
        (without("datatype"), "inputs[0].datatype"),
        (without("data"), "inputs[0].data: missing"),
        (changed(shape=[3]), "shape [3] has 3 elements, and 2 came"),
        (changed(shape=[-1]), "not a list of whole numbers"),
        (changed(shape=[2.0]), "not a list of whole numbers"),
        (changed(shape=[2**60, 2**60]), "and 2 came"),
        (changed(shape="2"), "shape: not a list"),
        (changed(shape=[1, 1, 2]), "neither [B] nor, for pairs of texts, [B, 2]"),
        (changed(data=[["a"], ["b", "c"]]), "rows of different lengths"),
        (changed(data=[["a"], "b"]), "rows of different lengths"),
        (changed(data=["a", 1]), "element 1 is a number, not a text"),
        (changed(data=["a", None]), "element 1 is null, not a text"),
        (changed(data=["a", {"text": "b"}]), "element 1 is an object"),
        (changed(data=[["a", "b"]]), "shape is [2], and data are nested as [1, 2]"),
        (changed(data="ab"), "data: not a list"),
        (changed(datatype="FP32", data=[1, 2]), "datatype: FP32"),
        (changed(datatype="STRING"), "is no datatype"),
        (changed(parameters={"top_k": 1}), "unknown 'top_k'; known are content_type"),
        (changed(parameters={"content_type": "jpeg"}), "content_type: 'jpeg' is none of str"),
        (changed(parameters=[1]), "inputs[0].parameters: not an object"),
        (changed(parameters={"binary_data_size": 4}, data=None), "need the header Inference-Header-Content-Length"),
        ({"inputs": [tensor("a"), tensor("b")]}, "there are two inputs of the name 'input-0'"),
        ({"inputs": [tensor("a"), {**tensor("b"), "name": "more"}]}, "'input-0', 'more': send one tensor"),
        ({"inputs": [{**tensor("a"), "name": "candidate_labels"}]}, "inputs: none that is a text"),
        ({"inputs": [{**tensor("a"), "name": "text"}, {**tensor(), "name": "text_pair"}]}, "1 of text, and 0"),
        ({**OK, "id": 7}, "id: 7 is not a text"),
        ({**OK, "parameters": {"top_n": 1}}, "did you mean 'top_k'"),
        ({**OK, "parameters": {"top_k": 0}}, "parameters.top_k: 0 is not 1 or more"),
        ({**OK, "parameters": {"top_k": [1]}}, "parameters.top_k: neither text, number nor true or false"),
        ({**OK, "parameters": {"timeout": "soon"}}, "parameters.timeout"),
        ({**OK, "parameters": {"binary_data_output": "yes"}}, "parameters.binary_data_output: 'yes'"),
        ({**OK, "parameters": {"sequence_id": 1}}, "unknown option 'sequence_id'"),
        ({**OK, "parameters": {"return_probabilities": True, "return_raw_logits": True}}, "ask for one of them"),
        ({**OK, "outputs": ["output-0"]}, "outputs[0]: not an object"),
        ({**OK, "outputs": [{}]}, "outputs[0].name: None is not a name"),
        ({**OK, "outputs": [{"name": "zzz"}]}, "Unexpected inference output 'zzz' for model 'model'"),
        ({**OK, "outputs": [{"name": "words"}]}, "Unexpected inference output 'words'"),
        ({**OK, "outputs": [{"name": "labels", "parameters": {"a": 1}}]}, "unknown 'a'; known are binary_data"),
        ({**OK, "outputs": [{"name": "labels", "parameters": {"binary_data": 1}}]}, "neither true nor false"),
        ({**OK, "outputs": [{"name": "labels", "parameters": {"classification": 1.5}}]}, "not a number of classes"),
        ({**OK, "outputs": [{"name": "counts", "parameters": {"classification": 1}}]}, "ask for it of output-0"),
    ],
)
async def test_what_is_wrong_is_a_400_with_a_sentence(v2: V2, body: Any, sentence: str) -> None:
    assert sentence in await v2.refused(body)


@pytest.mark.parametrize(
    ("size", "blob", "length", "sentence"),
    [
        (9, HELLO, "x", "is no part of a body"),
        (9, HELLO, "0", "is no part of a body"),
        (9, HELLO, "-3", "is no part of a body"),
        (9, HELLO, "99999", "is no part of a body"),
        (9, HELLO, "10", "Unrecognized request format"),
        (8, HELLO, None, "element 0 has 5 bytes, and the binary data end after 4"),
        (10, HELLO, None, "binary_data_size is 10, and 9 bytes are left"),
        (9, HELLO + b"!", None, "9 bytes of binary data are declared, and 10 came"),
        (3, HELLO, None, "end within the length of element 0"),
        (-1, HELLO, None, "binary_data_size: -1"),
        ("9", HELLO, None, "binary_data_size: '9'"),
        (True, HELLO, None, "binary_data_size: True"),
        (18, HELLO * 2, None, "shape [1] has 1 elements, and 2 came"),
        (5, b"\x01\x00\x00\x00\xff", None, "element 0 is not UTF-8"),
    ],
)
async def test_wrong_binary_data_are_a_400(v2: V2, size: Any, blob: bytes, length: str | None, sentence: str) -> None:
    head = {"name": "a", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
    body, headers = binary({"inputs": [head]}, blob)
    if length is not None:
        headers = {"Inference-Header-Content-Length": length}
    assert sentence in await v2.refused(body, headers=headers)


async def test_data_and_bytes_of_one_input_are_refused(v2: V2) -> None:
    head = {**tensor("a"), "parameters": {"binary_data_size": 9}}
    body, headers = binary({"inputs": [head]}, HELLO)
    assert "both data and binary_data_size" in await v2.refused(body, headers=headers)


async def test_a_body_that_says_gzip_and_is_not_is_refused(v2: V2) -> None:
    assert await v2.refused(orjson.dumps(OK), headers={"Content-Encoding": "gzip"})


async def test_a_small_body_that_unpacks_to_a_large_one_is_too_large(start: Start) -> None:
    client = await start(max_request_bytes=100_000)
    bomb = gzip.compress(orjson.dumps(changed(data=["a" * 1_000_000, "b"])))
    status, _ = await client.refused(bomb, "/v2/models/model/infer", headers={"Content-Encoding": "gzip"})
    assert status == 413
    await V2(client).infer("5")


async def test_limits_of_texts_are_those_of_every_protocol(start: Start) -> None:
    client = await start(max_instances=3, max_text_bytes=1000)
    for body in ({"inputs": [tensor(*"abcd")]}, {"inputs": [tensor("ä" * 501)]}):
        status, _ = await client.refused(body, "/v2/models/model/infer")
        assert status == 413
    assert await V2(client).outputs("", "ä" * 500, " ") == {"output-0": ([3], [0, 0, 0])}


@pytest.mark.parametrize("facts", [TOKENS, REGRESSION])
async def test_what_has_no_best_class_has_no_class_count(start: Start, facts: Any) -> None:
    body = {"inputs": [tensor("1")], "outputs": [{"name": "output-0", "parameters": {"classification": 1}}]}
    assert "classification of 'output-0'" in await V2(await start(facts)).refused(body)


async def test_no_number_and_a_failing_model_are_a_500_of_that_request_alone(v2: V2) -> None:
    bad = [v2.client.refused({"inputs": [tensor(text)]}, "/v2/models/model/infer") for text in ("nan", "fail")]
    good = [v2.outputs("1 2 -1") for _ in range(8)]
    errors, answers = await asyncio.gather(asyncio.gather(*bad), asyncio.gather(*good))
    assert [status for status, _ in errors] == [500, 500]
    assert answers == [{"output-0": ([1], [1])}] * 8


async def test_a_request_that_is_not_answered_in_its_timeout_is_a_504(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend)
    body = {"inputs": [tensor("slow")], "parameters": {"timeout": 10_000}}
    status, sentence = await client.refused(body, "/v2/models/model/infer")
    backend.go.set()
    assert (status, sentence) == (504, "no answer within the request's timeout of 0.01 s")


async def test_a_client_that_goes_away_harms_nobody(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend)
    impatient = aiohttp.ClientTimeout(total=0.05)
    with pytest.raises(TimeoutError):
        await client.ask("/v2/models/model/infer", {"inputs": [tensor("slow")]}, timeout=impatient)
    backend.go.set()
    assert await V2(client).outputs("1 2 -1") == {"output-0": ([1], [1])}


async def test_before_the_model_is_there_it_is_not_ready(start: Start) -> None:
    client = await start()
    client.server.serving._facts = client.server.serving._service = None
    for body, path in ((OK, "/infer"), (None, "")):
        status, sentence = await client.refused(body, f"/v2/models/model{path}")
        assert (status, sentence) == (503, "Model with name model is not ready.")

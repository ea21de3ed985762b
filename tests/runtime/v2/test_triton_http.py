"""Triton's HTTP clients beyond one inference: the asynchronous ones, and what they ask of a server besides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http.aio as triton
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import IMAGES, TOKENS

A, B = "1 2 -1", "5"


def given(*data: Any, binary: bool = True, shape: list[int] | None = None) -> list[InferInput]:
    tensor = InferInput("input-0", shape or [len(data)], "BYTES")
    tensor.set_data_from_numpy(np.array(data, np.object_).reshape(shape or [len(data)]), binary_data=binary)
    return [tensor]


@pytest.fixture
async def official(client: Client) -> AsyncIterator[triton.InferenceServerClient]:
    async with triton.InferenceServerClient(f"127.0.0.1:{client.server.port}") as made:
        yield made


async def test_all_that_is_asked_besides(official: triton.InferenceServerClient) -> None:
    assert await official.is_server_live()
    assert await official.is_server_ready()
    assert await official.is_model_ready("model")
    assert await official.is_model_ready("model", "1")
    assert not await official.is_model_ready("model", "2")
    assert not await official.is_model_ready("other")
    assert (await official.get_server_metadata())["name"] == "classifier-runtime"
    metadata = await official.get_model_metadata("model", "1")
    assert (metadata["name"], metadata["versions"], metadata["inputs"][0]["datatype"]) == ("model", ["1"], "BYTES")
    assert await official.get_model_repository_index() == [{"name": "model", "version": "1", "state": "READY"}]


@pytest.mark.parametrize(
    "call",
    ["get_model_config", "get_inference_statistics", "get_trace_settings", "get_system_shared_memory_status"],
)
async def test_extensions_that_are_not_listed_are_an_error_that_the_client_reads(
    official: triton.InferenceServerClient, call: str
) -> None:
    with pytest.raises(InferenceServerException, match=r"there is nothing at this path|does not exist"):
        await getattr(official, call)(*(["model"] if "model" in call else []))


@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [False, True])
async def test_many_at_once(official: triton.InferenceServerClient, binary: bool, packed: str | None) -> None:
    asked = [
        official.infer(
            "model",
            given(*[text] * 600, binary=binary),
            model_version="1",
            outputs=[
                InferRequestedOutput("labels", binary_data=binary),
                InferRequestedOutput("output-0", class_count=1),
            ],
            request_compression_algorithm=packed,
            response_compression_algorithm=packed,
        )
        for text in (A, B) * 5
    ]
    for place, found in enumerate(await asyncio.gather(*asked)):
        label = "NEGATIVE" if place % 2 else "POSITIVE"
        assert {str(np.char.decode(text)) if binary else text for text in found.as_numpy("labels")} == {label}
        assert found.as_numpy("output-0").shape == (600, 1)
        assert found.get_response()["model_version"] == "1"


async def test_the_client_that_asks_by_greenlets(client: Client) -> None:
    def ask() -> list[int]:
        with InferenceServerClient(f"127.0.0.1:{client.server.port}", concurrency=4) as made:
            waiting = [made.async_infer("model", given(text)) for text in (A, B, A)]
            return [int(one.get_result().as_numpy("output-0")[0]) for one in waiting]

    assert await asyncio.to_thread(ask) == [1, 0, 1]


async def test_a_pair_is_two_columns_and_a_text_one(official: triton.InferenceServerClient) -> None:
    for data, shape in (([A, B], [1, 2]), ([A], [1, 1])):
        found = await official.infer("model", given(*data, shape=shape))
        assert found.as_numpy("output-0").tolist() == [1]


async def test_images_and_tokens(start: Start) -> None:
    for facts, data, shape in ((IMAGES, b"0 0 3", (1,)), (TOKENS, "1 0 2", (1, 1, 5))):
        client = await start(facts)
        async with triton.InferenceServerClient(f"127.0.0.1:{client.server.port}") as official:
            assert (await official.infer("model", given(data))).as_numpy("output-0").shape == shape


async def test_what_is_wrong_is_raised_with_our_sentence(official: triton.InferenceServerClient) -> None:
    for asked, sentence in (
        ({"inputs": given(A), "parameters": {"topk": 1}}, "did you mean 'top_k'"),
        ({"inputs": given(A), "outputs": [InferRequestedOutput("labels")] * 2}, "is asked for twice"),
        ({"inputs": given(A) + given(B)}, "there are two inputs of the name 'input-0'"),
        ({"inputs": given(A), "model_version": "2"}, "has no version 2"),
        ({"inputs": given(*[A] * 3000)}, "more than|at most"),
        ({"inputs": given("nan")}, "not numbers"),
    ):
        with pytest.raises(InferenceServerException, match=sentence):
            await official.infer("model", **asked)
    wrong = InferInput("input-0", [1], "FP32")
    wrong.set_data_from_numpy(np.zeros(1, np.float32))
    with pytest.raises(InferenceServerException, match=r"inputs\[0\].datatype: FP32; texts"):
        await official.infer("model", [wrong])

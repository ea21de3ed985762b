"""Triton's gRPC client, as it is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import pytest

from tests.runtime.server.conftest import Client
from tests.runtime.v2 import triton_calls

A, B = "1 2 -1", "5"
Ask = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def ask(client: Client, process: ProcessPoolExecutor) -> Ask:
    async def run(call: Callable[..., Any], *args: Any, **given: Any) -> Any:
        work = partial(call, f"127.0.0.1:{client.server.grpc_port}", *args, **given)
        return await asyncio.get_running_loop().run_in_executor(process, work)

    return run


async def test_triton_finds_all_over_grpc(ask: Ask) -> None:
    found = await ask(triton_calls.about)
    assert found["live"]
    assert found["ready"]
    assert found["model"]
    assert found["version"]
    assert "binary_tensor_data" in found["extensions"]
    assert found["inputs"] == [("input-0", "BYTES", [-1])]
    assert found["outputs"][0] == "output-0"
    assert found["unload"] == "StatusCode.UNIMPLEMENTED"
    assert found["unlisted"] == ["StatusCode.UNIMPLEMENTED"] * 2


@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
async def test_triton_classifies_text_over_grpc(ask: Ask, packed: str | None) -> None:
    parameters = {"id2label": True, "top_k": 2, "threshold": 0.2}
    found = await ask(triton_calls.infer, [A, B], request_id="7", parameters=parameters, compression_algorithm=packed)
    assert found["id"] == "7"
    assert found["output-0"] == [1, 0]
    assert found["labels"] == [[b"POSITIVE", b"NEGATIVE"], [b"NEGATIVE", b""]]
    assert found["counts"] == [2, 1]
    assert found["scores"][0] == pytest.approx([0.7054, 0.2595], abs=1e-4)


async def test_triton_gets_named_outputs_and_class_count_over_grpc(ask: Ask) -> None:
    found = await ask(triton_calls.infer, [A], [("labels", 0), ("output-0", 1)])
    assert list(found) == ["id", "labels", "output-0"]
    assert found["labels"] == [b"POSITIVE"]
    assert found["output-0"][0][0].endswith(b":1:POSITIVE")


async def test_triton_gets_an_empty_batch_over_grpc(ask: Ask) -> None:
    assert (await ask(triton_calls.infer, []))["output-0"] == []


async def test_triton_is_told_what_was_wrong_over_grpc(ask: Ask) -> None:
    for given, status, sentence in (
        ({"parameters": {"top_n": 1}}, "INVALID_ARGUMENT", "did you mean 'top_k'"),
        ({"model": "other"}, "NOT_FOUND", "Model with name other does not exist."),
        ({"model_version": "2"}, "NOT_FOUND", "has no version 2"),
        ({"parameters": {"threshold": "a"}}, "INVALID_ARGUMENT", "parameters.threshold"),
    ):
        found = await ask(triton_calls.refused, [A], **given)
        assert found[0] == f"StatusCode.{status}"
        assert sentence in found[1]


async def test_triton_asks_many_at_once_over_grpc(ask: Ask) -> None:
    assert await ask(triton_calls.asynchronous, [A, B] * 100) == [0] * 100 + [1] * 100
    assert await ask(triton_calls.awaited, [A, B] * 50) == [1, 0] * 50


async def test_triton_sends_pairs_over_grpc(ask: Ask) -> None:
    found = await ask(triton_calls.infer, [A, B, B, A], shape=[2, 2])
    assert found["output-0"] == [1, 0]

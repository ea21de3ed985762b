"""KServe's own clients and Triton's over HTTP, as they are installed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import grpc
import httpx
import numpy as np
import pytest
import tritonclient.http as triton
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferOutput, InferRequest, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from tritonclient.utils import InferenceServerException

from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import IMAGES, TOKENS

T = TypeVar("T")
A, B = "1 2 -1", "5"


def asked(texts: list[str], *, raw: bool = False, **more: Any) -> InferRequest:
    """:param raw: as bytes"""
    tensor = InferInput("input-0", [len(texts)], "BYTES", data=None if raw else texts)
    if raw:
        tensor.set_data_from_numpy(np.array([text.encode() for text in texts], np.object_), binary_data=True)
    return InferRequest("model", [tensor], **more)


def output(found: Any, name: str) -> Any:
    (one,) = [one for one in found.outputs if one.name == name]
    assert isinstance(one, InferOutput)
    return one.as_numpy().tolist()


# -- KServe over REST --------------------------------------------------------------------------------------------------


@pytest.fixture
async def rest() -> AsyncIterator[InferenceRESTClient]:
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    yield client
    await client.close()


async def test_kserve_finds_the_server_live_and_the_model_ready(rest: InferenceRESTClient, client: Client) -> None:
    assert await rest.is_server_live(client.url)
    assert await rest.is_server_ready(client.url)
    assert await rest.is_model_ready(client.url, "model")
    assert not await rest.is_model_ready(client.url, "other")


@pytest.mark.parametrize("raw", [False, True])
async def test_kserve_gets_ids_over_rest(rest: InferenceRESTClient, client: Client, raw: bool) -> None:
    found = await rest.infer(client.url, asked([A, B], raw=raw, request_id="7"), "model")
    assert found.id == "7"
    assert output(found, "output-0") == [1, 0]


async def test_kserve_gets_bytes_over_rest_where_it_asks_for_them(rest: InferenceRESTClient, client: Client) -> None:
    headers: dict[str, str] = {}
    request = asked([A, B], raw=True, parameters={"binary_data_output": True, "id2label": True, "top_k": 2})
    found = await rest.infer(client.url, request, "model", response_headers=headers)
    assert "inference-header-content-length" in headers
    assert output(found, "labels") == [["POSITIVE", "NEGATIVE"], ["NEGATIVE", "POSITIVE"]]
    assert output(found, "scores")[0] == pytest.approx([0.7054, 0.2595], abs=1e-4)


async def test_kserve_gets_the_outputs_that_it_names(rest: InferenceRESTClient, client: Client) -> None:
    found = await rest.infer(client.url, asked([A], request_outputs=[RequestedOutput("labels")]), "model")
    assert [one.name for one in found.outputs] == ["labels"]


async def test_kserve_reads_our_errors(rest: InferenceRESTClient, client: Client) -> None:
    with pytest.raises(httpx.HTTPStatusError, match=r"Unexpected inference output 'zzz' for model 'model'.*400"):
        await rest.infer(client.url, asked([A], request_outputs=[RequestedOutput("zzz")]), "model")
    with pytest.raises(httpx.HTTPStatusError, match=r"Model with name other does not exist\..*404"):
        await rest.infer(client.url, asked([A]), "other")


# -- KServe over gRPC --------------------------------------------------------------------------------------------------


@pytest.fixture
async def stub(client: Client) -> AsyncIterator[InferenceGRPCClient]:
    async with InferenceGRPCClient(f"127.0.0.1:{client.server.grpc_port}", retries=0) as found:
        yield found


async def test_kserve_finds_all_ready_over_grpc(stub: InferenceGRPCClient) -> None:
    assert await stub.is_server_live()
    assert await stub.is_server_ready()
    assert await stub.is_model_ready("model")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.is_model_ready("other")
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("raw", [False, True])
async def test_kserve_classifies_text_over_grpc(stub: InferenceGRPCClient, raw: bool) -> None:
    request = asked([A, B], raw=raw, request_id="7", parameters={"id2label": True, "top_k": 2, "threshold": "0.2"})
    found = await stub.infer(request)
    assert found.id == "7"
    assert output(found, "output-0") == [1, 0]
    assert output(found, "labels") == [[b"POSITIVE", b"NEGATIVE"], [b"NEGATIVE", b""]]
    assert output(found, "scores")[1] == pytest.approx([0.9867, 0], abs=1e-4)
    assert output(found, "counts") == [2, 1]


async def test_kserve_classifies_tokens_and_images_over_grpc(start: Start) -> None:
    for facts, shape in ((TOKENS, [1, 1, 3]), (IMAGES, [1])):
        client = await start(facts)
        async with InferenceGRPCClient(f"127.0.0.1:{client.server.grpc_port}", retries=0) as stub:
            found = await stub.infer(asked(["1"], raw=True))
            assert found.outputs[0].shape == shape


# -- Triton over HTTP --------------------------------------------------------------------------------------------------

Ask = Callable[[Callable[[triton.InferenceServerClient], T]], Any]


@contextmanager
def _connected(url: str) -> Iterator[triton.InferenceServerClient]:
    client = triton.InferenceServerClient(url)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture
def ask(client: Client) -> Ask[Any]:
    """Calls that block, in a thread of their own."""

    async def run(call: Callable[[triton.InferenceServerClient], T]) -> T:
        def work() -> T:
            with _connected(f"127.0.0.1:{client.server.port}") as found:
                return call(found)

        return await asyncio.to_thread(work)

    return run


def texts(*data: str, binary: bool = True) -> list[triton.InferInput]:
    tensor = triton.InferInput("input-0", [len(data)], "BYTES")
    tensor.set_data_from_numpy(np.array(data, np.object_), binary_data=binary)
    return [tensor]


async def test_triton_finds_server_and_model_with_their_metadata(ask: Ask[Any]) -> None:
    assert await ask(lambda it: it.is_server_live() and it.is_server_ready())
    assert await ask(lambda it: it.is_model_ready("model") and it.is_model_ready("model", "1"))
    assert not await ask(lambda it: it.is_model_ready("model", "2"))
    assert "classification" in (await ask(lambda it: it.get_server_metadata()))["extensions"]
    assert (await ask(lambda it: it.get_model_metadata("model")))["outputs"][0]["name"] == "output-0"
    await ask(lambda it: it.load_model("model"))
    with pytest.raises(InferenceServerException, match="stays"):
        await ask(lambda it: it.unload_model("model"))


@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [False, True])
async def test_triton_sends_text_as_json_or_bytes_packed_or_not(
    ask: Ask[Any], binary: bool, packed: str | None
) -> None:
    many = [A, B] * 1000
    found = await ask(
        lambda it: it.infer(
            "model",
            texts(*many, binary=binary),
            request_id="7",
            parameters={"id2label": True, "threshold": 0.5},
            request_compression_algorithm=packed,
            response_compression_algorithm=packed,
        )
    )
    assert found.get_response()["id"] == "7"
    assert found.as_numpy("output-0").tolist() == [1, 0] * 1000
    assert found.as_numpy("labels").ravel().tolist() == [b"POSITIVE", b"NEGATIVE"] * 1000
    assert found.as_numpy("scores").dtype == np.float32


async def test_triton_gets_json_where_it_wants_json(ask: Ask[Any]) -> None:
    wanted = [triton.InferRequestedOutput("labels", binary_data=False), triton.InferRequestedOutput("scores")]
    found = await ask(lambda it: it.infer("model", texts(A), outputs=wanted))
    assert found.get_output("labels")["data"] == ["POSITIVE"]
    assert "data" not in found.get_output("scores")
    assert found.as_numpy("scores").tolist() == pytest.approx([0.7054], abs=1e-4)


async def test_triton_gets_class_count(ask: Ask[Any]) -> None:
    wanted = [triton.InferRequestedOutput("output-0", class_count=2)]
    found = await ask(lambda it: it.infer("model", texts(A, B), outputs=wanted))
    rows = found.as_numpy("output-0")
    assert rows.shape == (2, 2)
    assert [text.split(b":")[2] for text in rows[0]] == [b"POSITIVE", b"NEGATIVE"]


async def test_triton_reads_our_errors(ask: Ask[Any]) -> None:
    for call, sentence in (
        (lambda it: it.infer("other", texts(A)), "Model with name other does not exist."),
        (lambda it: it.infer("model", texts(A), priority=1), "unknown option 'priority'"),
        (lambda it: it.infer("model", texts(A), parameters={"top_k": 0}), "parameters.top_k: 0 is not 1 or more"),
    ):
        with pytest.raises(InferenceServerException, match=sentence):
            await ask(call)

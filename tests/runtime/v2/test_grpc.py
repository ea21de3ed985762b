"""gRPC as it is sent: what is wrong, who goes, and the end."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from classifier_runtime.protocols import inference_pb2 as pb
from classifier_runtime.protocols.grpc import SERVICE
from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import SEQUENCE, TextBackend
from tests.runtime.v2.conftest import V2

HELLO = b"\x05\x00\x00\x00hello"


def request(**more: Any) -> pb.ModelInferRequest:
    tensors = [pb.ModelInferRequest.InferInputTensor(name="a", datatype="BYTES", shape=[1])]
    tensors[0].contents.bytes_contents.append(b"1 2 -1")
    return pb.ModelInferRequest(**{"model_name": "model", "inputs": tensors, **more})


def infer(channel: grpc.aio.Channel, message: Any, method: str = "ModelInfer", **given: Any) -> Any:
    call: Any = channel.unary_unary(
        f"/{SERVICE}/{method}",
        request_serializer=lambda one: one if isinstance(one, bytes) else one.SerializeToString(),
        response_deserializer=pb.ModelInferResponse.FromString,
    )
    return call(message, **given)


async def refused(channel: grpc.aio.Channel, message: Any, method: str = "ModelInfer", **given: Any) -> tuple[Any, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await infer(channel, message, method, **given)
    return error.value.code(), str(error.value.details())


async def in_flight(client: Client, count: int) -> None:
    """Wait until the server has so many requests."""
    serving = client.server.serving
    async with asyncio.timeout(20):
        while serving.in_flight != count:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)


def odd(**more: Any) -> pb.ModelInferRequest:
    return request(inputs=[pb.ModelInferRequest.InferInputTensor(**{"name": "a", "datatype": "BYTES", **more})])


def raw(data: bytes) -> pb.ModelInferRequest:
    return request(
        inputs=[pb.ModelInferRequest.InferInputTensor(name="a", datatype="BYTES", shape=[1])], raw_input_contents=[data]
    )


BYTES = pb.InferTensorContents(bytes_contents=[b"a"])
WANTED = pb.ModelInferRequest.InferRequestedOutputTensor(name="labels")


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (request(inputs=[]), "none that is a text"),
        (odd(datatype="FP32", shape=[1], contents=pb.InferTensorContents(fp32_contents=[1])), "datatype: FP32"),
        (odd(datatype="", shape=[1]), "is no datatype"),
        (odd(shape=[2], contents=BYTES), "shape [2] has 2 elements, and 1 came"),
        (odd(shape=[-1], contents=BYTES), "whole numbers"),
        (odd(shape=[1], contents=pb.InferTensorContents(bytes_contents=[b"\xff"])), "element 0 is not UTF-8"),
        (request(raw_input_contents=[HELLO]), "contents must not be specified beside raw_input_contents"),
        (request(raw_input_contents=[HELLO, HELLO]), "the number of inputs (1) does not match"),
        (request(parameters={"top_k": pb.InferParameter()}), "parameters.top_k: has no value"),
        (request(parameters={"top_k": pb.InferParameter(double_param=0.5)}), "parameters.top_k: 0.5"),
        (request(parameters={"top_k": pb.InferParameter(int64_param=-(2**63))}), "is not 1 or more"),
        (request(parameters={"top_k": pb.InferParameter(double_param=float("inf"))}), "top_k: inf is not a whole"),
        (request(parameters={"threshold": pb.InferParameter(double_param=float("nan"))}), "threshold: nan is not"),
        (request(parameters={"timeout": pb.InferParameter(int64_param=-1)}), "timeout: -1 is not a number of micro"),
        (request(parameters={"timeout": pb.InferParameter(uint64_param=2**64 - 1, string_param="1")}), "timeout: '1'"),
        (odd(shape=[2**62] * 30, contents=BYTES), "elements, and 1 came"),
        (odd(shape=[2**62] * 100_000, contents=BYTES), "100000 dimensions"),
        (odd(shape=[0], contents=BYTES), "shape [0] has 0 elements, and 1 came"),
        (odd(shape=[1], contents=pb.InferTensorContents(int_contents=[1])), "shape [1] has 1 elements, and 0 came"),
        (
            odd(shape=[1], parameters={"content_type": pb.InferParameter(string_param="jpeg")}, contents=BYTES),
            "is none",
        ),
        (odd(shape=[1], parameters={"top_k": pb.InferParameter(int64_param=1)}, contents=BYTES), "unknown 'top_k'"),
        (odd(shape=[1_000_000], contents=pb.InferTensorContents(bytes_contents=[b""] * 1_000_000)), "more than 4096"),
        (request(inputs=[], raw_input_contents=[HELLO]), "the number of inputs (0) does not match"),
        (raw(HELLO[:-1]), "element 0 has 5 bytes, and the binary data end after 4"),
        (raw(HELLO * 2), "shape [1] has 1 elements, and 2 came"),
        (raw(b"\xff\xff\xff\xff"), "element 0 has 4294967295 bytes"),
        (raw(b"\0\0\0\0" * 1_000_000), "more than 4096 elements"),
        (request(inputs=list(request().inputs) * 2), "there are two inputs of the name 'a'"),
        (request(inputs=list(request().inputs) * 100_000), "100000 tensors"),
        (request(outputs=[WANTED] * 2), "outputs[1].name: 'labels' is asked for twice"),
        (request(outputs=[WANTED] * 100_000), "100000 tensors"),
        (
            request(outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name="zzz")]),
            "Unexpected inference output 'zzz' for model 'model'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_wrong_over_grpc_is_an_invalid_argument(v2: V2, message: Any, sentence: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{v2.client.server.grpc_port}") as channel:
        code, details = await refused(channel, message)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert sentence in details
        assert (await infer(channel, request())).outputs[0].contents.int64_contents == [1]


async def test_other_errors_over_grpc_have_codes_of_their_own(start: Start) -> None:
    client = await start(max_request_bytes=100_000, max_instances=1)
    two = odd(shape=[2], contents=pb.InferTensorContents(bytes_contents=[b"a", b"b"]))
    nan = odd(shape=[1], contents=pb.InferTensorContents(bytes_contents=[b"nan"]))
    large = request(id="a" * 200_000)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.server.grpc_port}") as channel:
        for message, code in (
            (request(model_name="other"), grpc.StatusCode.NOT_FOUND),
            (two, grpc.StatusCode.INVALID_ARGUMENT),
            (nan, grpc.StatusCode.INTERNAL),
            (large, grpc.StatusCode.RESOURCE_EXHAUSTED),
            (b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
        ):
            assert (await refused(channel, message))[0] is code
        bomb = await refused(channel, large, compression=grpc.Compression.Gzip)
        assert bomb[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert (await refused(channel, request(), "ModelStreamInfer"))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_a_full_queue_over_grpc_says_when_to_come_again(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend, queue_tokens=1)
    slow = odd(shape=[1], contents=pb.InferTensorContents(bytes_contents=[b"slow"]))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.server.grpc_port}") as channel:
        first = asyncio.ensure_future(infer(channel, slow))
        await asyncio.to_thread(backend.entered.wait, 20)
        waiting = [asyncio.ensure_future(infer(channel, request())) for _ in range(9)]
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await asyncio.gather(*waiting)
        backend.go.set()
        await first
        await asyncio.gather(*waiting, return_exceptions=True)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert int(dict(error.value.trailing_metadata() or ())["retry-after"]) >= 1


async def test_who_cancels_or_runs_out_of_time_over_grpc_is_not_computed(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend)
    slow = odd(shape=[1], contents=pb.InferTensorContents(bytes_contents=[b"slow"]))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.server.grpc_port}") as channel:
        first = asyncio.ensure_future(infer(channel, slow))
        await asyncio.to_thread(backend.entered.wait, 20)
        late = await refused(channel, request(), timeout=0.2)
        await in_flight(client, 1)
        gone = asyncio.ensure_future(infer(channel, request()))
        await in_flight(client, 2)
        gone.cancel()
        await in_flight(client, 1)
        backend.go.set()
        await first
        assert (await infer(channel, request())).outputs
    assert late[0] is grpc.StatusCode.DEADLINE_EXCEEDED
    assert len(backend.seen) == 2


async def test_what_was_taken_over_grpc_is_answered_before_the_end(start: Start) -> None:
    backend = TextBackend()
    client = await start(SEQUENCE, backend)
    server = client.server
    slow = odd(shape=[1], contents=pb.InferTensorContents(bytes_contents=[b"slow"]))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        first = asyncio.ensure_future(infer(channel, slow))
        await asyncio.to_thread(backend.entered.wait, 20)
        leaving = asyncio.ensure_future(server.drain())
        await asyncio.sleep(0)
        assert (await refused(channel, request()))[0] is grpc.StatusCode.UNAVAILABLE
        backend.go.set()
        await leaving
        await server.close()
        assert (await first).outputs


async def test_before_the_model_is_there_it_is_unavailable_over_grpc(start: Start) -> None:
    client = await start()
    client.server.serving._facts = client.server.serving._service = None
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.server.grpc_port}") as channel:
        code, details = await refused(channel, request())
    assert (code, details) == (grpc.StatusCode.UNAVAILABLE, "Model with name model is not ready.")

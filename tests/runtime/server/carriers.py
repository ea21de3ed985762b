"""One request, carried by each protocol: what is refused must be refused by all, and each must say so in its way."""

from __future__ import annotations

import base64
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final

import grpc
import orjson

from classifier_runtime.protocols import inference_pb2 as pb
from classifier_runtime.protocols import v2_binary
from classifier_runtime.protocols.grpc import SERVICE
from tests.runtime.server.conftest import Client

Given = Sequence[str | bytes]
Carrier = Callable[[Client, Given, Mapping[str, Any], str], Coroutine[Any, Any, tuple[int, Any]]]
"""Asks a server on texts or images, with options, of a model: the status as HTTP has it, and the answer or sentence."""


def _written(given: Given) -> list[str]:
    return [one if isinstance(one, str) else base64.b64encode(one).decode() for one in given]


async def _post(client: Client, path: str, body: bytes, **headers: str) -> tuple[int, Any]:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    async with client.session.post(client.url + path, data=body, headers=named) as answer:
        said = orjson.loads((await answer.read())[: int(answer.headers.get("Inference-Header-Content-Length", 10**9))])
        if answer.status != 200:
            assert list(said) == ["error"]
            return answer.status, said["error"]
        return answer.status, said


async def v1(client: Client, given: Given, options: Mapping[str, Any], model: str) -> tuple[int, Any]:
    body = {"instances": _written(given), "parameters": options}
    return await _post(client, f"/v1/models/{model}:predict", orjson.dumps(body))


async def instances(client: Client, given: Given, options: Mapping[str, Any], model: str) -> tuple[int, Any]:
    """V1, with options in each instance, as they survive KServe's batcher."""
    key = "b64" if any(isinstance(one, bytes) for one in given) else "text"
    body = {"instances": [{key: one, "parameters": options} for one in _written(given)]}
    return await _post(client, f"/v1/models/{model}:predict", orjson.dumps(body))


async def cloud_event(client: Client, given: Given, options: Mapping[str, Any], model: str) -> tuple[int, Any]:
    data = {"instances": _written(given), "parameters": options}
    event = {"specversion": "1.0", "id": "7", "source": "here", "type": "question", "data": data}
    return await _post(
        client, f"/v1/models/{model}:predict", orjson.dumps(event), content_type="application/cloudevents+json"
    )


async def v2(client: Client, given: Given, options: Mapping[str, Any], model: str) -> tuple[int, Any]:
    tensor: dict[str, Any] = {"name": "input-0", "shape": [len(given)], "datatype": "BYTES", "data": _written(given)}
    if any(isinstance(one, bytes) for one in given):
        tensor["parameters"] = {"content_type": "base64"}
    body = {"inputs": [tensor], "parameters": options}
    return await _post(client, f"/v2/models/{model}/infer", orjson.dumps(body))


async def binary(client: Client, given: Given, options: Mapping[str, Any], model: str) -> tuple[int, Any]:
    blob = v2_binary.encode(_raw(given))
    tensor = {"name": "input-0", "shape": [len(given)], "datatype": "BYTES"}
    head = orjson.dumps(
        {
            "inputs": [{**tensor, "parameters": {"binary_data_size": len(blob)}}],
            "parameters": {"binary_data_output": True, **options},
        }
    )
    return await _post(
        client, f"/v2/models/{model}/infer", head + blob, **{"Inference-Header-Content-Length": str(len(head))}
    )


async def grpc_contents(client: Client, given: Given, options: Mapping[str, Any], model: str) -> tuple[int, Any]:
    tensor = pb.ModelInferRequest.InferInputTensor(name="input-0", datatype="BYTES", shape=[len(given)])
    tensor.contents.bytes_contents.extend(_raw(given))
    return await _infer(client, pb.ModelInferRequest(model_name=model, inputs=[tensor], parameters=_choices(options)))


async def grpc_raw(client: Client, given: Given, options: Mapping[str, Any], model: str) -> tuple[int, Any]:
    tensor = pb.ModelInferRequest.InferInputTensor(name="input-0", datatype="BYTES", shape=[len(given)])
    raw = [v2_binary.encode(_raw(given))]
    request = pb.ModelInferRequest(
        model_name=model, inputs=[tensor], parameters=_choices(options), raw_input_contents=raw
    )
    return await _infer(client, request)


async def hugging_face(client: Client, given: Given, options: Mapping[str, Any], model: str) -> tuple[int, Any]:
    return await _post(client, f"/models/{model}", orjson.dumps({"inputs": _written(given), "parameters": options}))


def _raw(given: Given) -> list[bytes]:
    return [one.encode() if isinstance(one, str) else one for one in given]


def _choices(options: Mapping[str, Any]) -> dict[str, pb.InferParameter]:
    kinds = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    return {key: pb.InferParameter(**{kinds[type(value)]: value}) for key, value in options.items()}


_STATUS: Final = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}


async def _infer(client: Client, message: pb.ModelInferRequest) -> tuple[int, Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{client.server.grpc_port}") as channel:
        call: Any = channel.unary_unary(
            f"/{SERVICE}/ModelInfer",
            request_serializer=lambda one: one.SerializeToString(),
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        try:
            return 200, await call(message)
        except grpc.aio.AioRpcError as error:
            return _STATUS[error.code()], str(error.details())


ALL: Final[Mapping[str, Carrier]] = {
    "V1": v1,
    "V1, options of instances": instances,
    "V1, a CloudEvent": cloud_event,
    "V2": v2,
    "V2, binary": binary,
    "gRPC": grpc_contents,
    "gRPC, raw": grpc_raw,
    "Hugging Face": hugging_face,
}

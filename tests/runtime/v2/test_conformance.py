"""Answers are what the Open Inference Protocol's OpenAPI document says.

`SCHEMAS` says anew, as JSON Schema, what `components.schemas` of specification/protocol/open_inference_rest.yaml in
kserve/open-inference-protocol says of answers (as of d49cc23, May 2025), and stricter: nothing but what is named there.
`EXCEPTIONS` is where we differ from that document or the text beside it; docs have the same list.
"""

from __future__ import annotations

from typing import Any, Final

import jsonschema
import pytest

from classifier_runtime.core.serving import Facts
from classifier_runtime.protocols import inference_pb2
from tests.runtime.server.conftest import Start
from tests.runtime.server.doubles import IMAGES, MULTI, ONE, PLANE, REGRESSION, SEQUENCE, TOKENS
from tests.runtime.v2.conftest import V2, binary, tensor

EXCEPTIONS: Final = {
    "binary outputs": "have no `data`, as the binary tensor extension has it",
    "inputs without a shape": "`shape: []` is taken as the length of `data`, which KServe's own examples send",
    "datatypes": "inputs of other datatypes than BYTES are refused: a classifier has none",
    "health": "bodies are not empty, since KServe's client reads them; not ready is 503, as with KServe, not a 4xx",
    "unload": "501: one model a process",
}


def an_object(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


def a_list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


TEXT: Final = {"type": "string"}
WHOLE: Final = {"type": "integer"}
# The document says an object; the text, of scalars.
PARAMETERS: Final = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
DATA: Final = {
    "type": "array",
    "items": {"anyOf": [{"$ref": "#/$defs/data"}, {"type": "number"}, {"type": "string"}, {"type": "boolean"}]},
}
TENSOR: Final = {"name": TEXT, "datatype": TEXT, "shape": a_list(WHOLE)}
SCHEMAS: Final = {
    "metadata_server_response": an_object({"name": TEXT, "version": TEXT, "extensions": a_list(TEXT)}),
    "metadata_model_response": an_object(
        {"name": TEXT, "platform": TEXT},
        versions=a_list(TEXT),
        inputs=a_list(an_object(TENSOR)),
        outputs=a_list(an_object(TENSOR)),
        properties={"type": "object", "additionalProperties": TEXT},
    ),
    "inference_response": an_object(
        {
            "model_name": TEXT,
            "outputs": a_list(an_object({**TENSOR, "data": {"$ref": "#/$defs/data"}}, parameters=PARAMETERS)),
        },
        model_version=TEXT,
        id=TEXT,
        parameters=PARAMETERS,
    ),
    "inference_error_response": an_object({"error": TEXT}),
}


def conforms(answer: Any, schema: str) -> None:
    jsonschema.Draft202012Validator({**SCHEMAS[schema], "$defs": {"data": DATA}}).validate(answer)


ALL: Final = [SEQUENCE, MULTI, ONE, REGRESSION, PLANE, TOKENS, IMAGES]
OPTIONS: Final[list[dict[str, Any]]] = [
    {},
    {"return_probabilities": True},
    {"return_raw_logits": True},
    {"id2label": True},
    {"id2label": True, "top_k": None, "threshold": 0.2, "return_probabilities": True, "return_raw_logits": True},
]


@pytest.mark.parametrize("facts", ALL)
async def test_every_answer_is_as_the_protocol_says(start: Start, facts: Facts) -> None:
    v2 = V2(await start(facts))
    data = tensor("MQ==", "Mg==", parameters={"content_type": "base64"}) if facts.images else tensor("1 2", "1", "0")
    for path in ("", "/versions/1"):
        for options in OPTIONS:
            said = {name: value for name, value in options.items() if name != "threshold" or not facts.regression}
            body = {"id": "7", "inputs": [data], "parameters": said}
            answer = await v2.answer(body, f"/v2/models/model{path}/infer")
            conforms(answer, "inference_response")
            assert answer["id"] == "7"
            for one in answer["outputs"]:
                size = 1
                for places in one["shape"]:
                    size *= places
                assert size == len(one["data"])
        metadata = await v2.client.ask(f"/v2/models/model{path}")
        conforms(metadata[1], "metadata_model_response")
    for path in ("/v2", "/v2/"):
        conforms((await v2.client.ask(path))[1], "metadata_server_response")


# Its `paths`. Each answers with one of `SCHEMAS`, or has a body that it does not describe.
PATHS: Final = {
    "/v2/health/live": None,
    "/v2/health/ready": None,
    "/v2/models/model/versions/1/ready": None,
    "/v2/": "metadata_server_response",
    "/v2/models/model/versions/1": "metadata_model_response",
    "/v2/models/model/versions/1/infer": "inference_response",
}


@pytest.mark.parametrize(("path", "schema"), PATHS.items())
async def test_every_path_of_the_document_is_there(v2: V2, path: str, schema: str | None) -> None:
    status, answer = await v2.client.ask(path, {"inputs": [tensor("a")]} if path.endswith("/infer") else None)
    assert status == 200
    if schema is not None:
        conforms(answer, schema)


async def test_the_document_s_own_example_is_refused_for_its_datatype_alone(v2: V2) -> None:
    numbers = {"name": "input0", "shape": [2, 2], "datatype": "UINT32", "data": [1, 2, 3, 4]}
    example = {"id": "42", "inputs": [numbers], "outputs": [{"name": "output0"}]}
    assert "inputs[0].datatype: UINT32" in await v2.refused(example)


async def test_every_error_is_as_the_protocol_says(v2: V2) -> None:
    body = {"inputs": [tensor("a")]}
    for path, sent, expected in (
        ("/v2/models/model/infer", {}, 400),
        ("/v2/models/other/infer", body, 404),
        ("/v2/models/other", None, 404),
        ("/v2/models/other/ready", None, 404),
        ("/v2/models/model/versions/2", None, 404),
        ("/v2/models/model/infer", None, 405),
        ("/v2/nothing", None, 404),
        ("/v2/repository/models/model/unload", {}, 501),
    ):
        status, answer = await v2.client.ask(path, sent)
        assert status == expected, path
        conforms(answer, "inference_error_response")


async def test_the_rest_is_as_kserve_has_it(v2: V2) -> None:
    ask = v2.client.ask
    assert await ask("/v2/models") == (200, {"models": ["model"]})
    assert await ask("/v2/models/model/ready") == (200, {"name": "model", "ready": True})
    assert await ask("/v2/repository/models/model/load", {}) == (200, {"name": "model", "load": True})
    assert (await ask("/v2/health/live"))[1] == {"live": True}
    assert (await ask("/v2/health/ready"))[1]["ready"] is True


async def test_with_bytes_only_data_are_missing(v2: V2) -> None:
    body, headers = binary({"inputs": [tensor("1 2 -1")], "parameters": {"binary_data_output": True}})
    url = f"{v2.client.url}/v2/models/model/infer"
    async with v2.client.session.post(url, data=body, headers=headers) as answer:
        assert answer.content_type == "application/octet-stream"
        assert int(answer.headers["Inference-Header-Content-Length"]) == len(await answer.read()) - 8
    with pytest.raises(jsonschema.ValidationError, match="'data' is a required property"):
        conforms(
            {"model_name": "m", "outputs": [{"name": "a", "shape": [1], "datatype": "INT64"}]}, "inference_response"
        )


def test_messages_are_wire_compatible_with_kserves_stubs() -> None:
    """Field by field: what KServe's client writes we read, and the other way round."""
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as kserve

    def same(ours: Any, theirs: Any) -> None:
        numbered = {field.number: field for field in ours.fields}
        for field in theirs.fields:
            mine = numbered[field.number]
            assert (mine.type, mine.is_repeated) == (field.type, field.is_repeated), field.full_name
            if field.message_type is not None:
                same(mine.message_type, field.message_type)

    for name in ("ModelInferRequest", "ModelInferResponse", "ModelMetadataResponse", "ServerMetadataResponse"):
        same(inference_pb2.DESCRIPTOR.message_types_by_name[name], kserve.DESCRIPTOR.message_types_by_name[name])
    for name in ("ServerLive", "ServerReady", "ModelReady", "RepositoryModelLoad", "RepositoryModelUnload"):
        for kind in ("Request", "Response"):
            message = f"{name}{kind}"
            same(
                inference_pb2.DESCRIPTOR.message_types_by_name[message],
                kserve.DESCRIPTOR.message_types_by_name[message],
            )

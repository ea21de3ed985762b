"""In basic mode we answer what KServe's own server answers, text for text: see README.md of this folder."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import InferTensorContents, ModelInferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.runtime.kserve import models
from tests.runtime.kserve.asking import Ours, agree, recorded, same
from tests.runtime.kserve.cases import CASES, GOLDEN, NAME, TEXTS, golden, v1
from tests.runtime.kserve.departures import BY_PLACE

CONTENTS = {"BYTES": "bytes_contents", "INT64": "int64_contents", "FP32": "fp32_contents"}


def equal_cases(server: str) -> list[str]:
    return [case for case in CASES[server][1] if f"{server}/{case}" not in BY_PLACE]


EQUAL = [server for server in CASES if equal_cases(server)]


async def compare(ours: Ours, server: str) -> None:
    """All that this server was asked, at once, so that what is wrong is seen together."""
    wrong = []
    for case in equal_cases(server):
        expected = recorded(server, case)
        found = await ours.answer(CASES[server][1][case])
        if not agree(found, expected):
            wrong.append((case, found, expected))
    assert not wrong


def test_the_models_are_those_that_kserve_was_asked_of() -> None:
    """Where this fails, a library makes them otherwise: record anew, or pin it."""
    found = {name: models.print_of(name) for name in models.MODELS}
    assert found == json.loads((GOLDEN / "models.json").read_text(encoding="utf-8"))


def test_what_is_asked_is_what_was_recorded() -> None:
    asked = {golden(server, case) for server, (_, requests) in CASES.items() for case in requests}
    assert {*asked, golden("bert", "grpc-one"), GOLDEN / "models.json"} == set(GOLDEN.rglob("*.json"))
    for server, (_, requests) in CASES.items():
        for case, request in requests.items():
            said = json.loads(golden(server, case).read_text(encoding="utf-8"))["request"]
            kept = (said["method"], said["path"], said.get("body"), said["headers"], said.get("behind", ""))
            assert kept == (request.method, request.path, request.body, request.headers, request.behind)


@pytest.mark.parametrize("server", EQUAL)
async def test_answers_are_those_that_kserve_gave(server: str) -> None:
    async with Ours(server, models.folder(CASES[server][0].model)) as ours:
        await compare(ours, server)


@pytest.mark.parametrize("server", ["bert-token", "roberta-token", "distilbert-token-probabilities"])
async def test_padded_by_torch_they_are_the_same(server: str) -> None:
    async with Ours(server, models.folder(CASES[server][0].model), "--backend", "torch-padded") as ours:
        await compare(ours, server)


@pytest.mark.parametrize("server", ["roberta", "bert-token", "roberta-token-logits-offsets"])
async def test_in_batches_with_others_they_are_the_same(server: str) -> None:
    """Some of which are padded for their request, and some, with labels, are not."""
    requests = CASES[server][1]
    cases = [*equal_cases(server)] * 4
    labelled = v1(*TEXTS, parameters={"id2label": True})
    async with Ours(server, models.folder(CASES[server][0].model)) as ours:
        alone = await ours.answer(labelled)
        asked = [one for case in cases for one in (requests[case], labelled)]
        found = await asyncio.gather(*(ours.answer(request) for request in asked))
    for case, answer in zip(cases, found[::2], strict=True):
        assert agree(answer, recorded(server, case)), case
    assert all(same(answer.body, alone.body) for answer in found[1::2])


@pytest.mark.parametrize("server", ["bert-token", "xlm-roberta-token-probabilities-offsets"])
async def test_from_an_export_they_are_the_same(server: str, tmp_path: Path) -> None:
    """OpenVINO pads to whole steps of lengths: what is beyond the request's longest text is cut off again."""
    from classifier_runtime.export import export

    export(models.folder(CASES[server][0].model), tmp_path / "exported", timed=False)
    async with Ours(server, tmp_path / "exported") as ours:
        await compare(ours, server)


@pytest.mark.parametrize("server", [server for server in EQUAL if "v2-several" in equal_cases(server)])
async def test_over_grpc_answers_are_those_that_kserve_gave_over_rest(server: str) -> None:
    """It gives none over gRPC: it cannot read texts there."""
    request = CASES[server][1]["v2-several"].body
    expected = json.loads(recorded(server, "v2-several").body)
    async with Ours(server, models.folder(CASES[server][0].model)) as ours:
        answer = await over_grpc(ours, request["inputs"][0]["data"], request["id"])
    outputs = [
        {"name": one.name, "shape": list(one.shape), "datatype": one.datatype, "data": contents(one)}
        for one in answer.outputs
    ]
    for one in expected["outputs"]:
        del one["parameters"]
    assert (answer.model_name, answer.id) == (NAME, expected["id"])
    assert same(json.dumps(outputs), json.dumps([{key: one[key] for key in outputs[0]} for one in expected["outputs"]]))


async def over_grpc(ours: Ours, texts: list[str], identity: str = "") -> Any:
    data = InferTensorContents(bytes_contents=[text.encode() for text in texts])
    tensor = ModelInferRequest.InferInputTensor(name="input-0", shape=[len(texts)], datatype="BYTES", contents=data)
    asked = ModelInferRequest(model_name=NAME, id=identity, inputs=[tensor])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ours.server.grpc_port}") as channel:
        return await GRPCInferenceServiceStub(channel).ModelInfer(asked)


def contents(output: Any) -> list[Any]:
    values = getattr(output.contents, CONTENTS[output.datatype])
    return [value.decode() if isinstance(value, bytes) else value for value in values]

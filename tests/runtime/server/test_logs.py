"""What the process says of itself: an object a line, and nothing that somebody wanted classified."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import grpc
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from classifier_runtime import logs
from classifier_runtime.protocols import inference_pb2 as pb
from classifier_runtime.protocols.grpc import INFER
from tests.runtime import exported
from tests.runtime.server import collector as collectors
from tests.runtime.server.conftest import Start
from tests.runtime.server.doubles import SEQUENCE, TextTask

ROOT: Final = Path(__file__).parents[3]
SECRET: Final = "xyzzysecret"
PNG: Final = "image/png"


class Process:
    """A server with an export, which starts fastest, at the lowest level and with a line for each request."""

    def __init__(self, process: asyncio.subprocess.Process, session: aiohttp.ClientSession) -> None:
        self._process, self._session = process, session
        self.lines: list[dict[str, Any]] = []
        self.url = ""

    async def started(self) -> None:
        while not self.lines or self.lines[-1]["message"] != "ready":
            await self._line()
        said = next(line for line in self.lines if line["message"] == "listening")
        self.url = f"http://127.0.0.1:{said['http_port']}"
        self.grpc = f"127.0.0.1:{said['grpc_port']}"

    async def _line(self) -> bool:
        assert self._process.stderr is not None
        async with asyncio.timeout(120):
            line = await self._process.stderr.readline()
        if line:
            self.lines.append(json.loads(line))
        return bool(line)

    async def post(self, path: str, body: bytes | dict[str, Any], **headers: str) -> int:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        async with self._session.post(
            self.url + path, data=data, headers={name.replace("_", "-"): value for name, value in headers.items()}
        ) as answer:
            await answer.read()
            return answer.status

    async def metrics(self) -> str:
        async with self._session.get(self.url + "/metrics") as answer:
            return await answer.text()

    async def end(self) -> None:
        self._process.terminate()
        while await self._line():
            pass
        await self._process.wait()


@asynccontextmanager
async def process(model: str, endpoint: str, *flags: str) -> AsyncIterator[Process]:
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "runtime"),
        "HF_HUB_OFFLINE": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "10",
    }
    argv = (
        f"--model_dir={exported.folder(model)}",
        "--http_port=0",
        "--grpc_port=0",
        "--drain_seconds=0",
        "--device=cpu",
        "--log_level=DEBUG",
        "--enable_latency_logging",
        "--max_request_bytes=100000",
        "--max_text_bytes=2000",
        *flags,
    )
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "classifier_runtime", *argv, env=environ, stderr=asyncio.subprocess.PIPE
    )
    async with aiohttp.ClientSession() as session:
        found = Process(started, session)
        try:
            await found.started()
            yield found
        finally:
            if started.returncode is None:
                started.kill()
                await started.wait()


def v2(*data: Any, datatype: str = "BYTES", **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "input-0", "shape": [len(data)], "datatype": datatype, "data": list(data)}], **more}


async def by_grpc(address: str, *texts: bytes, model: str = "model", **parameters: str) -> grpc.StatusCode:
    tensor = pb.ModelInferRequest.InferInputTensor(name="input-0", datatype="BYTES", shape=[len(texts)])
    tensor.contents.bytes_contents.extend(texts)
    request = pb.ModelInferRequest(model_name=model, inputs=[tensor])
    for name, value in parameters.items():
        request.parameters[name].string_param = value
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(
            f"/{INFER}",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )(request)
        return await call.code()


async def test_no_text_label_or_image_of_a_request_s_is_in_logs_metrics_or_traces() -> None:
    async with collectors.by_http() as collector, process("nli", collector.endpoint) as server:
        predict, infer = "/v1/models/model:predict", "/v2/models/model/infer"
        zero_shot = {"candidate_labels": [SECRET, "b"], "hypothesis_template": f"{SECRET} {{}}."}
        blob = SECRET.encode()
        head = orjson.dumps(
            {
                "inputs": [
                    {
                        "name": "input-0",
                        "shape": [1],
                        "datatype": "BYTES",
                        "parameters": {"binary_data_size": len(blob) + 4},
                    }
                ]
            }
        )
        event = {"ce_id": SECRET, "ce_source": SECRET, "ce_type": "t", "ce_specversion": "1.0"}
        asked = [
            await server.post(predict, {"instances": [SECRET]}),
            await server.post(predict, {"instances": [SECRET], "parameters": zero_shot}),
            await server.post(f"{predict}?candidate_labels={SECRET},b", {"instances": [SECRET]}),
            await server.post(predict, {"instances": [SECRET]}, **event),
            await server.post(infer, v2(SECRET)),
            await server.post(
                infer,
                head + len(blob).to_bytes(4, "little") + blob,
                Inference_Header_Content_Length=str(len(head)),
            ),
            await server.post("/", {"inputs": SECRET}),
            await server.post("/", {"inputs": SECRET, "parameters": zero_shot}),
        ]
        assert asked == [200] * 8
        assert await by_grpc(server.grpc, blob) == grpc.StatusCode.OK
        assert await by_grpc(server.grpc, blob, candidate_labels=f"{SECRET},b") == grpc.StatusCode.OK
        refused = [
            await server.post(predict, f'{{"instances": ["{SECRET}'.encode()),
            await server.post(predict, {"instances": [SECRET], SECRET: 1, "parameters": {SECRET: SECRET}}),
            await server.post(predict, {"instances": [{SECRET: SECRET}]}),
            await server.post(predict, {"instances": SECRET, "parameters": {"top_k": SECRET}}),
            await server.post(predict, {"instances": [SECRET * 1000]}),
            await server.post(predict, {"instances": [SECRET * 20_000]}),
            await server.post(predict, {"instances": [SECRET]}, Content_Encoding=SECRET),
            await server.post(predict, {"instances": [SECRET]}, Content_Type=f"text/plain; charset={SECRET}"),
            await server.post(f"{predict}?{SECRET}={SECRET}", {"instances": [SECRET]}),
            await server.post(f"/v1/models/{SECRET}:predict", {"instances": [SECRET]}),
            await server.post(f"/{SECRET}", {"instances": [SECRET]}),
            await server.post(f"/v2/models/model/versions/{SECRET}/infer", v2(SECRET)),
            await server.post(infer, v2(SECRET, datatype=SECRET)),
            await server.post(infer, v2(SECRET, outputs=[{"name": SECRET}])),
            await server.post(infer, v2(SECRET), Inference_Header_Content_Length=SECRET),
            await server.post("/", {"inputs": {SECRET: SECRET}}),
        ]
        assert all(400 <= status < 500 for status in refused)
        assert await server.post(predict, b'{"instances": ["\xed\xa0\x80' + blob + b'"]}') == 400
        assert await by_grpc(server.grpc, blob, model=SECRET) == grpc.StatusCode.NOT_FOUND
        assert await by_grpc(server.grpc, blob, **{SECRET: SECRET}) == grpc.StatusCode.INVALID_ARGUMENT
        assert await by_grpc(server.grpc, blob + b"\xff") in (
            grpc.StatusCode.OK,
            grpc.StatusCode.INVALID_ARGUMENT,
        )
        metrics = await server.metrics()
        await collector.until("POST /", 3)
        await collector.until(INFER, 5)
        await server.end()

    assert SECRET not in json.dumps(server.lines)
    assert SECRET not in metrics
    assert blob not in collector.raw
    assert {line["protocol"] for line in server.lines if line["message"] == "request"} == {
        "v1",
        "v2",
        "huggingface",
        "grpc",
    }
    assert all(len(line["trace_id"]) == 32 for line in server.lines if line["message"] == "request")


async def test_no_byte_of_an_image_nor_what_is_written_in_it_is_logged() -> None:
    described = Image.new("RGB", (9, 9))
    files = {}
    for kind in ("PNG", "TIFF", "JPEG"):
        file = io.BytesIO()
        exif = described.getexif()
        exif[270] = SECRET
        described.save(file, kind, exif=exif)
        files[kind] = file.getvalue()
        assert SECRET.encode() in files[kind]
    async with collectors.by_http() as collector, process("vit", collector.endpoint) as server:
        for content in files.values():
            body = {"instances": [{"b64": base64.b64encode(content).decode()}]}
            assert await server.post("/v1/models/model:predict", body) == 200
            assert await server.post("/", content, Content_Type=PNG) == 200
            assert await server.post("/", content[:-20], Content_Type=PNG) in (200, 400)
        assert await server.post("/", SECRET.encode(), Content_Type=PNG) == 400
        metrics = await server.metrics()
        await server.end()
    assert SECRET not in json.dumps(server.lines)
    assert SECRET not in metrics
    assert SECRET.encode() not in collector.raw


async def test_an_error_that_nobody_thought_of_is_logged_with_its_place_and_without_its_words(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encode(*_: object) -> None:
        raise RuntimeError(f"what is {SECRET}?") from ValueError(SECRET)

    monkeypatch.setattr(TextTask, "encode", encode)
    client = await start(SEQUENCE)
    assert (await client.refused({"instances": [SECRET]}))[0] == 500
    assert await by_grpc(f"127.0.0.1:{client.server.grpc_port}", SECRET.encode()) == grpc.StatusCode.INTERNAL
    failed = [record for record in caplog.records if record.getMessage() == "a request failed"]
    assert len(failed) == 2
    for record in failed:
        said = json.loads(logs.Formatter().format(record))
        assert SECRET not in json.dumps(said)
        assert "ValueError\n" in said["traceback"]
        assert "in encode" in said["traceback"]
        assert said["traceback"].endswith("RuntimeError")


ANY = st.one_of(st.text(st.characters()), st.integers(), st.floats(allow_nan=False), st.none(), st.binary())


@given(st.text(st.characters()), st.dictionaries(st.from_regex(r"[a-z]{1,9}_", fullmatch=True), ANY))
def test_a_line_is_one_json_object_whatever_is_logged(message: str, more: dict[str, object]) -> None:
    record = logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, "%s", (message,), None, extra=more)
    line = logs.Formatter().format(record)
    assert "\n" not in line
    said = json.loads(line)
    assert said["message"] == message
    assert more.keys() <= said.keys()


def test_warnings_and_what_ends_the_process_are_lines_too() -> None:
    script = """
import logging, threading, warnings
from classifier_runtime import logs
logs.configure("DEBUG")
logging.getLogger("PIL").debug("what libraries read")
logging.getLogger("classifier_runtime").debug("ours")
warnings.warn("old")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise ValueError("the end")
"""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "runtime")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environ, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["DEBUG", "WARNING", "CRITICAL", "CRITICAL"]
    assert lines[0]["message"] == "ours"
    assert "old" in lines[1]["message"]
    assert lines[2]["traceback"].endswith("ZeroDivisionError: division by zero")
    assert lines[3]["traceback"].endswith("ValueError: the end")

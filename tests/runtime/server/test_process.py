"""The process itself: `python -m classifier_runtime`, with a real if tiny model, told to end while it works."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.runtime import tiny

ROOT = Path(__file__).parents[3]


async def _process(*argv: str) -> asyncio.subprocess.Process:
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "runtime"), "HF_HUB_OFFLINE": "1"}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "classifier_runtime", *argv, env=environ, stderr=asyncio.subprocess.PIPE
    )


async def _said(process: asyncio.subprocess.Process, message: str) -> dict[str, object]:
    """The first line of the log with a message."""
    assert process.stderr is not None
    async with asyncio.timeout(120):
        async for line in process.stderr:
            said: dict[str, object] = json.loads(line)
            if said["message"] == message:
                return said
    raise AssertionError(f"it ended without saying {message!r}")


async def test_told_to_end_it_answers_what_it_took_and_ends_well() -> None:
    model = tiny.model("bert")
    process = await _process(
        "--model_dir", str(model), "--http_port=0", "--grpc-port", "0", "--drain_seconds", "0.2", "--device", "cpu"
    )
    try:
        port = (await _said(process, "listening"))["http_port"]
        ready = await _said(process, "ready")
        assert str(ready["backend"]).startswith("torch")
        url = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session:

            async def ask() -> int:
                body = {"instances": ["some words to classify"] * 500, "parameters": {"id2label": True}}
                async with session.post(f"{url}/v1/models/model:predict", json=body) as answer:
                    predictions = (await answer.json())["predictions"]
                    assert {one["label"] for one in predictions} <= set(tiny.CLASSES)
                    return len(predictions)

            asked = [asyncio.create_task(ask()) for _ in range(4)]
            await asyncio.sleep(0)
            while "classifier_in_flight_requests 0.0" in await _text(session, f"{url}/metrics"):
                if all(one.done() for one in asked):
                    break
            process.send_signal(signal.SIGTERM)
            assert await asyncio.gather(*asked) == [500] * 4
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _text(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as answer:
        return await answer.text()


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["--model_nam", "m"], 2, "did you mean --model_name?"),
        (["--model_dir", "/nowhere", "--http_port", "0", "--grpc_port", "0"], 1, "--model_dir /nowhere: no folder"),
    ],
)
async def test_a_start_that_cannot_be_ends_with_the_reason(argv: list[str], code: int, says: str) -> None:
    process = await _process(*argv)
    _, errors = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == code
    assert says in errors.decode()


async def test_a_port_that_is_taken_is_told_in_a_sentence() -> None:
    taken = await asyncio.start_server(lambda *_: None, "0.0.0.0", 0)
    port = taken.sockets[0].getsockname()[1]
    for flags in (("--grpc_port=0", f"--http_port={port}"), ("--http_port=0", f"--grpc_port={port}")):
        process = await _process("--model_dir", "/nowhere", *flags)
        _, logged = await process.communicate()
        assert process.returncode == 1
        assert "name other ports by --http_port and --grpc_port" in logged.decode()
        assert "Traceback" not in logged.decode()
    taken.close()
    await taken.wait_closed()

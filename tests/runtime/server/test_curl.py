"""curl, as KServe's documentation has people use it: through a gateway, with files, with what curl adds by itself."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.server.conftest import Client, Start
from tests.runtime.server.doubles import IMAGES

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")

V1 = {"instances": ["1 2 -1", "5"]}
V2 = {"id": "42", "inputs": [{"name": "input-0", "shape": [2], "datatype": "BYTES", "data": V1["instances"]}]}
# As KServe's own examples have it: no length said.
SHAPELESS = {"inputs": [{"name": "input-0", "shape": [], "datatype": "BYTES", "data": ["5"]}]}


async def curl(client: Client, path: str, *args: str) -> tuple[int, str]:
    """Status, and what curl prints."""
    command = ("curl", "-s", "-w", "\n%{http_code}", *args, client.url + path)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    body, _, status = out.decode().rpartition("\n")
    return int(status), body


@pytest.mark.parametrize(
    "args",
    [
        ("-d", "@{file}"),
        ("-H", "Host: sentiment.default.example.com", "-d", "@./{file}"),
        ("-H", "Host: sentiment.default.example.com", "-H", "Content-Type: application/json", "-d", "@{file}"),
        ("-X", "POST", "-H", "content-type: application/json; charset=utf-8", "--data-binary", "@{file}"),
        ("-H", "Authorization: Bearer t", "-H", "Cookie: authservice_session=s", "-d", "@{file}"),
        ("--http1.0", "-d", "@{file}"),
        ("--compressed", "-d", "@{file}"),
        ("-H", "Transfer-Encoding: chunked", "-d", "@{file}"),
        ("-H", "Expect: 100-continue", "-d", "@{file}"),
        ("-H", "Connection: close", "-d", "@{file}"),
        ("-T", "{file}", "-X", "POST"),
        ("-L", "--json", "@{file}"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/models/model:predict", V1, {"predictions": [1, 0]}),
        ("/v2/models/model/infer", V2, {"outputs": [{"data": [1, 0]}]}),
    ],
)
async def test_a_file_is_answered(  # noqa: PLR0917 - two tables
    client: Client, tmp_path: Path, args: tuple[str, ...], path: str, body: Any, expected: Any
) -> None:
    file = tmp_path / "input.json"
    file.write_text(json.dumps(body, indent=2))
    given = [arg.replace("./{file}", str(file)).replace("{file}", str(file)) for arg in args]
    status, said = await curl(client, path, *given)
    assert status == 200, said
    found = json.loads(said)
    assert found.get("predictions") == expected.get("predictions")
    assert [one["data"] for one in found.get("outputs", [])] == [one["data"] for one in expected.get("outputs", [])]
    assert found.get("id") == body.get("id")


async def test_a_shape_that_says_nothing_is_the_length(client: Client) -> None:
    status, said = await curl(client, "/v2/models/model/infer", "-d", json.dumps(SHAPELESS))
    assert (status, json.loads(said)["outputs"][0]["shape"]) == (200, [1])


async def test_a_file_of_megabytes_is_sent_without_a_wait(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    file.write_text(json.dumps({"instances": ["5" + " " * 200_000] * 20}))
    # curl waits so long for a 100 Continue, and then sends unasked: with a minute of it, the test would fail.
    status, said = await curl(client, "/v1/models/model:predict", "--expect100-timeout", "60", "-d", f"@{file}")
    assert (status, json.loads(said)) == (200, {"predictions": [0] * 20})


async def test_an_image_is_a_body_or_base64(start: Start, tmp_path: Path) -> None:
    client = await start(IMAGES)
    file = tmp_path / "cat.jpg"
    file.write_bytes(b"0 0 3")
    for args in (
        ("--data-binary", f"@{file}"),
        ("-T", str(file), "-X", "POST"),
        ("-H", "Content-Type: image/jpeg", "--data-binary", f"@{file}"),
    ):
        status, said = await curl(client, "/predict", *args)
        assert (status, json.loads(said)[0]["label"]) == (200, "NEUTRAL")
    body = json.dumps({"instances": [{"b64": base64.b64encode(b"0 0 3").decode()}]})
    assert await curl(client, "/v1/models/model:predict", "-d", body) == (200, '{"predictions":[2]}')


async def test_forms_and_missing_bodies_are_told_what_to_send(client: Client) -> None:
    for args in (("-F", "text=good"), ("-d", "text=good"), ("--data-urlencode", "text=good film"), ("-X", "POST")):
        status, said = await curl(client, "/v1/models/model:predict", *args)
        assert status == 400
        assert '{"instances": ["…"]}' in json.loads(said)["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/models",
        "/v1/models/model",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/model",
        "/v2/models/model/ready",
        "/v2/models/model/versions/1",
        "/v2/models/model/versions/1/ready",
        "/metrics",
    ],
)
async def test_what_people_look_at_is_there(client: Client, path: str) -> None:
    assert (await curl(client, path))[0] == 200
    assert (await curl(client, path, "-I"))[0] == 200

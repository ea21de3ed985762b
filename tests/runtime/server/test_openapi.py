"""The interface's own description: only where it is asked for, and of what there is."""

from __future__ import annotations

import pytest

from classifier_runtime.core.options import NAMES
from tests.runtime.server.conftest import Client, Start


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_there_is_none_unless_it_is_asked_for(client: Client, path: str) -> None:
    assert (await client.ask(path))[0] == 404


async def test_every_example_in_it_is_answered(start: Start) -> None:
    client = await start(enable_docs_url=True)
    _, document = await client.ask("/openapi.json")
    asked = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            if method == "post" and body is not None:
                status, answer = await client.ask(path.replace("{version}", "1"), body)
                assert status == 200, answer
                asked += 1
    assert asked >= 5
    assert set(document["components"]["schemas"]["Parameters"]["properties"]) == set(NAMES)


async def test_people_get_a_page_without_scripts(start: Start) -> None:
    client = await start(enable_docs_url=True)
    async with client.session.get(client.url + "/docs") as answer:
        page = await answer.text()
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "POST /v1/models/model:predict" in page
    assert "<script" not in page

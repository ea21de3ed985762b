"""Servers on real sockets, as the server's own tests start them, and what asks them by V2."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.runtime.server.conftest import Client, client, start

__all__ = ["V2", "client", "start", "v2"]


class V2:
    """Asks one server by V2 over REST, as curl would."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def infer(self, *data: Any, outputs: list[Any] | None = None, **parameters: Any) -> dict[str, Any]:
        """The answer on texts."""
        body: dict[str, Any] = {"inputs": [tensor(*data)]}
        if parameters:
            body["parameters"] = parameters
        if outputs is not None:
            body["outputs"] = [{"name": one} if isinstance(one, str) else one for one in outputs]
        return await self.answer(body)

    async def answer(self, body: Any, path: str = "/v2/models/model/infer") -> dict[str, Any]:
        status, answer = await self.client.ask(path, body)
        assert status == 200, answer
        assert isinstance(answer, dict)
        return answer

    async def outputs(self, *data: Any, **given: Any) -> dict[str, Any]:
        """Shape and data of each output."""
        answer = await self.infer(*data, **given)
        return {one["name"]: (one["shape"], one["data"]) for one in answer["outputs"]}

    async def refused(self, body: Any, **given: Any) -> str:
        """The sentence of a 400."""
        status, sentence = await self.client.refused(body, "/v2/models/model/infer", **given)
        assert status == 400, sentence
        return sentence


def tensor(*data: Any, **more: Any) -> dict[str, Any]:
    """An input of texts."""
    return {"name": "input-0", "shape": [len(data)], "datatype": "BYTES", "data": list(data), **more}


def binary(body: dict[str, Any], *blobs: bytes) -> tuple[bytes, dict[str, str]]:
    """Body and headers of a request by the binary tensor extension."""
    head = orjson.dumps(body)
    return b"".join((head, *blobs)), {"Inference-Header-Content-Length": str(len(head))}


@pytest.fixture
def v2(client: Client) -> V2:
    """Of sequences with three classes."""
    return V2(client)

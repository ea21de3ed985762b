"""What was recorded, our servers that are asked the same, and how two answers are compared."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import numpy as np
from yarl import URL

from classifier_runtime import flags
from classifier_runtime.loading import load
from classifier_runtime.server import Server
from tests.runtime.kserve.cases import CASES, NAME, Request, golden

EQUAL: Final = 1e-4
"""What two computations of a number may differ by; KServe's scores have four decimals."""
# Whole numbers are ids and sizes, and stay.
_FLOAT: Final = re.compile(r"-?\d+(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+)")
_NEW_ID: Final = re.compile(r'"id":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"')


@dataclass(frozen=True)
class Answer:
    """:param status: 0 is gRPC's OK"""

    status: int
    body: str
    headers: Mapping[str, str]


@cache
def recorded(server: str, case: str) -> Answer:
    said = json.loads(golden(server, case).read_text(encoding="utf-8"))["answer"]
    status = said["status"] if isinstance(said["status"], int) else -1
    return Answer(status, said["body"], said.get("headers", {}))


def without_nulls(body: str) -> str:
    """V2's answers have no fields that are null: a listed departure."""
    return body.replace('"model_version":null,', "").replace('"parameters":null,', "")


def agree(found: Answer, expected: Answer) -> bool:
    """Whether an answer of ours is KServe's."""
    body = without_nulls(expected.body)
    if "ce-type" in expected.headers:  # KServe writes events with another library, which puts spaces between
        body = json.dumps(json.loads(body), separators=(",", ":"))
    return (
        found.status == expected.status
        and {name: found.headers.get(name) for name in expected.headers} == expected.headers
        and same(found.body, body)
    )


def same(found: str, expected: str) -> bool:
    """The same text, character for character, but for the digits of floats and for ids that were made up."""
    found, expected = (_NEW_ID.sub('"id":"new"', text) for text in (found, expected))
    if _FLOAT.sub("#", found) != _FLOAT.sub("#", expected):
        return False
    numbers, others = (np.array(_FLOAT.findall(text), np.float64) for text in (found, expected))
    # A score that is rounded may come to lie on the other side: that is one step, and floats do not hold it exactly.
    return bool(np.allclose(numbers, others, rtol=0, atol=EQUAL * (1 + 1e-6)))


class Ours:
    """One of our servers, with the flags that KServe's had."""

    def __init__(self, server: str, model: Path, *more: str) -> None:
        argv = [*CASES[server][0].flags, "--model_name", NAME, "--model_dir", str(model), *more]
        argv += ["--host", "127.0.0.1", "--http_port", "0", "--grpc_port", "0", "--drain_seconds", "0"]
        settings, self.warnings = flags.read(argv, {})
        self.server = Server(settings, load)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        await self.server.start()
        await self.server.load()
        # Paths as they are written: KServe's clients escape a colon, curl does not.
        self._session = aiohttp.ClientSession()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()
        await self.server.close()

    async def answer(self, request: Request) -> Answer:
        assert self._session is not None
        asked: Any = self._session.request(
            request.method,
            URL(f"http://127.0.0.1:{self.server.port}{request.path}", encoded=True),
            data=request.content,
            headers=dict(request.headers),
        )
        async with asked as answer:
            headers = {key.lower(): value for key, value in answer.headers.items()}
            encoding = "latin-1" if "inference-header-content-length" in headers else "utf-8"
            return Answer(answer.status, await answer.text(encoding), headers)
